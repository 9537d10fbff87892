package coap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
)

// sensor accepts observations and remembers their tokens.
type sensor struct {
	mu        sync.Mutex
	tokens    [][]byte
	cancelled int
	payload   []byte
	calls     int
}

func (s *sensor) ServeCoAP(_ context.Context, r *coap.Request) *coap.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	switch r.Observe {
	case coap.ObserveNone:
	case coap.ObserveRegister:
		s.tokens = append(s.tokens, r.Token)
	case coap.ObserveCancel:
		s.cancelled++
	}
	return &coap.Response{Code: coap.Content, Payload: s.payload, Observe: true}
}

func (s *sensor) token(i int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[i]
}

// sink collects notifications.
type sink struct {
	mu  sync.Mutex
	got []string
}

func (s *sink) notify(r *coap.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, r.Code.String()+" "+string(r.Payload))
}

func (s *sink) take() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.got
	s.got = nil
	return out
}

func observe(t *testing.T, p pair, r *coap.Request, s *sink) *coap.Observation {
	t.Helper()
	first, o, err := p.client.Observe(t.Context(), p.toServer, r, s.notify)
	if err != nil || o == nil || !first.Observe {
		t.Fatalf("Observe = %+v, %v, %v", first, o, err)
	}
	return o
}

// notify sends a notification to the first observer of h.
func notify(t *testing.T, p pair, h *sensor, r *coap.Response, confirmable bool) error {
	t.Helper()
	return p.server.Notify(t.Context(), p.toClient, h.token(0), r, confirmable)
}

func TestObserve(t *testing.T) {
	for _, method := range []coap.Code{coap.GET, coap.FETCH} {
		h, got := &sensor{payload: []byte("0")}, &sink{}
		run(t, coap.Options{}, coap.Options{Handler: h}, coap.Medium{}, func(t *testing.T, p pair) {
			t.Helper()
			o := observe(t, p, &coap.Request{Method: method, Path: []string{"3", "0"}}, got)
			for i := 1; i < 4; i++ {
				r := &coap.Response{Payload: fmt.Append(nil, i)}
				if err := p.server.Notify(t.Context(), p.toClient, h.token(0), r, i%2 == 0); err != nil {
					t.Fatalf("Notify = %v", err)
				}
			}
			if n := got.take(); !slices.Equal(n, []string{"2.05 1", "2.05 2", "2.05 3"}) {
				t.Errorf("notified %q", n)
			}
			if err := o.Cancel(t.Context()); err != nil || h.cancelled != 1 {
				t.Errorf("Cancel = %v, %d", err, h.cancelled)
			}
			err := p.server.Notify(t.Context(), p.toClient, h.token(0), &coap.Response{}, true)
			if !errors.Is(err, coap.ErrReset) || len(got.take()) > 0 {
				t.Errorf("Notify after Cancel = %v", err)
			}
		})
	}
}

func TestForgetIsReset(t *testing.T) {
	h, got := &sensor{}, &sink{}
	run(t, coap.Options{}, coap.Options{Handler: h}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		for i, confirmable := range []bool{true, false} {
			o := observe(t, p, &coap.Request{Method: coap.GET}, got)
			o.Forget()
			err := p.server.Notify(t.Context(), p.toClient, h.token(i), &coap.Response{}, confirmable)
			if confirmable != errors.Is(err, coap.ErrReset) {
				t.Errorf("first Notify = %v", err)
			}
			err = p.server.Notify(t.Context(), p.toClient, h.token(i), &coap.Response{}, confirmable)
			if !errors.Is(err, coap.ErrReset) {
				t.Errorf("next Notify = %v", err)
			}
		}
		if n := got.take(); len(n) > 0 {
			t.Errorf("notified %q", n)
		}
	})
}

func TestNotifyTimeout(t *testing.T) {
	h, got := &sensor{}, &sink{}
	cut := false
	m := coap.Medium{BtoA: func(d []byte) [][]byte {
		if cut {
			return nil
		}
		return [][]byte{d}
	}}
	run(t, coap.Options{}, coap.Options{Handler: h}, m, func(t *testing.T, p pair) {
		t.Helper()
		observe(t, p, &coap.Request{Method: coap.GET}, got)
		cut = true
		if err := notify(t, p, h, &coap.Response{}, true); !errors.Is(err, coap.ErrTimeout) {
			t.Errorf("Notify = %v", err)
		}
		if err := notify(t, p, h, &coap.Response{}, true); !errors.Is(err, coap.ErrReset) {
			t.Errorf("Notify afterwards = %v", err)
		}
	})
}

func TestErrorEndsObservation(t *testing.T) {
	h, got := &sensor{}, &sink{}
	run(t, coap.Options{}, coap.Options{Handler: h}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		observe(t, p, &coap.Request{Method: coap.GET}, got)
		gone := &coap.Response{Code: coap.NotFound}
		if err := p.server.Notify(t.Context(), p.toClient, h.token(0), gone, true); err != nil {
			t.Errorf("Notify = %v", err)
		}
		if n := got.take(); !slices.Equal(n, []string{"4.04 "}) {
			t.Errorf("notified %q", n)
		}
		if err := p.server.Notify(t.Context(), p.toClient, h.token(0), gone, true); !errors.Is(err, coap.ErrReset) {
			t.Errorf("Notify afterwards = %v", err)
		}
	})
}

func TestObserveNotAccepted(t *testing.T) {
	run(t, coap.Options{}, coap.Options{Handler: coap.HandlerFunc(echo)}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		first, o, err := p.client.Observe(t.Context(), p.toServer, &coap.Request{Method: coap.GET}, nil)
		if err != nil || o != nil || first.Code != coap.Content || first.Observe {
			t.Errorf("Observe = %+v, %v, %v", first, o, err)
		}
	})
}

