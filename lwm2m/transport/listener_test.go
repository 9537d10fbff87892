package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
	"steward/lwm2m/transport"
)

func TestPlainEcho(t *testing.T) {
	s := newSite(t, nil, nil)
	e := newEngine(t)
	conn := dial(t, e, "coap://"+s.Addr().String(), dtls.ClientOptions{})
	if got := do(t, e, conn, coap.POST, "hello"); got != "hello" {
		t.Errorf("POST = %q", got)
	}
	if s.peer().Identity() != (coap.Identity{}) || s.peer().Addr() != conn.LocalAddr() {
		t.Errorf("peer = %s, %+v", s.peer(), s.peer().Identity())
	}
	if got := do(t, s.engine, s.peer(), coap.GET, ""); got != "device" {
		t.Errorf("GET at the device = %q", got)
	}
	if n := s.Stats(); n.DatagramsIn == 0 || n.BytesOut == 0 || n.Associations != 0 {
		t.Errorf("Stats = %+v", n)
	}
}

func TestSecureEcho(t *testing.T) {
	creds := newCredentials(t)
	for name, o := range map[string]dtls.ClientOptions{
		"certificate": creds.client(t, "sensor"),
		"psk":         {PSKIdentity: []byte("sensor"), PSK: creds.psk["sensor"], CID: true},
		"psk, no cid": {PSKIdentity: []byte("sensor"), PSK: creds.psk["sensor"]},
		"psk, bound":  {PSKIdentity: []byte("sensor"), PSK: creds.psk["sensor"], Bound: true},
		"certificate, bound": {
			Certificate: creds.authority.issue(t, "sensor"), Verify: creds.authority.verify, CID: true, Bound: true,
		},
		"bound, no cid": {Certificate: creds.authority.issue(t, "sensor"), Verify: creds.authority.verify, Bound: true},
	} {
		t.Run(name, func(t *testing.T) { testSecureEcho(t, creds, o) })
	}
}

func testSecureEcho(t *testing.T, creds *credentials, o dtls.ClientOptions) {
	t.Helper()
	s := newSite(t, creds, nil)
	e := newEngine(t)
	var in, out atomic.Int64
	conn, err := transport.Dial(t.Context(), transport.DialOptions{
		URI: s.uri(), Client: o, Engine: e, LocalAddr: netip.MustParseAddrPort("127.0.0.3:0"),
		Tap: func(sent bool, n int) {
			if sent {
				out.Add(int64(n))
			} else {
				in.Add(int64(n))
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("0123456789abcdef", 300)
	if got := do(t, e, conn, coap.POST, big); got != big {
		t.Errorf("POST of %d bytes = %d bytes", len(big), len(got))
	}
	if got := do(t, e, conn, coap.GET, ""); got != "sensor" {
		t.Errorf("GET = %q", got)
	}
	if a := s.peer().Addr(); a != conn.LocalAddr() || a.Addr().String() != "127.0.0.3" {
		t.Errorf("address = %s, want %s", a, conn.LocalAddr())
	}
	if got := do(t, s.engine, s.peer(), coap.GET, ""); got != "device" {
		t.Errorf("GET at the device = %q", got)
	}
	eventually(t, "equal counts", func() bool { // an acknowledgement may be under way
		n := s.Stats()
		return n.Associations == 1 && n.Handshakes == 1 &&
			n.BytesIn == uint64(out.Load()) && n.BytesOut == uint64(in.Load())
	})
	if err := conn.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	eventually(t, "close_notify", func() bool { return s.Stats().Associations == 0 })
	if err := s.peer().Send([]byte{0}); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Send after the end = %v, want %v", err, transport.ErrClosed)
	}
}

func TestIPv6(t *testing.T) {
	probe, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	probe.Close()
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) { o.Addr = "[::1]:0" })
	e := newEngine(t)
	conn := dial(t, e, s.uri(), creds.client(t, "sensor"))
	if got := do(t, e, conn, coap.GET, ""); got != "sensor" || s.peer().Addr() != conn.LocalAddr() {
		t.Errorf("GET = %q from %s", got, s.peer())
	}
}

// TestAnyAddress: a socket for both families sees IPv4 peers as such.
func TestAnyAddress(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) { o.Addr = ":0" })
	e := newEngine(t)
	uri := fmt.Sprintf("coaps://127.0.0.1:%d", s.Addr().Port())
	conn := dial(t, e, uri, creds.client(t, "sensor"))
	if got := do(t, e, conn, coap.GET, ""); got != "sensor" || !s.peer().Addr().Addr().Is4() {
		t.Errorf("GET = %q from %s", got, s.peer())
	}
}

