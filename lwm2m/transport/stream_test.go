package transport_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// streamSite is a stream listener with its engine, running.
type streamSite struct {
	*transport.StreamListener
	site

	scheme string
}

func newStreamSite(tb testing.TB, c dtls.Credentials, change func(*transport.StreamOptions)) *streamSite {
	tb.Helper()
	s := &streamSite{scheme: "coap+tcp"}
	s.engine = coap.New(coap.Options{Handler: coap.HandlerFunc(s.serve), Params: fast})
	o := transport.StreamOptions{Addr: "127.0.0.1:0", Credentials: c, Engine: s.engine, Refused: s.refused}
	if c != nil {
		s.scheme = "coaps+tcp"
	}
	if change != nil {
		change(&o)
	}
	l, err := transport.ListenStream(o)
	if err != nil {
		tb.Fatal(err)
	}
	s.StreamListener = l
	run(tb, s.engine.Run)
	run(tb, l.Run)
	return s
}

func (s *streamSite) uri() string { return s.scheme + "://" + s.StreamListener.Addr().String() }

func (s *streamSite) streams() transport.StreamStats {
	return s.StreamListener.Stats() //nolint:staticcheck // QF1008: site has one, too
}

// TestStream: bodies of any size, requests of either side, and either side's end.
func TestStream(t *testing.T) {
	creds := newCredentials(t)
	for _, c := range []dtls.Credentials{nil, creds} {
		s := newStreamSite(t, c, nil)
		t.Run(s.scheme, func(t *testing.T) {
			e := newEngine(t)
			conn := dial(t, e, s.uri(), creds.client(t, "sensor"))
			if body := strings.Repeat("x", 5000); do(t, e, conn, coap.POST, body) != body {
				t.Error("the body came back changed")
			}
			name, want := do(t, e, conn, coap.GET, ""), coap.Identity{}
			if c != nil {
				want.Role = coap.RoleServer
				if name != "sensor" || conn.Identity().Name != "server" {
					t.Errorf("names %q and %q", name, conn.Identity().Name)
				}
			}
			if conn.Identity().Role != want.Role || !conn.Stream() {
				t.Errorf("Identity = %+v", conn.Identity())
			}
			peer := s.peer()
			if near, far := bindingOf(t, conn), bindingOf(t, peer); !bytes.Equal(near, far) || (near != nil) != (c != nil) {
				t.Errorf("bindings %x and %x", near, far)
			}
			if got := do(t, s.engine, peer, coap.GET, ""); got != "device" {
				t.Errorf("the device answered %q", got)
			}
			if peer.Addr() != conn.LocalAddr() || !strings.HasPrefix(peer.String(), s.scheme+"://127.0.0.1:") {
				t.Errorf("peer %s at %s, want %s", peer, peer.Addr(), conn.LocalAddr())
			}
			for _, p := range []struct {
				e *coap.Engine
				coap.Peer
			}{{e, conn}, {s.engine, peer}} {
				if err := p.e.Ping(t.Context(), p.Peer); err != nil {
					t.Errorf("Ping of %s = %v", p, err)
				}
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			eventually(t, "the end of the connection", func() bool { return s.streams().Connections == 0 })
			if err := peer.Send([]byte{0x50, 1, 0, 0}); !errors.Is(err, coap.ErrClosed) {
				t.Errorf("Send after the end = %v, want ErrClosed", err)
			}
			again := dial(t, e, s.uri(), creds.client(t, "sensor"))
			do(t, e, again, coap.GET, "")
			if n := s.Drop(func(id coap.Identity) bool { return c == nil || id.Name == "sensor" }); n != 1 {
				t.Errorf("Drop = %d, want 1", n)
			}
			<-again.Done()
			if n := s.streams(); n.Broken+n.Failed+n.Limited != 0 || n.Accepted != 2 {
				t.Errorf("Stats = %+v", n)
			}
		})
	}
}

// TestStreamRefuses: TLS ends where Identify says no, and nothing is left of it.
func TestStreamRefuses(t *testing.T) {
	creds, stranger := newCredentials(t), newCredentials(t)
	s := newStreamSite(t, creds, nil)
	creds.revoke("lost")
	e := newEngine(t)
	foreign := dtls.ClientOptions{Certificate: stranger.authority.issue(t, "sensor"), Verify: creds.authority.verify}
	for name, c := range map[string]struct {
		o       dtls.ClientOptions
		err     error
		refused bool
	}{
		"nothing to trust":    {dtls.ClientOptions{}, dtls.ErrNoVerify, false},
		"pre-shared key":      {psk(), transport.ErrNoPSK, false},
		"server not trusted":  {stranger.client(t, "sensor"), dtls.ErrRefused, false},
		"no certificate":      {dtls.ClientOptions{Verify: creds.authority.verify}, nil, false},
		"foreign certificate": {foreign, nil, true},
		"revoked":             {creds.client(t, "lost"), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.allRefusals())
			conn, err := transport.Dial(t.Context(), transport.DialOptions{URI: s.uri(), Engine: e, Client: c.o})
			if c.err != nil && !errors.Is(err, c.err) || c.err != nil && conn != nil {
				t.Fatalf("Dial = %v, want %v", err, c.err)
			}
			if err == nil { // TLS 1.3: the server judges after the client is done
				<-conn.Done()
			}
			eventually(t, "the end", func() bool { return s.streams().Connections == 0 })
			if got := len(s.allRefusals()) - before; (got == 1) != c.refused {
				t.Errorf("%d refusals, want %t", got, c.refused)
			}
		})
	}
}

