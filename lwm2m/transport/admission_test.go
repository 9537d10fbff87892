package transport_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// deaf is a packet connection that keeps the first datagram written to it.
type deaf struct {
	net.PacketConn
	first  chan []byte
	closed chan struct{}
}

func (d *deaf) WriteTo(b []byte, _ net.Addr) (int, error) {
	select {
	case d.first <- append([]byte(nil), b...):
	default:
	}
	return len(b), nil
}

func (d *deaf) ReadFrom([]byte) (int, net.Addr, error) {
	<-d.closed
	return 0, nil, io.EOF
}

func (d *deaf) Close() error {
	select {
	case <-d.closed:
	default:
		close(d.closed)
	}
	return nil
}
func (d *deaf) SetReadDeadline(time.Time) error  { return nil }
func (d *deaf) SetWriteDeadline(time.Time) error { return nil }
func (d *deaf) LocalAddr() net.Addr              { return &net.UDPAddr{} }

// clientHello makes a first ClientHello with a new random.
func clientHello(tb testing.TB) []byte {
	tb.Helper()
	d := &deaf{first: make(chan []byte, 1), closed: make(chan struct{})}
	c, err := pion.ClientWithOptions(d, &net.UDPAddr{}, pion.WithInsecureSkipVerify(true),
		pion.WithCipherSuites(pion.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8))
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Handshake() }()
	hello := <-d.first
	_ = d.Close()
	<-ended
	return hello
}

// withCookie is hello in answer to a HelloVerifyRequest.
func withCookie(hello, request []byte) []byte {
	const cookieAt, sessionAt = 13 + 12 + 2, 13 + 12 + 2 + 32
	cookie := request[cookieAt:]
	at := sessionAt + 1 + int(hello[sessionAt])
	out := append(append(append([]byte{}, hello[:at]...), cookie...), hello[at+1:]...)
	more := byte(len(cookie) - 1) // no length carries
	out[10]++                     // record
	out[12] += more
	out[16] += more // message
	out[18]++       // message_seq
	out[24] += more // fragment
	return out
}

// begin begins a handshake from c and leaves it half open.
func begin(tb testing.TB, c *net.UDPConn, server netip.AddrPort) {
	tb.Helper()
	prepare(tb, c, server)()
}

// prepare is begin up to the cookie, which costs the server nothing. The rest is what it
// returns.
func prepare(tb testing.TB, c *net.UDPConn, server netip.AddrPort) (rest func()) {
	tb.Helper()
	hello := clientHello(tb)
	_, _ = c.WriteToUDPAddrPort(hello, server)
	b := make([]byte, 2048)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Read(b)
	if err != nil {
		tb.Fatal(err)
	}
	proved := withCookie(hello, b[:n])
	return func() { _, _ = c.WriteToUDPAddrPort(proved, server) }
}

// beginAtOnce begins n handshakes, one right after the other.
func beginAtOnce(tb testing.TB, n int, server netip.AddrPort) {
	tb.Helper()
	var all []func()
	for range n {
		all = append(all, prepare(tb, listenUDP(tb), server))
	}
	for _, rest := range all {
		rest()
	}
}

func TestHandshakeCapAndDeadline(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) {
		o.MaxHandshakes, o.HandshakeTimeout = 2, 2*time.Second
	})
	invented := []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 12, 16, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0}
	for range 5 {
		c := listenUDP(t)
		_, _ = c.WriteToUDPAddrPort(clientHello(t), s.Addr()) // costs nothing
		_, _ = c.WriteToUDPAddrPort(invented, s.Addr())       // a message of a later flight proves nothing
	}
	beginAtOnce(t, 5, s.Addr())
	eventually(t, "the cap", func() bool { return s.Stats().Drops[transport.DropHandshakeCap] == 3 })
	if n := s.Stats().HandshakesPending; n > 2 {
		t.Errorf("%d handshakes under way", n)
	}
	eventually(t, "the deadline", func() bool { return s.Stats().HandshakesPending == 0 })
	if n := len(s.allRefusals()); n != 2 {
		t.Errorf("%d refused, want the 2 that began", n)
	}
	e := newEngine(t)
	if got := do(t, e, dial(t, e, s.uri(), creds.client(t, "sensor")), coap.GET, ""); got != "sensor" {
		t.Errorf("GET = %q", got)
	}
}

