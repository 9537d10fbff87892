package transport_test

import (
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
