package coap_test

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"

	"steward/lwm2m/coap"
)

// tap is a peer that tells of each datagram sent.
type tap struct{ sent chan struct{} }

func (p *tap) Send([]byte) error       { p.sent <- struct{}{}; return nil }
func (p *tap) Identity() coap.Identity { return coap.Identity{} }
func (p *tap) Addr() netip.AddrPort    { return netip.AddrPort{} }
func (p *tap) String() string          { return "tap" }

// BenchmarkEngineSmallPost is one confirmable POST through the server side.
func BenchmarkEngineSmallPost(b *testing.B) {
	answer := &coap.Response{Code: coap.Changed}
	h := coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response { return answer })
	e := coap.New(coap.Options{Handler: h})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { _ = e.Run(ctx); close(done) }()
	peers := make([]*tap, 1000)
	for i := range peers {
		peers[i] = &tap{make(chan struct{}, 1)}
	}
	d := unhex(b, "4402b60b2161fb63b13101300138ff68656c6c6f")
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		p := peers[n%len(peers)]
		binary.BigEndian.PutUint16(d[2:], uint16(n/len(peers)))
		e.Receive(p, d)
		<-p.sent
	}
	cancel()
	<-done
}

// BenchmarkParse is the codec alone.
func BenchmarkParse(b *testing.B) {
	d := unhex(b, "4402b60b2161fb63b13101300138ff68656c6c6f")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := coap.Parse(d); err != nil {
			b.Fatal(err)
		}
	}
}

// null is a peer that swallows what is sent.
type null struct{ n int }

func (p *null) Send([]byte) error       { p.n++; return nil }
func (p *null) Identity() coap.Identity { return coap.Identity{} }
func (p *null) Addr() netip.AddrPort    { return netip.AddrPort{} }
func (p *null) String() string          { return "null" }

// BenchmarkQuickPost is one confirmable POST that the handler answers at once.
func BenchmarkQuickPost(b *testing.B) {
	answer := &coap.Response{Code: coap.Changed}
	h := coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response { return answer })
	e := coap.New(coap.Options{Handler: h, Quick: func(*coap.Request) bool { return true }})
	peers := make([]null, 1000)
	d := unhex(b, "4402b60b2161fb63b13101300138ff68656c6c6f")
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		p := &peers[n%len(peers)]
		binary.BigEndian.PutUint16(d[2:], uint16(n/len(peers)))
		e.Receive(p, d)
	}
}
