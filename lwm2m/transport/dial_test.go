package transport_test

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

func TestParseURI(t *testing.T) {
	for _, c := range []struct {
		in, host string
		port     uint16
		secure   bool
		err      error
	}{
		{"coap://127.0.0.1", "127.0.0.1", 5683, false, nil},
		{"coaps://sp.example", "sp.example", 5684, true, nil},
		{"coaps://[2001:db8::1]:61616/rd?ep=a", "2001:db8::1", 61616, true, nil},
		{"https://127.0.0.1", "", 0, false, transport.ErrOptions},
		{"coaps://", "", 0, false, transport.ErrOptions},
		{"coaps://127.0.0.1:0", "", 0, false, transport.ErrOptions},
		{"coaps://127.0.0.1:65536", "", 0, false, transport.ErrOptions},
		{"coaps://%zz", "", 0, false, transport.ErrOptions},
	} {
		host, port, secure, err := transport.ParseURI(c.in)
		if !errors.Is(err, c.err) || err == nil && (host != c.host || port != c.port || secure != c.secure) {
			t.Errorf("ParseURI(%q) = %q, %d, %t, %v", c.in, host, port, secure, err)
		}
	}
}

func TestDialRefuses(t *testing.T) {
	e := newEngine(t)
	s := newSite(t, newCredentials(t), nil)
	foreign := netip.MustParseAddrPort("192.0.2.1:0")
	const nobody = "coaps://127.0.0.1:9"
	for name, c := range map[string]struct {
		o   transport.DialOptions
		err error
	}{
		"no engine":          {transport.DialOptions{URI: s.uri()}, transport.ErrOptions},
		"no scheme":          {transport.DialOptions{URI: "127.0.0.1", Engine: e}, transport.ErrOptions},
		"nothing to trust":   {transport.DialOptions{URI: s.uri(), Engine: e}, dtls.ErrNoVerify},
		"address not ours":   {transport.DialOptions{URI: s.uri(), Engine: e, LocalAddr: foreign}, nil},
		"nobody at the port": {transport.DialOptions{URI: nobody, Engine: e, Client: psk()}, dtls.ErrHandshake},
	} {
		conn, err := transport.Dial(t.Context(), c.o)
		if name == "nobody at the port" && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial = %v, want %v", err, syscall.ECONNREFUSED)
		}
		if err == nil || c.err != nil && !errors.Is(err, c.err) || conn != nil {
			t.Errorf("%s: Dial = %v, want %v", name, err, c.err)
		}
	}
}

func psk() dtls.ClientOptions {
	return dtls.ClientOptions{PSKIdentity: []byte("sensor"), PSK: []byte("0123456789abcdef")}
}

func TestDialDeadline(t *testing.T) {
	for _, bound := range []bool{false, true} {
		silent := listenUDP(t)
		o := transport.DialOptions{
			URI: "coaps://" + silent.LocalAddr().String(), Engine: newEngine(t), Client: psk(),
		}
		o.Client.Bound = bound
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := transport.Dial(ctx, o)
		cancel()
		if !errors.Is(err, dtls.ErrTimeout) {
			t.Errorf("Dial = %v, want %v", err, dtls.ErrTimeout)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		began := time.Now()
		if _, err = transport.Dial(ctx, o); !errors.Is(err, dtls.ErrHandshake) || time.Since(began) > 5*time.Second {
			t.Errorf("Dial given up = %v after %v", err, time.Since(began))
		}
		silent.Close()
		if _, err = transport.Dial(t.Context(), o); !errors.Is(err, dtls.ErrHandshake) {
			t.Errorf("Dial where nobody listens = %v", err)
		}
	}
}

// TestConnOutlivesServer: a server that vanished is a lost datagram, and what
// it left is closed without complaint.
func TestConnOutlivesServer(t *testing.T) {
	e := newEngine(t)
	silent := listenUDP(t)
	conn := dial(t, e, "coap://"+silent.LocalAddr().String(), dtls.ClientOptions{})
	silent.Close()
	for range 3 {
		if err := conn.Send([]byte{0x40, 0, 0, 1}); err != nil {
			t.Errorf("Send = %v", err)
		}
	}
	if err := conn.Send(make([]byte, transport.MaxDatagram+1)); !errors.Is(err, transport.ErrTooLong) {
		t.Errorf("Send = %v, want %v", err, transport.ErrTooLong)
	}
	if err := conn.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	<-conn.Done()
	if conn.Identity() != (coap.Identity{}) || conn.String() == "" {
		t.Errorf("Identity = %+v", conn.Identity())
	}
}