func TestHandshakeRefused(t *testing.T) {
	creds := newCredentials(t)
	creds.revoke("revoked")
	stranger := newCredentials(t).client(t, "stranger")
	stranger.Verify = creds.authority.verify
	for name, c := range map[string]struct {
		o    dtls.ClientOptions
		want error
	}{
		"certificate of another CA": {stranger, dtls.ErrRefused},
		"revoked certificate":       {creds.client(t, "revoked"), errRevoked},
		"no certificate":            {dtls.ClientOptions{Verify: creds.authority.verify}, dtls.ErrHandshake},
		"unknown psk identity": {
			dtls.ClientOptions{PSKIdentity: []byte("nobody"), PSK: []byte("x")}, dtls.ErrUnknownIdentity,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, creds, nil)
			_, err := transport.Dial(t.Context(), transport.DialOptions{URI: s.uri(), Client: c.o, Engine: newEngine(t)})
			if !errors.Is(err, dtls.ErrHandshake) || !strings.Contains(err.Error(), "alert") {
				t.Errorf("Dial = %v, want an alert", err)
			}
			eventually(t, "Refused", func() bool { return s.refusal() != nil })
			if !errors.Is(s.refusal(), c.want) {
				t.Errorf("Refused(%v), want %v", s.refusal(), c.want)
			}
			if n := s.Stats(); n.Refused != 1 || n.Associations != 0 {
				t.Errorf("Stats = %+v", n)
			}
		})
	}
}

func TestWrongKeyTimesOut(t *testing.T) {
	s := newSite(t, newCredentials(t), func(o *transport.ListenOptions) { o.HandshakeTimeout = time.Second })
	_, err := transport.Dial(t.Context(), transport.DialOptions{
		URI: s.uri(), Engine: newEngine(t), HandshakeTimeout: 2 * time.Second,
		Client: dtls.ClientOptions{PSKIdentity: []byte("sensor"), PSK: []byte("guess")},
	})
	if !errors.Is(err, dtls.ErrTimeout) {
		t.Errorf("Dial = %v, want %v", err, dtls.ErrTimeout)
	}
	eventually(t, "Refused", func() bool { return s.refusal() != nil })
	if !errors.Is(s.refusal(), dtls.ErrTimeout) {
		t.Errorf("Refused(%v), want %v", s.refusal(), dtls.ErrTimeout)
	}
}

// sending is a socket that is not connected, for a handshake.
type sending struct {
	*net.UDPConn

	to *net.UDPAddr
}

func (s sending) Send(d []byte) error { _, err := s.WriteToUDP(d, s.to); return err }

func (s sending) Receive(deadline time.Time) ([]byte, error) {
	_ = s.SetReadDeadline(deadline)
	b := make([]byte, 4096)
	n, err := s.Read(b)
	return b[:n], err
}

