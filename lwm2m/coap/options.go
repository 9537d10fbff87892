package coap

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// What an exchange may end with, beside the error of its context.
var (
	ErrTimeout  = errors.New("no answer from the peer")
	ErrReset    = errors.New("peer rejected the message")
	ErrClosed   = errors.New("association closed")
	ErrTooLarge = errors.New("body exceeds the size limit")
	ErrBlock    = errors.New("block-wise transfer out of step")
	ErrOption   = errors.New("critical option not understood")
	ErrRequest  = errors.New("request cannot be sent")
	ErrBusy     = errors.New("too many exchanges with the peer")
)

// ErrConfig reports Options that New refuses.
var ErrConfig = errors.New("invalid options")

// Params are the transmission parameters of RFC 7252 §4.8. A zero field takes
// the RFC's default.
type Params struct {
	AckTimeout      time.Duration // 2 s
	AckRandomFactor float64       // 1.5; at least 1
	MaxRetransmit   int           // 4
	NStart          int           // 1: confirmable exchanges with one peer that may wait for an ACK

	// ExchangeLifetime is how long a message identifier is remembered. Zero
	// derives it from the fields above: 247 s by default (§4.8.2).
	ExchangeLifetime time.Duration

	// ProcessingDelay is how long a handler may think before its request is
	// acknowledged by an empty ACK: a quarter of AckTimeout by default.
	ProcessingDelay time.Duration
}

// Options configure an Engine. Zero fields take the defaults named beside them.
type Options struct {
	Handler Handler // nil: every request is answered 4.04
	Params  Params

	// Quick reports that Handler answers r without waiting for anything, a disk,
	// the network or a lock held across such, and that Sent of its response
	// waits neither. Such a request is served within Receive, without a copy of
	// the datagram: what r refers to is valid until Handler returns. Every other
	// is served by one of at most MaxHandlers goroutines, which are reused, and
	// so is every request that observes or has Block options: Quick is not asked.
	// It may be asked again for a duplicate, which is not served again. It must
	// not wait, nor retain r. Nil: no request is quick.
	Quick func(r *Request) bool

	MaxBody   int // bytes of a body received, above it 4.13; 1 MiB
	BlockSize int // preferred block size: 16, 32 … 1024; 1024

	MaxDedup          int // messages remembered for all peers together, about 52 bytes each beside replies; 262144
	MaxBlockTransfers int // bodies being reassembled or served, all peers together; 1024
	MaxBlockBytes     int // bytes of all those bodies; 64 MiB
	MaxHandlers       int // handlers running for all peers together, above it 5.03; 1024

	Log *slog.Logger // nil: none

	// Trace sees every datagram, received before it is looked at, sent before
	// it is handed to the peer. It must not retain nor change it; nil: none.
	Trace func(peer Peer, sent bool, datagram []byte)

	// Closed is told of each association that ended, after the engine has
	// forgotten it. It must not block; nil: nobody is told.
	Closed func(peer Peer)
}

// Defaults of Options.
const (
	defaultMaxBody           = 1 << 20
	defaultBlockSize         = 1024 // the largest of RFC 7959 §2.2
	defaultMaxDedup          = 1 << 18
	defaultMaxBlockTransfers = 1024
	defaultMaxBlockBytes     = 64 << 20
	defaultMaxHandlers       = 1024
)

// resolved returns p with defaults for its zero fields.
func (p Params) resolved() Params {
	if p.AckTimeout == 0 {
		p.AckTimeout = 2 * time.Second
	}
	if p.AckRandomFactor == 0 {
		p.AckRandomFactor = 1.5
	}
	if p.MaxRetransmit == 0 {
		p.MaxRetransmit = 4
	}
	if p.NStart == 0 {
		p.NStart = 1
	}
	if p.ProcessingDelay == 0 {
		p.ProcessingDelay = p.AckTimeout / 4
	}
	if p.ExchangeLifetime == 0 {
		// MAX_LATENCY is 100 s beside an ACK_TIMEOUT of 2 s; it scales with it.
		const latencies = 2 * 50
		p.ExchangeLifetime = p.transmitSpan() + (latencies+1)*p.AckTimeout
	}
	return p
}

// transmitSpan is MAX_TRANSMIT_SPAN: from the first transmission to the last.
func (p Params) transmitSpan() time.Duration {
	first := time.Duration(float64(p.AckTimeout) * p.AckRandomFactor)
	return first * (1<<p.MaxRetransmit - 1)
}

// maxRetransmit bounds MaxRetransmit so that the doubled time-out cannot overflow.
const maxRetransmit = 16

// resolved returns o with defaults for its zero fields, or ErrConfig.
func (o Options) resolved() (Options, error) {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&o.MaxBody, defaultMaxBody},
		{&o.BlockSize, defaultBlockSize},
		{&o.MaxDedup, defaultMaxDedup},
		{&o.MaxBlockTransfers, defaultMaxBlockTransfers},
		{&o.MaxBlockBytes, defaultMaxBlockBytes},
		{&o.MaxHandlers, defaultMaxHandlers},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
		if *d.field < 0 {
			return o, fmt.Errorf("%w: negative limit", ErrConfig)
		}
	}
	if _, ok := szxOf(o.BlockSize); !ok {
		return o, fmt.Errorf("%w: block size %d", ErrConfig, o.BlockSize)
	}
	p := o.Params
	if p.AckTimeout < 0 || p.MaxRetransmit < 0 || p.MaxRetransmit > maxRetransmit || p.NStart < 0 ||
		p.ExchangeLifetime < 0 || p.ProcessingDelay < 0 || (p.AckRandomFactor != 0 && p.AckRandomFactor < 1) {
		return o, fmt.Errorf("%w: transmission parameters", ErrConfig)
	}
	o.Params = p.resolved()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
