package transport_test

import (
	"context"
	"net/netip"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// BenchmarkHandshake counts both sides.
func BenchmarkHandshake(b *testing.B) {
	creds := newCredentials(b)
	for name, o := range map[string]dtls.ClientOptions{"certificate": creds.client(b, "sensor"), "psk": psk()} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, creds, func(o *transport.ListenOptions) { o.PrefixRate = 1 << 20 })
			e := newEngine(b)
			b.ReportAllocs()
			for b.Loop() {
				conn, err := transport.Dial(b.Context(), transport.DialOptions{URI: s.uri(), Client: o, Engine: e})
				if err != nil {
					b.Fatal(err)
				}
				_ = conn.Close()
			}
		})
	}
}

// BenchmarkPost counts both sides of a small confirmable POST.
func BenchmarkPost(b *testing.B) {
	creds := newCredentials(b)
	for name, secure := range map[string]bool{"udp": false, "dtls ccm8 cid": true} {
		b.Run(name, func(b *testing.B) {
			e := newEngine(b)
			var s *site
			var conn coap.Peer
			if secure {
				s = newSite(b, creds, nil)
				conn = dial(b, e, s.uri(), creds.client(b, "sensor"))
			} else {
				s = newSite(b, nil, nil)
				conn = dial(b, e, "coap://"+s.Addr().String(), dtls.ClientOptions{})
			}
			b.ReportAllocs()
			for b.Loop() {
				do(b, e, conn, coap.POST, "23.5")
			}
		})
	}
}

// BenchmarkRecord counts the server's side of a confirmable POST of four bytes:
// the record is opened, the request answered, and the answer sealed and written,
// 64 at a time. Nothing of it should allocate but the handler's answer.
func BenchmarkRecord(b *testing.B) {
	const batch = 64
	answer := &coap.Response{Code: coap.NotFound}
	e := coap.New(coap.Options{
		Handler: coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response { return answer }),
		Quick:   func(*coap.Request) bool { return true },
	})
	run(b, e.Run)
	l, err := transport.Listen(transport.ListenOptions{Addr: "127.0.0.1:0", Credentials: newCredentials(b), Engine: e})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	sink := listenUDP(b)
	from := netip.MustParseAddrPort(sink.LocalAddr().String())
	speakers := transport.FillSpeakers(b, l, batch)
	records := make([][]byte, batch)
	b.ReportAllocs()
	for id := uint16(0); b.Loop(); id++ {
		b.StopTimer()
		for i, s := range speakers {
			records[i] = s.Seal(b, []byte{0x40, byte(coap.POST), byte(id >> 8), byte(id), 0xb1, 'x', 0xff, '2', '3', '.', '5'})
		}
		b.StartTimer()
		transport.HandOver(l, records, from)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/record")
	if n := l.Stats(); n.DatagramsOut < uint64(b.N)*batch {
		b.Errorf("%d answers to %d requests", n.DatagramsOut, b.N*batch)
	}
}