// TestNoRenegotiation: a ClientHello under the keys gets a warning, and the
// association goes on.
func TestNoRenegotiation(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, nil)
	c := listenUDP(t)
	read := func(patience time.Duration) []byte {
		b := make([]byte, 2048)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		n, err := c.Read(b)
		if err != nil {
			return nil
		}
		return b[:n]
	}
	to := net.UDPAddrFromAddrPort(s.Addr())
	e, _, err := handshake.Connect(t.Context(), sending{c, to}, creds.client(t, "sensor"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	hello := clientHello(t)[13:]
	record, err := e.Session.Seal(nil, dtls.Handshake, hello)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.WriteToUDPAddrPort(record, s.Addr())
	r, _, err := dtls.ParseRecord(read(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	o, err := e.Session.Open(nil, r)
	if err != nil || o.Type != dtls.Alert || string(o.Plaintext) != "\x01\x64" {
		t.Errorf("answer %+v, %v, want the warning no_renegotiation", o, err)
	}
	// The client may be done before the server has put its handshake away.
	eventually(t, "one association, and no handshake", func() bool {
		n := s.Stats()
		return n.Associations == 1 && n.HandshakesPending == 0
	})
}

func TestServerRefusedByClient(t *testing.T) {
	s := newSite(t, newCredentials(t), nil)
	other := newCredentials(t)
	_, err := transport.Dial(t.Context(), transport.DialOptions{
		URI: s.uri(), Client: other.client(t, "sensor"), Engine: newEngine(t),
	})
	if !errors.Is(err, dtls.ErrRefused) {
		t.Errorf("Dial = %v, want %v", err, dtls.ErrRefused)
	}
	eventually(t, "end of the handshake", func() bool { return s.Stats().HandshakesPending == 0 })
}

func TestDrop(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, nil)
	e := newEngine(t)
	good, bad := dial(t, e, s.uri(), creds.client(t, "good")), dial(t, e, s.uri(), creds.client(t, "bad"))
	do(t, e, good, coap.GET, "")
	do(t, e, bad, coap.GET, "")
	n := 0
	for p := range s.Peers() {
		if p.Identity().Role == coap.RoleOperational {
			n++
		}
	}
	if n != 2 {
		t.Errorf("Peers yields %d", n)
	}
	creds.revoke("bad")
	if n := s.Drop(func(id coap.Identity) bool { return id.Name == "bad" }); n != 1 {
		t.Errorf("Drop = %d", n)
	}
	<-bad.Done()
	if got := do(t, e, good, coap.GET, ""); got != "good" {
		t.Errorf("GET = %q", got)
	}
	if n := s.Stats().Associations; n != 1 {
		t.Errorf("%d associations", n)
	}
}

// TestDropDuringHandshake: a certificate revoked between the judgement and the
// association must not slip through.
func TestDropDuringHandshake(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, nil)
	creds.onJudged(func() {
		creds.revoke("sensor")
		s.Drop(func(coap.Identity) bool { return true })
	})
	conn, err := transport.Dial(t.Context(), transport.DialOptions{
		URI: s.uri(), Client: creds.client(t, "sensor"), Engine: newEngine(t),
	})
	if err == nil { // completed for the client, and ended at once
		<-conn.Done()
	}
	eventually(t, "refusal", func() bool { return s.refusal() != nil })
	if !errors.Is(s.refusal(), errRevoked) {
		t.Errorf("Refused(%v), want %v", s.refusal(), errRevoked)
	}
	if n := s.Stats(); n.Associations != 0 {
		t.Errorf("Stats = %+v", n)
	}
}

func TestIdleTimeout(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) { o.IdleTimeout = 50 * time.Millisecond })
	conn := dial(t, newEngine(t), s.uri(), creds.client(t, "sensor"))
	<-conn.Done()
	eventually(t, "the end", func() bool {
		n := s.Stats()
		return n.Associations == 0 && n.Expired == 1
	})
}

func TestManyDevices(t *testing.T) {
	const devices = 200
	creds := newCredentials(t)
	s := newSite(t, creds, func(o *transport.ListenOptions) { o.HandshakeTimeout = time.Minute })
	e := newEngine(t)
	o := creds.client(t, "sensor")
	var wg sync.WaitGroup
	for range devices {
		wg.Go(func() {
			conn, err := transport.Dial(t.Context(), transport.DialOptions{
				URI: s.uri(), Client: o, Engine: e, HandshakeTimeout: time.Minute,
			})
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for range 5 {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				r, err := e.Do(ctx, conn, &coap.Request{Method: coap.POST, Path: []string{"x"}, Payload: []byte("hello")})
				cancel()
				if err != nil || !bytes.Equal(r.Payload, []byte("hello")) {
					t.Errorf("Do = %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := s.Stats().Handshakes; n != devices {
		t.Errorf("%d handshakes", n)
	}
	eventually(t, "all goodbyes", func() bool { return s.Stats().Associations == 0 })
}

// TestRunEnds: nothing of a listener or a connection is left running, and the
// peers are told.
func TestRunEnds(t *testing.T) {
	creds := newCredentials(t)
	e := newEngine(t)
	before := runtime.NumGoroutine()
	l, err := transport.Listen(transport.ListenOptions{Addr: "127.0.0.1:0", Credentials: creds, Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	conn := dial(t, e, "coaps://"+l.Addr().String(), creds.client(t, "sensor"))
	half := listenUDP(t)
	begin(t, half, l.Addr())
	eventually(t, "a handshake under way", func() bool { return l.Stats().HandshakesPending == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	<-conn.Done()
	eventually(t, "end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
}

func TestListenOptions(t *testing.T) {
	e := newEngine(t)
	for name, o := range map[string]transport.ListenOptions{
		"no engine":      {Addr: "127.0.0.1:0"},
		"negative limit": {Addr: "127.0.0.1:0", Engine: e, MaxHandshakes: -1},
		"negative time":  {Addr: "127.0.0.1:0", Engine: e, IdleTimeout: -1},
	} {
		if _, err := transport.Listen(o); !errors.Is(err, transport.ErrOptions) {
			t.Errorf("%s: Listen = %v, want %v", name, err, transport.ErrOptions)
		}
	}
	l, err := transport.Listen(transport.ListenOptions{Addr: "127.0.0.1:0", Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transport.Listen(transport.ListenOptions{Addr: l.Addr().String(), Engine: e}); err == nil {
		t.Error("Listen on a bound address succeeded")
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run(t.Context()) }()
	if err := l.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run on a closed socket = %v", err)
	}
}
