package coap_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
)

// The attacks last ten minutes of the bubble's time.
const (
	attack = 10 * time.Minute
	volley = 100 * time.Millisecond // between two of several messages
)

// besiege has one peer send what shoot makes, 10 datagrams each volley, and
// another one ask for something each second, which must be answered. watch sees
// the engine after each second.
func besiege(t *testing.T, o coap.Options, shoot func(n int) coap.Message, watch func(t *testing.T, s coap.State)) {
	t.Helper()
	alone(t, o, func(t *testing.T, e *coap.Engine, attacker *wire) {
		t.Helper()
		victim := &wire{}
		n := 0
		for began := time.Now(); time.Since(began) < attack; {
			for range int(time.Second / volley) {
				for range 10 {
					e.Receive(attacker, encode(t, shoot(n)))
					n++
				}
				time.Sleep(volley)
				attacker.take(t)
			}
			watch(t, e.State())
			request := coap.Message{Code: coap.POST, ID: uint16(n), Token: []byte("v"), Payload: []byte("alive")}
			receive(t, e, victim, request)
			first := victim.take(t)
			receive(t, e, victim, request) // a duplicate, which must still be known
			again := victim.take(t)
			if len(first) != 1 || first[0].Code != coap.Content || len(again) != 1 || !same(first[0], again[0]) {
				t.Fatalf("after %v: answered %+v, then %+v", time.Since(began), first, again)
			}
		}
		if err := e.Check(); err != nil {
			t.Error(err)
		}
		time.Sleep(attack)
		e.Closed(attacker)
		if s := e.State(); s != (coap.State{}) {
			t.Errorf("left %+v", s)
		}
	})
}

// TestFloodOfMessages sends requests with ever new ids.
func TestFloodOfMessages(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			const dedup = 16384
			o := coap.Options{Handler: coap.HandlerFunc(echo), Quick: way.quick, MaxDedup: dedup}
			shoot := func(n int) coap.Message {
				return coap.Message{Type: coap.NON, Code: coap.GET, ID: uint16(n), Token: []byte{1}}
			}
			besiege(t, o, shoot, func(t *testing.T, s coap.State) {
				t.Helper()
				// Its share, what those beyond theirs have together, and the victim's.
				if s.Dedup > 2048+dedup/16+300 || s.Handlers > 0 || s.Workers > 100 {
					t.Fatalf("%+v", s)
				}
			})
		})
	}
}

// TestFloodOfBlocks begins ever new uploads and ends none.
func TestFloodOfBlocks(t *testing.T) {
	shoot := func(n int) coap.Message {
		return coap.Message{
			Type: coap.NON, Code: coap.PUT, ID: uint16(n), Token: []byte{1}, Payload: make([]byte, 1024),
			Options: []coap.Option{
				{ID: 11, Value: []byte("x")},
				{ID: 27, Value: []byte{0x0e}},
				{ID: 292, Value: binary.BigEndian.AppendUint32(nil, uint32(n))},
			},
		}
	}
	besiege(t, coap.Options{Handler: coap.HandlerFunc(echo)}, shoot, func(t *testing.T, s coap.State) {
		t.Helper()
		if s.Bodies > 16 || s.BodyBytes > 16*1024 {
			t.Fatalf("%+v", s)
		}
	})
}

// TestFloodOfObserves asks for ever new observations, of handlers that accept.
func TestFloodOfObserves(t *testing.T) {
	h := coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		resp := echo(ctx, r)
		resp.Observe = r.Observe == coap.ObserveRegister
		return resp
	})
	shoot := func(n int) coap.Message {
		return coap.Message{
			Type: coap.NON, Code: coap.GET, ID: uint16(n), Token: binary.BigEndian.AppendUint32(nil, uint32(n)),
			Options: []coap.Option{{ID: 6}},
		}
	}
	besiege(t, coap.Options{Handler: h}, shoot, func(t *testing.T, s coap.State) {
		t.Helper()
		if s.Observers > 512 {
			t.Fatalf("%+v", s)
		}
	})
}

