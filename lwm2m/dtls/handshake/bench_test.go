package handshake_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"testing"
	"time"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// BenchmarkServer measures the server's part of a handshake: the client's runs with
// the clock stopped.
func BenchmarkServer(b *testing.B) {
	creds := newCredentials(b)
	b.Run("floor", benchmarkFloor)
	for name, client := range map[string]func() *handshake.Client{
		"certificate": creds.certClient,
		"psk":         creds.pskClient,
		"ecdhe psk":   func() *handshake.Client { c := creds.pskClient(); c.Suite = ecPSKCCM8; return c },
	} {
		b.Run(name, func(b *testing.B) { benchmarkServer(b, newStage(b, creds, nil), client) })
	}
	b.Run("resumed", func(b *testing.B) {
		s := newStage(b, creds, nil)
		ticket, master := ticketOf(b, creds.certClient(), s)
		benchmarkServer(b, s, func() *handshake.Client {
			c := creds.certClient()
			c.Ticket, c.Master = ticket, master
			return c
		})
	})
}

func ticketOf(tb testing.TB, c *handshake.Client, s *stage) (ticket, master []byte) {
	tb.Helper()
	c.WantTicket = true
	s.must(tb, c)
	return c.NewTicket, c.NewMaster
}

func benchmarkServer(b *testing.B, s *stage, client func() *handshake.Client) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		c := client()
		s.outcomes = s.outcomes[:0]
		err := c.Run(func(d ...[]byte) [][]byte {
			b.StartTimer()
			out := s.post(somewhere, d...)
			b.StopTimer()
			return out
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkFloor is what no server can do without: a key, a signature, an agreement
// and two verifications on P-256.
func benchmarkFloor(b *testing.B) {
	signer, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdh.P256().GenerateKey(rand.Reader)
	digest := sha256.Sum256([]byte("hello"))
	for b.Loop() {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		signature, err := ecdsa.SignASN1(rand.Reader, signer, digest[:])
		if err != nil {
			b.Fatal(err)
		}
		if _, err := key.ECDH(other.PublicKey()); err != nil {
			b.Fatal(err)
		}
		for range 2 {
			if !ecdsa.VerifyASN1(&signer.PublicKey, digest[:], signature) {
				b.Fatal("signature")
			}
		}
	}
}

// BenchmarkSpoofed is what a ClientHello costs whose sender does not prove its
// address.
func BenchmarkSpoofed(b *testing.B) {
	creds := newCredentials(b)
	s := &quiet{}
	server, err := handshake.New(handshake.Options{Host: s, Credentials: creds})
	if err != nil {
		b.Fatal(err)
	}
	hello := firstHello(creds)
	from := netip.MustParseAddrPort("192.0.2.7:5684")
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if got := server.Hello(hello, from, s, now); got != handshake.Verified {
			b.Fatal(got)
		}
	}
}

// quiet is a host that sends nothing, and keeps what it should have sent last.
type quiet struct {
	last   []byte
	buffer [128]byte
}

func (q *quiet) Send(d []byte, _ netip.AddrPort)                 { q.last = q.buffer[:copy(q.buffer[:], d)] }
func (q *quiet) Admit(netip.AddrPort, time.Time) handshake.Place { return nil }

// firstHello is the first datagram of a client.
func firstHello(creds *credentials) (hello []byte) {
	_ = creds.certClient().Run(func(d ...[]byte) [][]byte {
		if hello == nil {
			hello = d[0]
		}
		return nil
	})
	return hello
}

var _ dtls.Resumer = (*credentials)(nil)
