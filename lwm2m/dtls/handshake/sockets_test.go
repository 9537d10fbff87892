package handshake_test

import (
	"context"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
	"steward/lwm2m/transport"
)

// BenchmarkSockets measures both sides of handshakes through a listener's sockets, in
// one process: CPU µs of user and system time, the client's included.
func BenchmarkSockets(b *testing.B) {
	creds := newCredentials(b)
	l, err := transport.Listen(transport.ListenOptions{
		Addr: "127.0.0.1:0", Credentials: creds, PrefixRate: 1 << 30,
		Engine: coap.New(coap.Options{Handler: coap.HandlerFunc(
			func(context.Context, *coap.Request) *coap.Response { return &coap.Response{Code: coap.Content} })}),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	defer func() { cancel(); <-done }()
	first := creds.certClient()
	first.WantTicket = true
	if err := first.Run(over(b, l)); err != nil {
		b.Fatal(err)
	}
	for name, client := range map[string]func() *handshake.Client{
		"certificate": creds.certClient, "psk": creds.pskClient,
		"resumed": func() *handshake.Client {
			c := creds.certClient()
			c.Ticket, c.Master = first.NewTicket, first.NewMaster
			return c
		},
	} {
		b.Run(name, func(b *testing.B) {
			exchanges := make([]func(...[]byte) [][]byte, sockets)
			for i := range exchanges {
				exchanges[i] = over(b, l)
			}
			complete := l.Stats().Handshakes
			before := used()
			for i := range b.N {
				if err := client().Run(exchanges[i%sockets]); err != nil {
					b.Fatal(err)
				}
			}
			for l.Stats().Handshakes < complete+uint64(b.N) {
				runtime.Gosched()
			}
			b.ReportMetric(float64((used()-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// sockets are so many that no handshake begins where another is not complete.
const sockets = 64

// used is the CPU time of this process.
func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// over exchanges datagrams with a listener through a socket: an answer is over with
// the record that ends a flight.
func over(b *testing.B, l *transport.Listener) func(...[]byte) [][]byte {
	b.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(l.Addr()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	buffer := make([]byte, 4096)
	return func(datagrams ...[]byte) (out [][]byte) {
		var all []byte
		for _, d := range datagrams {
			all = append(all, d...)
		}
		_, _ = c.Write(all)
		if len(datagrams) == 2 { // the last flight of a resumption, which is not answered
			return nil
		}
		for {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			n, err := c.Read(buffer)
			if err != nil {
				return out
			}
			d := append([]byte(nil), buffer[:n]...)
			out = append(out, d)
			if ends(d) {
				return out
			}
		}
	}
}

// ends reports whether a datagram holds the last record of a flight: of an epoch with
// keys, or a HelloVerifyRequest, or a ServerHelloDone.
func ends(d []byte) bool {
	for len(d) > 0 {
		r, rest, err := dtls.ParseRecord(d)
		if err != nil {
			return true
		}
		if r.Epoch > 0 || len(r.Fragment) > 0 && (r.Fragment[0] == 3 || r.Fragment[0] == 14) {
			return true
		}
		d = rest
	}
	return false
}