// TestStreamLimits: too many connections are closed at once, and a place that is
// free again is given to others.
func TestStreamLimits(t *testing.T) {
	for name, limit := range map[string]func(*transport.StreamOptions){
		"in total":   func(o *transport.StreamOptions) { o.MaxConnections = 2 },
		"per prefix": func(o *transport.StreamOptions) { o.MaxPerPrefix = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreamSite(t, nil, limit)
			open := []net.Conn{rawStream(t, s), rawStream(t, s)}
			third := rawStream(t, s)
			if _, err := third.Read(make([]byte, 1)); err == nil {
				t.Error("the third connection was served")
			}
			_ = open[0].Close()
			eventually(t, "room", func() bool { return s.streams().Connections == 1 })
			if _, err := rawStream(t, s).Read(make([]byte, 1)); err != nil {
				t.Errorf("after one was closed: %v", err)
			}
			if n := s.streams(); n.Limited != 1 || n.Accepted != 3 {
				t.Errorf("Stats = %+v", n)
			}
		})
	}
	s := newStreamSite(t, nil, func(o *transport.StreamOptions) { o.PrefixRate = 1 })
	for range 3 {
		rawStream(t, s)
	}
	eventually(t, "the rate", func() bool { return s.streams().Limited >= 1 })
}

func rawStream(t *testing.T, s *streamSite) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.StreamListener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestStreamHandshakeEnds: who connects and says nothing is gone after
// HandshakeTimeout, with TLS as without; and Run does not wait for it.
func TestStreamHandshakeEnds(t *testing.T) {
	creds := newCredentials(t)
	for _, c := range []dtls.Credentials{nil, creds} {
		s := newStreamSite(t, c, func(o *transport.StreamOptions) { o.HandshakeTimeout = 100 * time.Millisecond })
		silent := rawStream(t, s)
		if _, err := io.Copy(io.Discard, silent); err != nil {
			t.Error(err)
		}
		eventually(t, "the end", func() bool { return s.streams().Connections == 0 })
	}
	s := newStreamSite(t, creds, nil)
	rawStream(t, s) // the cleanup of s fails if Run waits for it
	eventually(t, "the connection", func() bool { return s.streams().Connections == 1 })
}

// TestStreamAbortArrives: the peer reads why, although it was still sending.
func TestStreamAbortArrives(t *testing.T) {
	s := newStreamSite(t, nil, nil)
	c := rawStream(t, s)
	if _, err := c.Write(append([]byte{0, 0xe1, 0xe0, 0xff, 0xff}, make([]byte, 20000)...)); err != nil {
		t.Fatal(err)
	}
	heard, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(heard), "Max-Message-Size") && !strings.Contains(string(heard), "too long") {
		t.Errorf("heard %q, %v", heard, err)
	}
}

// bySNI are credentials with a certificate for each name.
type bySNI struct {
	*credentials

	mu    sync.Mutex
	asked []string
	names map[string]*tls.Certificate
}