func TestObserveClosed(t *testing.T) {
	h, got := &sensor{}, &sink{}
	run(t, coap.Options{}, coap.Options{Handler: h}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		observe(t, p, &coap.Request{Method: coap.GET}, got)
		p.server.Closed(p.toClient)
		if err := notify(t, p, h, &coap.Response{}, false); !errors.Is(err, coap.ErrReset) {
			t.Errorf("Notify = %v", err)
		}
	})
}

func TestLargeNotifications(t *testing.T) {
	for _, size := range []int{16, 64, 1024} {
		h, got := &sensor{payload: pattern(3 * size)}, &sink{}
		o := coap.Options{Handler: h, BlockSize: size}
		run(t, coap.Options{}, o, coap.Medium{}, func(t *testing.T, p pair) {
			t.Helper()
			first, obs, err := p.client.Observe(t.Context(), p.toServer, &coap.Request{Method: coap.GET}, got.notify)
			if err != nil || obs == nil || !bytes.Equal(first.Payload, h.payload) {
				t.Fatalf("Observe = %+v, %v", first, err)
			}
			for i := range 3 {
				body := append(pattern(4*size), byte(i))
				if err := p.server.Notify(t.Context(), p.toClient, h.token(0), &coap.Response{Payload: body}, i > 0); err != nil {
					t.Fatal(err)
				}
				if n := got.take(); !slices.Equal(n, []string{"2.05 " + string(body)}) {
					t.Errorf("%d: notified %q", i, n)
				}
			}
			if h.calls != 1 {
				t.Errorf("%d calls: blocks were not served from memory", h.calls)
			}
		})
	}
}

// TestObserveOrder follows RFC 7641 §3.4.
func TestObserveOrder(t *testing.T) {
	tests := []struct {
		name string
		seq  []uint32 // after a first of 100; ^0 waits 129 s
		want []string
	}{
		{"in order", []uint32{101, 102}, []string{"101", "102"}},
		{"late", []uint32{102, 101, 103}, []string{"102", "103"}},
		{"same", []uint32{101, 101}, []string{"101"}},
		{"half the range ahead is old", []uint32{100 + 1<<23}, nil},
		{"roll-over", []uint32{1<<23 + 99, 1<<24 - 1, 3}, []string{"8388707", "16777215", "3"}},
		{"old, but 128 s later", []uint32{101, ^uint32(0), 50}, []string{"101", "50"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
				t.Helper()
				got := &sink{}
				var o *coap.Observation
				go func() { _, o, _ = e.Observe(t.Context(), w, &coap.Request{Method: coap.GET}, got.notify) }()
				synctest.Wait()
				r := w.take(t)[0]
				receive(t, e, w, coap.Message{
					Type: coap.ACK, Code: coap.Content, ID: r.ID, Token: r.Token,
					Options: []coap.Option{{ID: 6, Value: []byte{100}}},
				})
				if o == nil || o.Peer() != coap.Peer(w) {
					t.Fatal("not accepted")
				}
				for i, seq := range tt.seq {
					if seq == ^uint32(0) {
						time.Sleep(129 * time.Second)
						continue
					}
					value := bytes.TrimLeft([]byte{byte(seq >> 16), byte(seq >> 8), byte(seq)}, "\x00")
					receive(t, e, w, coap.Message{
						Type: coap.NON, Code: coap.Content, ID: uint16(i), Token: r.Token, Payload: fmt.Append(nil, seq),
						Options: []coap.Option{{ID: 6, Value: value}},
					})
				}
				var want []string
				for _, s := range tt.want {
					want = append(want, "2.05 "+s)
				}
				if n := got.take(); !slices.Equal(n, want) {
					t.Errorf("notified %q, want %q", n, want)
				}
			})
		})
	}
}

// TestConfirmableNotificationTwice delivers a duplicate once and acknowledges
// it twice.
func TestConfirmableNotificationTwice(t *testing.T) {
	alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		got := &sink{}
		go func() { _, _, _ = e.Observe(t.Context(), w, &coap.Request{Method: coap.GET}, got.notify) }()
		synctest.Wait()
		r := w.take(t)[0]
		m := coap.Message{Type: coap.ACK, Code: coap.Content, ID: r.ID, Token: r.Token, Options: []coap.Option{{ID: 6}}}
		receive(t, e, w, m)
		m.Type, m.ID, m.Options = coap.CON, 5, []coap.Option{{ID: 6, Value: []byte{1}}}
		receive(t, e, w, m)
		receive(t, e, w, m)
		want := coap.Message{Type: coap.ACK, ID: 5}
		if sent := w.take(t); len(sent) != 2 || !same(sent[0], want) || !same(sent[1], want) {
			t.Errorf("sent %+v", sent)
		}
		if n := got.take(); len(n) != 1 {
			t.Errorf("notified %q", n)
		}
	})
}

// TestSlowObserver keeps the newest notifications and blocks nothing.
func TestSlowObserver(t *testing.T) {
	h := &sensor{}
	got := &sink{}
	run(t, coap.Options{}, coap.Options{Handler: h}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		_, o, err := p.client.Observe(t.Context(), p.toServer, &coap.Request{Method: coap.GET}, func(r *coap.Response) {
			time.Sleep(time.Second)
			got.notify(r)
		})
		if err != nil || o == nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if err := notify(t, p, h, &coap.Response{Payload: fmt.Append(nil, i)}, true); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		if n := got.take(); len(n) > 70 || n[len(n)-1] != "2.05 199" {
			t.Errorf("%d notified, the last %q", len(n), n[len(n)-1])
		}
	})
}