func TestPrefixRate(t *testing.T) {
	s := newSite(t, newCredentials(t), func(o *transport.ListenOptions) { o.PrefixRate = 1 })
	beginAtOnce(t, 4, s.Addr()) // at most two of them in two different seconds
	eventually(t, "the rate", func() bool { return s.Stats().Drops[transport.DropPrefixRate] >= 2 })
}

func TestAssociationCap(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) { o.MaxAssociations = 1 })
	e := newEngine(t)
	conn := dial(t, e, s.uri(), creds.client(t, "sensor"))
	do(t, e, conn, coap.GET, "")
	_, _ = listenUDP(t).WriteToUDPAddrPort(clientHello(t), s.Addr())
	eventually(t, "the cap", func() bool { return s.Stats().Drops[transport.DropAssociationCap] == 1 })
	if got := do(t, e, conn, coap.GET, ""); got != "sensor" {
		t.Errorf("GET = %q", got)
	}
}

// TestNoRoomAfterAll: the last place is taken while a handshake is under way.
func TestNoRoomAfterAll(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) { o.MaxAssociations = 1 })
	e := newEngine(t)
	outer := creds.client(t, "outer")
	var calls atomic.Int64
	creds.onJudged(func() {
		if calls.Add(1) == 1 {
			transport.Fill(t, s.Listener, 1)
		}
	})
	_, err := transport.Dial(t.Context(), transport.DialOptions{URI: s.uri(), Client: outer, Engine: e})
	if !errors.Is(err, dtls.ErrHandshake) {
		t.Errorf("Dial = %v, want %v", err, dtls.ErrHandshake)
	}
	eventually(t, "Refused", func() bool { return s.refusal() != nil })
	if !errors.Is(s.refusal(), transport.ErrNoRoom) || s.Stats().Associations != 1 {
		t.Errorf("Refused(%v), %+v", s.refusal(), s.Stats())
	}
}

// TestHelloSuperseded: a device that restarts in the middle of a handshake is
// not kept waiting for the deadline of the first.
func TestHelloSuperseded(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, nil)
	n := newNAT(t, s.Addr())
	first := n.begin(clientHello(t))
	eventually(t, "a handshake", func() bool { return s.Stats().HandshakesPending == 1 })
	n.begin(clientHello(t))
	n.inject(first)
	eventually(t, "the first is over", func() bool { return s.Stats().Drops[transport.DropBusy] == 1 })
	e := newEngine(t)
	if got := do(t, e, dial(t, e, n.uri(), creds.client(t, "sensor")), coap.GET, ""); got != "sensor" {
		t.Errorf("GET = %q", got)
	}
}

func TestDropsCounted(t *testing.T) {
	s := newSite(t, newCredentials(t), nil)
	c := listenUDP(t)
	cid := append([]byte{25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1}, 0)
	for reason, d := range map[transport.DropReason][]byte{
		transport.DropMalformed:      []byte("hello"),
		transport.DropTooLong:        make([]byte, 9000),
		transport.DropUnknownCID:     cid,
		transport.DropUnknownAddress: {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0},
	} {
		if _, err := c.WriteToUDPAddrPort(d, s.Addr()); err != nil {
			t.Fatal(err)
		}
		eventually(t, string(reason), func() bool { return s.Stats().Drops[reason] == 1 })
	}
}

// FuzzReceive: whatever comes in, nothing panics and no association comes of it.
func FuzzReceive(f *testing.F) {
	f.Add(clientHello(f))
	f.Add([]byte{25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0})
	f.Add([]byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40})
	f.Add([]byte{20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1})
	creds := newCredentials(f)
	l, err := transport.Listen(transport.ListenOptions{
		Addr: "127.0.0.1:0", Credentials: creds, Engine: newEngine(f), MaxHandshakes: 4,
		HandshakeTimeout: 20 * time.Millisecond,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	from := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 9)
	f.Fuzz(func(t *testing.T, in []byte) {
		transport.Inject(l, in, from)
		if n := l.Stats(); n.Associations != 0 || n.HandshakesPending > 4 {
			t.Errorf("Inject(%x): %+v", in, n)
		}
	})
}