func (b *bySNI) Certificate(name string) (*tls.Certificate, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, name)
	if c := b.names[name]; c != nil {
		return c, nil
	}
	return b.server, nil
}

// TestSNI: the certificate is that of the name asked for, over DTLS as over TLS.
func TestSNI(t *testing.T) {
	creds := newCredentials(t)
	named := &bySNI{credentials: creds, names: map[string]*tls.Certificate{
		"a.example": creds.authority.issue(t, "a"), "b.example": creds.authority.issue(t, "b"),
	}}
	for _, uri := range []string{newSite(t, named, nil).uri(), newStreamSite(t, named, nil).uri()} {
		e := newEngine(t)
		for name, want := range map[string]string{"a.example": "a", "b.example": "b", "c.example": "server", "": "server"} {
			o := creds.client(t, "sensor")
			o.ServerName = name
			conn := dial(t, e, uri, o)
			if got := conn.Identity().Name; got != want {
				t.Errorf("%s, server name %q: certificate of %q, want %q", uri, name, got, want)
			}
			do(t, e, conn, coap.GET, "")
		}
	}
}

// TestStreamTLSVersions: 1.2 and 1.3, as openssl speaks them.
func TestStreamTLSVersions(t *testing.T) {
	creds := newCredentials(t)
	cert := creds.authority.issue(t, "sensor")
	for _, version := range []uint16{tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		s := newStreamSite(t, creds, nil)
		pool := x509.NewCertPool()
		pool.AddCert(creds.authority.cert)
		d := tls.Dialer{Config: &tls.Config{
			Certificates: []tls.Certificate{*cert}, RootCAs: pool, NextProtos: []string{"coap"},
			MinVersion: version, MaxVersion: version,
		}}
		c, err := d.DialContext(t.Context(), "tcp", s.StreamListener.Addr().String())
		if (err == nil) != (version >= tls.VersionTLS12) {
			t.Fatalf("%s: %v", tls.VersionName(version), err)
		}
		if err != nil {
			continue
		}
		head := make([]byte, 6)
		if _, err := io.ReadFull(c, head); err != nil || fmt.Sprintf("%x", head) != csm {
			t.Errorf("%s: %x, %v, want the CSM", tls.VersionName(version), head, err)
		}
		_ = c.Close()
	}
}

// TestStreamsOfLibcoap: coap-client over TCP and TLS, with a body in blocks.
func TestStreamsOfLibcoap(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.authority.issue(t, "sensor"))
	plain := newStreamSite(t, nil, nil)
	body := strings.Repeat("0123456789abcdef", 300)
	out := program(t, "coap-client-notls", "-m", "post", "-e", body, plain.uri()+"/x")
	if !strings.Contains(out, body) {
		t.Errorf("coap-client-notls: %s", out)
	}
	for _, client := range []string{"coap-client-openssl", "coap-client-gnutls"} {
		t.Run(client, func(t *testing.T) {
			s := newStreamSite(t, creds, nil)
			out := program(t, client, "-c", cert, "-j", key, "-C", anchor, "-m", "get", s.uri()+"/x")
			if !strings.Contains(out, "sensor") {
				t.Errorf("%s: %s", client, out)
			}
			out = program(t, client, "-c", cert, "-j", key, "-C", anchor, "-m", "post", "-e", body, s.uri()+"/x")
			if !strings.Contains(out, body) {
				t.Errorf("%s: %s", client, out)
			}
			eventually(t, "its goodbye", func() bool { return s.streams().Connections == 0 })
		})
	}
}

func TestListenStreamRefuses(t *testing.T) {
	e := coap.New(coap.Options{})
	for name, o := range map[string]transport.StreamOptions{
		"no engine":      {Addr: "127.0.0.1:0"},
		"negative limit": {Addr: "127.0.0.1:0", Engine: e, MaxConnections: -1},
	} {
		if _, err := transport.ListenStream(o); !errors.Is(err, transport.ErrOptions) {
			t.Errorf("%s: %v, want ErrOptions", name, err)
		}
	}
	l, err := transport.ListenStream(transport.StreamOptions{Addr: "127.0.0.1:0", Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	if !l.Addr().IsValid() || l.Addr().Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("Addr = %v", l.Addr())
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Errorf("Close = %v", err)
	}
}
