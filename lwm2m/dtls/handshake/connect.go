package handshake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// A Wire carries the datagrams of one client's handshake.
type Wire interface {
	// Send writes a datagram, which it must not retain.
	Send(datagram []byte) error
	// Receive returns the server's next datagram, which is the caller's, or
	// os.ErrDeadlineExceeded after the deadline. Any other error ends the handshake.
	Receive(deadline time.Time) ([]byte, error)
}

// Connect leads one handshake as client over w, until ctx ends. flight is the first
// retransmission interval; zero is one second. cid is the connection identifier by
// which the server is to address us, dtls.CIDLength bytes or none; nil asks for one of
// the server's only where the options do. early are datagrams that the server sent right
// behind its last flight, for whoever has the session. Errors wrap dtls.ErrNoVerify,
// dtls.ErrRefused, dtls.ErrTimeout or dtls.ErrHandshake.
//
// A client that has a raw public key (RFC 7250) speaks by this only. Sessions are not
// resumed.
func Connect(ctx context.Context, w Wire, o dtls.ClientOptions, cid []byte, flight time.Duration) (
	e dtls.Established, early [][]byte, err error,
) {
	c, err := newCaller(w, o, cid)
	if err != nil {
		return dtls.Established{}, nil, err
	}
	if flight <= 0 {
		flight = defaultFlight
	}
	if err := c.lead(ctx, flight); err != nil {
		if f, ok := errors.AsType[*failure](err); ok {
			c.sendAlert(f.alert)
		}
		return dtls.Established{}, nil, clientError(err)
	}
	return dtls.Established{
		Session: c.session, Identity: c.identity, Chain: c.chain, RawKey: c.rawKey, Binding: c.binding,
	}, c.late, nil
}

// clientError makes a handshake's error one that callers know.
func clientError(err error) error {
	for _, known := range []error{dtls.ErrRefused, dtls.ErrTimeout, dtls.ErrHandshake} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", dtls.ErrHandshake, err)
}

// lead sends flights and reads what comes until the handshake is over.
func (c *caller) lead(ctx context.Context, interval time.Duration) error {
	c.sayHello(nil)
	if err := c.transmit(0); err != nil {
		return err
	}
	p := pace{interval: interval}
	p.begin()
	for c.phase != callerDone {
		if ctx.Err() != nil {
			return overdue(ctx)
		}
		d, err := c.wire.Receive(p.until(ctx))
		switch {
		case err == nil:
			err = c.read(d, &p)
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = c.repeat(&p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read takes a datagram. What brings the handshake on begins the pace anew.
func (c *caller) read(datagram []byte, p *pace) error {
	moved, err := c.receive(datagram)
	if moved {
		p.begin()
	}
	return err
}

// repeat sends the flight again if its time has come.
func (c *caller) repeat(p *pace) error {
	if time.Now().Before(p.due) {
		return nil
	}
	p.repeated++
	p.due = time.Now().Add(p.interval << min(p.repeated, maxBackoff)) // RFC 6347 §4.2.4.1
	return c.transmit(p.repeated)
}

// maxBackoff bounds the doubling of intervals: RFC 6347 §4.2.4.1 has 60 s.
const maxBackoff = 5

// A pace says when a flight is to be sent again.
type pace struct {
	interval time.Duration
	due      time.Time
	repeated int
}

func (p *pace) begin() { p.due, p.repeated = time.Now().Add(p.interval), 0 }

// until is how long to wait for the server.
func (p *pace) until(ctx context.Context) time.Time {
	if end, has := ctx.Deadline(); has && end.Before(p.due) {
		return end
	}
	return p.due
}

// overdue is the end of a handshake whose time is over.
func overdue(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", dtls.ErrTimeout, ctx.Err())
	}
	return fmt.Errorf("%w: %w", dtls.ErrHandshake, ctx.Err())
}

// A callerPhase says what a client waits for.
type callerPhase uint8

// The phases, in their order; which are passed depends on the suite.
const (
	callerHello       callerPhase = iota // HelloVerifyRequest or ServerHello
	callerCertificate                    // the server's certificate or raw public key
	callerKeyExchange                    // ServerKeyExchange; of a plain PSK suite it may be missing
	callerRequest                        // CertificateRequest, which may be missing, or ServerHelloDone
	callerHelloDone
	callerFinished
	callerDone
)

// A caller is a client's handshake. It is fed datagrams and sends datagrams; it waits
// for nothing.
type caller struct {
	wire  Wire
	o     dtls.ClientOptions
	cid   []byte // ours, offered; nil: no extension
	phase callerPhase

	in     reassembly
	log    []message // the handshake so far; the first hello, without a cookie, is not in it
	flight []message // ours, to be sent again
	seq    uint16    // of our next message
	record uint64    // of our next record in epoch 0
	ccs    bool      // the server's ChangeCipherSpec arrived
	early  [][]byte  // records under keys that are not to be read yet
	late   [][]byte  // datagrams for whoever has the session

	random, serverRandom [randomLength]byte
	cookie               []byte
	accepted             accepted
	suite                *suite
	group                uint16
	point                []byte // the server's share
	requested            bool
	schemes              []byte // what the server takes; of its request

	master   [masterLength]byte
	session  dtls.Session
	chain    [][]byte
	rawKey   []byte
	identity coap.Identity
	binding  [dtls.BindingLength]byte
}

func newCaller(w Wire, o dtls.ClientOptions, cid []byte) (*caller, error) {
	switch {
	case len(o.PSK) == 0 && o.Verify == nil && o.VerifyKey == nil:
		return nil, dtls.ErrNoVerify
	case len(o.PSKIdentity) > maxIdentity:
		return nil, fmt.Errorf("%w: pre-shared key identity of %d bytes", dtls.ErrHandshake, len(o.PSKIdentity))
	case len(cid) != 0 && len(cid) != dtls.CIDLength:
		return nil, fmt.Errorf("%w: connection identifier of %d bytes", dtls.ErrHandshake, len(cid))
	}
	if cid == nil && o.CID {
		cid = []byte{} // the server's, and none of ours
	}
	return &caller{wire: w, o: o, cid: cid, identity: coap.Identity{Role: coap.RoleServer}}, nil
}
