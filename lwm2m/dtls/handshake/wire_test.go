package handshake_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// A site is a server with the host that it works for, in memory.
type site struct {
	*handshake.Server
	outcomes chan outcome
	decline  atomic.Bool
	refuse   error // what Established answers
	noCID    bool
	places   atomic.Int64 // given out, and neither established nor ended

	mu    sync.Mutex
	wires map[netip.AddrPort]*wire
}

// An outcome is what became of a handshake.
type outcome struct {
	from netip.AddrPort
	*dtls.Established
	judged int
	err    error
}

func (s *site) Send(d []byte, to netip.AddrPort) {
	s.mu.Lock()
	w := s.wires[to]
	s.mu.Unlock()
	if w != nil {
		w.down(d)
	}
}

func (s *site) Admit(from netip.AddrPort, _ time.Time) handshake.Place {
	if s.decline.Load() {
		return nil
	}
	s.places.Add(1)
	return &place{site: s, from: from}
}

// A place counts itself.
type place struct {
	site   *site
	from   netip.AddrPort
	judged int
}

func (p *place) CID() []byte {
	if p.site.noCID {
		return nil
	}
	return newCID()
}

func (p *place) Judging() { p.judged++ }

func (p *place) Established(e *dtls.Established) (func([]byte), error) {
	s := p.site
	if s.refuse != nil {
		return nil, s.refuse
	}
	s.mu.Lock()
	w := s.wires[p.from]
	s.mu.Unlock()
	s.places.Add(-1)
	s.outcomes <- outcome{from: p.from, Established: e, judged: p.judged}
	return func(d []byte) { w.records <- append([]byte(nil), d...) }, nil
}

func (p *place) Ended(reason error) {
	p.site.places.Add(-1)
	p.site.outcomes <- outcome{from: p.from, err: reason}
}

const flight = 50 * time.Millisecond

// newSite starts a server that ends with the test.
func newSite(tb testing.TB, c dtls.Credentials) *site {
	tb.Helper()
	s := &site{outcomes: make(chan outcome, 1024), wires: map[netip.AddrPort]*wire{}}
	o := handshake.Options{Host: s, Credentials: c, FlightInterval: flight, Timeout: 10 * time.Second}
	var err error
	if s.Server, err = handshake.New(o); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	tb.Cleanup(func() { cancel(); <-done })
	return s
}

// feed hands the server a datagram as a socket would, and says what became of it.
func (s *site) feed(d []byte, from netip.AddrPort) handshake.Outcome {
	r, _, err := dtls.ParseRecord(d)
	switch {
	case err != nil:
		return handshake.Malformed
	case dtls.IsHello(r):
		return s.Hello(d, from, s, time.Now())
	default:
		return s.Deliver(d, from)
	}
}

// outcome waits for a handshake's end.
func (s *site) outcome(tb testing.TB) outcome {
	tb.Helper()
	select {
	case o := <-s.outcomes:
		return o
	case <-time.After(time.Minute):
		tb.Fatal("no outcome of the handshake")
		return outcome{}
	}
}

// A wire is a client's packet connection to a site.
type wire struct {
	site     *site
	addr     netip.AddrPort
	toClient chan []byte
	records  chan []byte // what the client sends that no handshake takes
	closed   chan struct{}
	once     sync.Once
	kick     chan struct{}

	mu sync.Mutex
	// pass changes what goes through: nothing, the datagram, or several. Nil: everything.
	pass func(toClient bool, d []byte) [][]byte
	seen [][]byte // everything the client sent
}

var ports atomic.Uint32

func (s *site) newWire() *wire {
	port := uint16(1024 + ports.Add(1)%60000)
	w := &wire{
		site: s, addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port),
		toClient: make(chan []byte, 256), records: make(chan []byte, 256),
		closed: make(chan struct{}), kick: make(chan struct{}, 1),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wires[w.addr] = w
	return w
}

func (w *wire) through(toClient bool, d []byte) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	d = append([]byte(nil), d...)
	if !toClient {
		w.seen = append(w.seen, d)
	}
	if w.pass == nil {
		return [][]byte{d}
	}
	return w.pass(toClient, d)
}

func (w *wire) down(d []byte) {
	for _, d := range w.through(true, d) {
		select {
		case w.toClient <- d:
		default:
		}
	}
}

func (w *wire) up(d []byte) {
	for _, d := range w.through(false, d) {
		if w.site.feed(d, w.addr) == handshake.Unknown {
			select {
			case w.records <- d:
			default:
			}
		}
	}
}

func (w *wire) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-w.closed:
		return 0, nil, io.EOF
	case <-w.kick:
		return 0, nil, os.ErrDeadlineExceeded
	case d := <-w.toClient:
		return copy(b, d), net.UDPAddrFromAddrPort(w.addr), nil
	}
}

func (w *wire) WriteTo(b []byte, _ net.Addr) (int, error) {
	w.up(b)
	return len(b), nil
}

func (w *wire) Close() error                { w.once.Do(func() { close(w.closed) }); return nil }
func (w *wire) LocalAddr() net.Addr         { return net.UDPAddrFromAddrPort(w.addr) }
func (w *wire) SetDeadline(time.Time) error { return nil }

func (w *wire) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
	return nil
}
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func newCID() []byte {
	b := make([]byte, dtls.CIDLength)
	_, _ = rand.Read(b)
	return b
}

// pionClient leads a handshake as a client of another make.
func pionClient(tb testing.TB, w *wire, options ...pion.ClientOption) (*pion.Conn, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	options = append(options, pion.WithInsecureSkipVerify(true), pion.WithFlightInterval(flight))
	conn, err := pion.ClientWithOptions(w, net.UDPAddrFromAddrPort(w.addr), options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn, conn.HandshakeContext(ctx)
}

func wantErr(tb testing.TB, call string, got, want error) {
	tb.Helper()
	if !errors.Is(got, want) {
		tb.Errorf("%s = %v, want %v", call, got, want)
	}
}
