// Package handshake leads DTLS 1.2 handshakes as server (RFC 6347, RFC 7925), any
// number of them over one socket. Before a client has shown that it receives what
// is sent to its address nothing is remembered of it; from then on a handshake is
// one small value, without a goroutine or a timer of its own, that a bounded pool
// of workers feeds with datagrams. A completed one ends in dtls.Established.
//
// DTLS 1.3 (RFC 9147) would join in three places: Server.Hello chooses the version
// by the hello's extensions, machine.step has the phases, and dtls.NewSession makes
// the record layer.
package handshake

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"steward/lwm2m/dtls"
)

// ErrOptions reports options that do not go together.
var ErrOptions = errors.New("dtls: invalid handshake options")

const (
	defaultFlight  = time.Second      // RFC 6347 §4.2.4.1
	defaultTimeout = 20 * time.Second // four repetitions and some patience
	defaultLimit   = 8192             // about 2 kB each while they last
	// maxInbox is how many datagrams wait for a worker: a flight of a certificate chain
	// in the smallest fragments, twice.
	maxInbox = 64
	// maxInboxBytes bounds their bytes: the longest flight, with its headers, twice. One
	// client cannot use up what all may have waiting.
	maxInboxBytes = 32 << 10
	// maxWaiting bounds the bytes of all datagrams that wait for a worker.
	maxWaiting = 16 << 20
	// maxRepeats bounds how often a flight goes out again.
	maxRepeats = 8
)

// A Sender writes to a socket.
type Sender interface {
	// Send writes a datagram, which it must not retain.
	Send(datagram []byte, to netip.AddrPort)
}

// A Host is whose socket it is. Its methods are called from the goroutine that
// hands in datagrams and from the workers, many at once.
type Host interface {
	Sender
	// Admit makes room for a handshake of a client whose address is proved; nil is none.
	Admit(from netip.AddrPort, now time.Time) Place
}

// A Place is what a Host has for one handshake. Its methods are called by one
// goroutine at a time, and none after Ended.
type Place interface {
	// CID returns the connection identifier to be agreed on, dtls.CIDLength bytes; nil
	// is none.
	CID() []byte
	// Judging is called right before the client is judged, so that a revocation
	// meanwhile can be noticed.
	Judging()
	// Established takes over the completed handshake, before its last flight is sent.
	// next gets the datagrams that came early, and may be nil. An error refuses the
	// client, and Ended gets it.
	Established(e *dtls.Established) (next func(datagram []byte), err error)
	// Ended is the end of a handshake that came to nothing. The reason wraps
	// dtls.ErrRefused, dtls.ErrTimeout or dtls.ErrHandshake, or is what Established
	// returned, or is nil when the client began anew or the server ends.
	Ended(reason error)
}

// Options configure a Server.
type Options struct {
	// Host and Credentials are required. Credentials that are dtls.RawKeys accept raw
	// public keys, and those that are dtls.Resumer let sessions of certificates be
	// resumed.
	Host        Host
	Credentials dtls.Credentials
	// FlightInterval is the first retransmission interval, doubled each time. Zero: 1 s.
	FlightInterval time.Duration
	// Timeout ends a handshake that has not completed. Zero: 20 s.
	Timeout time.Duration
	// Limit caps handshakes under way. Zero: 8192.
	Limit int
	// Workers is how many compute at once. Zero: one less than there are processors, and
	// one at least.
	Workers int
	// PlainMasterSecret lets in clients without the extended master secret (RFC 7627).
	PlainMasterSecret bool
	// NoTickets lets no session be resumed.
	NoTickets bool
}

func (o Options) withDefaults() (Options, error) {
	if o.Host == nil || o.Credentials == nil || o.FlightInterval < 0 || o.Timeout < 0 || o.Limit < 0 || o.Workers < 0 {
		return o, ErrOptions
	}
	if o.FlightInterval == 0 {
		o.FlightInterval = defaultFlight
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	if o.Workers == 0 {
		o.Workers = max(1, runtime.GOMAXPROCS(0)-1)
	}
	return o, nil
}

// A Server leads the handshakes of one socket.
type Server struct {
	o           Options
	rawKeys     dtls.RawKeys  // nil: none
	recaller    dtls.Recaller // nil: nobody remembers
	request     []byte        // body of a CertificateRequest
	cookies     cookies
	tickets     tickets
	credentials credentials
	keys        keys
	work        queue

	mu      sync.Mutex
	byAddr  map[netip.AddrPort]*conn
	running int // superseded ones included
	waiting int // bytes in inboxes
	timer   *time.Timer
}

// New makes a server; Run makes it work.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, request: certificateRequest(), byAddr: make(map[netip.AddrPort]*conn)}
	s.rawKeys, _ = o.Credentials.(dtls.RawKeys)
	s.recaller, _ = o.Credentials.(dtls.Recaller)
	s.work.init(o.Limit, o.Workers)
	s.timer = time.NewTimer(o.FlightInterval)
	s.timer.Stop()
	return s, nil
}

// Run works until ctx ends, and returns when its last goroutine has. What was under
// way then is forgotten.
func (s *Server) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range crowd * s.o.Workers {
		workers.Go(func() {
			for {
				c := s.work.next(ctx)
				if c == nil {
					return
				}
				s.serve(c)
			}
		})
	}
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case now := <-s.timer.C:
			s.tick(now)
		}
	}
	workers.Wait()
	s.timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr, c := range s.byAddr {
		delete(s.byAddr, addr)
		c.place.Ended(nil)
	}
	s.running = 0
}

// Pending returns how many handshakes are under way.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}