// TestFloodOfNotifications has a peer notify faster than anybody listens: it
// occupies one goroutine, and what waits is bounded.
func TestFloodOfNotifications(t *testing.T) {
	delivered := 0
	alone(t, coap.Options{MaxHandlers: 2}, func(t *testing.T, e *coap.Engine, _ *wire) {
		t.Helper()
		noisy, calm := &device{to: e}, &device{to: e}
		for _, d := range []*device{noisy, calm} {
			_, o, err := e.Observe(t.Context(), d, &coap.Request{Method: coap.GET}, func(*coap.Response) {
				time.Sleep(time.Second)
				if d == calm {
					delivered++
				}
			})
			if err != nil || o == nil {
				t.Fatal(o, err)
			}
		}
		for n := range 5000 {
			e.Receive(noisy, notificationOf(t, noisy, n))
			if n%500 == 0 {
				e.Receive(calm, notificationOf(t, calm, n))
			}
			time.Sleep(10 * time.Millisecond)
			if s := e.State(); s.Handlers > 2 || s.News > 64+10 {
				t.Fatalf("%+v", s)
			}
		}
		time.Sleep(10 * time.Minute)
		if s := e.Stats(); delivered != 10 || s.Overtaken < 4000 {
			t.Errorf("%d delivered of the calm one, %+v", delivered, s)
		}
		e.Closed(noisy)
		e.Closed(calm)
		synctest.Wait()
		if s := e.State(); s != (coap.State{}) {
			t.Errorf("left %+v", s)
		}
	})
}

func notificationOf(t *testing.T, d *device, n int) []byte {
	t.Helper()
	return encode(t, coap.Message{
		Code: coap.Content, ID: uint16(n), Token: d.observed, Payload: fmt.Append(nil, n),
		Options: []coap.Option{{ID: 6, Value: binary.BigEndian.AppendUint16([]byte{1}, uint16(n))}},
	})
}

// TestFloodOfPeers has each message come from another peer, as from spoofed
// addresses where there is no security: nothing but what is remembered stays.
func TestFloodOfPeers(t *testing.T) {
	const dedup, bodies = 4096, 64
	o := coap.Options{
		Handler: coap.HandlerFunc(echo), MaxDedup: dedup, MaxBlockTransfers: bodies,
		Quick: func(r *coap.Request) bool { return r.Method == coap.GET },
	}
	alone(t, o, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		upload := &sender{e: e, w: w, path: "x"} // has begun before, and goes on
		const each = 5000
		if m := upload.send(t, coap.PUT, make([]byte, 16), blockOption(27, 0, true)); m.Code != coap.Continue {
			t.Fatalf("first block: %v", m.Code)
		}
		block := coap.Option{ID: 27, Value: []byte{0x0e}}
		peers := make([]null, 3*each)
		for i := range each {
			e.Receive(&peers[3*i], encode(t, coap.Message{Type: coap.NON, Code: coap.GET, ID: 1}))
			e.Receive(&peers[3*i+1], encode(t, coap.Message{Type: coap.NON, Code: coap.POST, ID: 1}))
			m := coap.Message{Type: coap.NON, Code: coap.PUT, ID: 1, Payload: make([]byte, 1024), Options: []coap.Option{block}}
			e.Receive(&peers[3*i+2], encode(t, m))
			if i%1000 > 0 {
				continue
			}
			synctest.Wait()
			if s := e.State(); s.Dedup > dedup || s.Links > bodies+1 || s.Bodies > bodies {
				t.Fatalf("%+v", s)
			}
		}
		if m := upload.send(t, coap.PUT, make([]byte, 16), blockOption(27, 1, false)); m.Code != coap.Content {
			t.Errorf("last block: %v", m.Code)
		}
		time.Sleep(10 * time.Minute)
		if s := e.State(); s != (coap.State{}) {
			t.Errorf("left %+v", s)
		}
	})
}

// TestStats sees the counters count.
func TestStats(t *testing.T) {
	o := coap.Options{Handler: slow(time.Second), MaxHandlers: 1}
	o.Quick = func(r *coap.Request) bool { return r.Method == coap.DELETE }
	alone(t, o, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		e.Receive(w, unhex(t, "4f"))
		receive(t, e, w, coap.Message{Code: coap.DELETE, ID: 1})
		for id := range uint16(3) {
			e.Receive(w, encode(t, coap.Message{Code: coap.GET, ID: id}))
		}
		synctest.Wait()
		want := coap.Stats{
			Requests: 3, Quick: 1, Duplicates: 1, Refused: 1, Malformed: 1, Peers: 1, Remembered: 3, Busy: 1,
		}
		if got := e.Stats(); got != want {
			t.Errorf("Stats = %+v, want %+v", got, want)
		}
	})
}
