package ets_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// codeCSM is Capabilities and Settings (RFC 8323 §5.3).
const codeCSM = 0xe1

// frame makes of a message of UDP one of TCP (RFC 8323 §3.2): without type and id,
// with a length.
func frame(m []byte) []byte {
	tokens := int(m[0] & 15)
	rest := m[4+tokens:]
	n, more := nibble(len(rest))
	if len(rest) >= 269+65536 {
		panic("too long for the test")
	}
	b := append([]byte{n<<4 | m[0]&15}, more...)
	b = append(append(b, m[1]), m[4:4+tokens]...)
	return append(b, rest...)
}

// unframe reads a frame as a non-confirmable message of UDP.
func unframe(r *bufio.Reader) ([]byte, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	n := uint32(first >> 4)
	if n >= 13 {
		base := []uint32{13, 269, 65805}[n-13]
		b := make([]byte, 4)
		if _, err := io.ReadFull(r, b[4-1<<(n-13):]); err != nil {
			return nil, err
		}
		n = base + binary.BigEndian.Uint32(b)
	}
	b := make([]byte, 1+uint32(first&15)+n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	return append([]byte{1<<6 | non<<4 | first&15, b[0], 0, 0}, b[1:]...), nil
}

// listenStream opens a TCP listener of a world, with TLS if it has credentials.
func (x *world) listenStream(c dtls.Credentials) string {
	x.t.Helper()
	l, err := transport.ListenStream(transport.StreamOptions{Addr: "127.0.0.1:0", Credentials: c, Engine: x.engine})
	x.must("listen", err)
	start(x.t, l.Run)
	return l.Addr().String()
}

// dialStream joins a device by TCP, or TLS. It returns when the server has told its
// capabilities.
func dialStream(t *testing.T, address string, config *tls.Config) *device {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		secure := tls.Client(conn, config)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			t.Fatal(err)
		}
		conn = secure
	}
	d := newDevice(t, func(b []byte) { _, _ = conn.Write(frame(b)) })
	d.patient = 10 * time.Second
	told, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		r := bufio.NewReader(conn)
		for first := true; ; first = false {
			b, err := unframe(r)
			switch {
			case err != nil:
				return
			case b[1] == codeCSM && first:
				close(told)
			case b[1]>>5 != 7:
				d.arrive(b)
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	d.send(message{code: codeCSM}.bytes())
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Fatal("no CSM of the server")
	}
	return d
}

const queryTCP = "ep=alpha&lt=300&lwm2m=1.1&b=T"

func ets106(t *testing.T) {
	x := newWorld(t)
	d := dialStream(t, x.listenStream(nil), nil)
	d.register(queryTCP, links)
	if r := x.registration(); r.Binding != "T" {
		t.Errorf("binding %q", r.Binding)
	}
	x.readsDevice(d)
}

func ets404(t *testing.T) {
	x, ca := newWorld(t), newAuthority(t)
	address := x.listenStream(&credentials{own: ca.issue(t, "server.example.com"), judge: ca.judge})
	mine := ca.issue(t, "alpha")
	x.gives(nil, secured("coaps+tcp://"+address, 2, map[uint16][]byte{3: mine.Certificate[0], 4: ca.cert.Raw}))
	config := &tls.Config{
		Certificates: []tls.Certificate{*mine}, InsecureSkipVerify: true, NextProtos: []string{"coap"},
		MinVersion: tls.VersionTLS12, ServerName: "server.example.com",
		VerifyConnection: func(c tls.ConnectionState) error {
			_, err := ca.verify([][]byte{c.PeerCertificates[0].Raw}, "server.example.com")
			return err
		},
	}
	got := x.delivered(dialStream(t, address, config))
	if got[0] != "coaps+tcp://"+address {
		t.Errorf("account %v", got)
	}
	d := dialStream(t, address, config)
	d.register(queryTCP, links)
	x.readsDevice(d)
}
