package coap_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"steward/lwm2m/coap"
)

// device is a peer in memory that answers at once.
type device struct {
	wireless
	to       *coap.Engine
	observed []byte // token
	answer   []byte
}

// wireless is the part of a peer that nobody asks.
type wireless struct{ null }

// Send implements coap.Peer: every request is answered 2.05 with Observe. It
// allocates nothing, for others are measured.
func (d *device) Send(datagram []byte) error {
	const request, ack = 0x41, 0x60
	if datagram[1] == 0 || datagram[1] >= request {
		return nil
	}
	n := 4 + int(datagram[0]&15)
	d.observed = append(d.observed[:0], datagram[4:n]...)
	d.answer = append(d.answer[:0], ack|datagram[0]&15, byte(coap.Content))
	d.answer = append(d.answer, datagram[2:n]...)
	d.answer = append(d.answer, 0x61, 1, 0x61, 112, 0xff, '2', '1', '.', '5')
	d.to.Receive(d, d.answer)
	return nil
}

// heap returns the bytes in use after a full collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A record is what somebody who observes keeps of an observation.
type record struct{ n int }

func (r *record) notified(*coap.Response) { r.n++ }

// TestQuietObservation bounds what an observation costs when nothing happens:
// the request, its context and its answer are gone.
func TestQuietObservation(t *testing.T) {
	const peers, each, most = 10000, 3, 200
	e := coap.New(coap.Options{})
	devices := make([]device, peers)
	records := make([]record, peers*each)
	paths := [each][]string{{"3303", "0", "5700"}, {"3", "0", "9"}, {"4", "0", "2"}}
	observations := make([]*coap.Observation, 0, peers*each)
	for i := range devices { // buffers of the devices come to stay
		devices[i].to = e
		devices[i].observed = make([]byte, 0, 8)
		devices[i].answer = make([]byte, 0, 64)
	}
	before := heap()
	for i := range devices {
		for k, path := range paths {
			ctx, cancel := context.WithCancel(t.Context())
			r := &coap.Request{Method: coap.GET, Path: path, Accept: coap.FormatID(112)}
			_, o, err := e.Observe(ctx, &devices[i], r, records[i*each+k].notified)
			if err != nil || o == nil {
				t.Fatal(o, err)
			}
			observations = append(observations, o)
			cancel()
		}
	}
	bytes := float64(heap()-before) / float64(peers*each)
	t.Logf("%.0f bytes an observation, with the caller's method value", bytes)
	if bytes > most {
		t.Errorf("%.0f bytes an observation, want at most %d", bytes, most)
	}
	for _, o := range observations {
		o.Forget()
	}
	runtime.KeepAlive(devices)
	runtime.KeepAlive(records)
	if s := e.State(); s != (coap.State{}) {
		t.Errorf("left %+v", s)
	}
}

// BenchmarkDo is one GET answered at once by the peer.
func BenchmarkDo(b *testing.B) {
	e := coap.New(coap.Options{})
	d := &device{to: e}
	r := &coap.Request{Method: coap.GET, Path: []string{"3303", "0", "5700"}, Accept: coap.FormatID(112)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Do(b.Context(), d, r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNotification is one confirmable notification until it is delivered.
func BenchmarkNotification(b *testing.B) {
	// An id comes again soon.
	e := coap.New(coap.Options{Params: coap.Params{ExchangeLifetime: time.Millisecond}})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { _ = e.Run(ctx); close(done) }()
	d := &device{to: e}
	told := make(chan struct{}, 1)
	r := &coap.Request{Method: coap.GET, Path: []string{"3303", "0", "5700"}, Accept: coap.FormatID(112)}
	if _, o, err := e.Observe(b.Context(), d, r, func(*coap.Response) { told <- struct{}{} }); err != nil || o == nil {
		b.Fatal(o, err)
	}
	var datagram []byte
	b.ReportAllocs()
	for n := uint32(2); b.Loop(); n++ {
		m := coap.Message{
			Code: coap.Content, ID: uint16(n), Token: d.observed, Payload: []byte("21.5"),
			Options: []coap.Option{{ID: 6, Value: []byte{byte(n >> 16), byte(n >> 8), byte(n)}}, {ID: 12, Value: []byte{112}}},
		}
		datagram, _ = m.Append(datagram[:0])
		e.Receive(d, datagram)
		<-told
	}
	cancel()
	<-done
}
