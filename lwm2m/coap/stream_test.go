package coap_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
)

// A streamEnd is a stream in memory: it keeps the frames sent, and hands them to
// an engine if it has one.
type streamEnd struct {
	mu   sync.Mutex
	sent [][]byte
	to   *coap.Engine
	from *streamEnd
	deaf bool
	full bool // takes nothing
}

var errFull = errors.New("too long")

func (s *streamEnd) Send(d []byte) error {
	if s.full {
		return errFull
	}
	frame := coap.AppendFrame(nil, d)
	s.mu.Lock()
	s.sent = append(s.sent, frame)
	s.mu.Unlock()
	if s.to == nil || s.deaf {
		return nil
	}
	return s.to.ReceiveFrame(s.from, slices.Clone(frame))
}
func (*streamEnd) Stream() bool            { return true }
func (*streamEnd) Identity() coap.Identity { return coap.Identity{} }
func (*streamEnd) Addr() netip.AddrPort    { return netip.AddrPort{} }
func (*streamEnd) String() string          { return "stream" }

// streams runs f with two engines on the ends of a stream.
func streams(t *testing.T, server coap.Options,
	f func(ctx context.Context, client, server *coap.Engine, toServer, toClient *streamEnd),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := coap.New(coap.Options{}), coap.New(server)
		toB, toA := &streamEnd{to: b}, &streamEnd{to: a}
		toB.from, toA.from = toA, toB
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = a.Run(ctx) })
		wg.Go(func() { _ = b.Run(ctx) })
		f(ctx, a, b, toB, toA)
		a.Closed(toB)
		b.Closed(toA)
		time.Sleep(time.Hour)
		for _, e := range []*coap.Engine{a, b} {
			if s := e.State(); s != (coap.State{}) {
				t.Errorf("left %+v", s)
			}
		}
		cancel()
		wg.Wait()
	})
}

// TestStreamExchange: bodies of any size both ways, by slow and quick handlers,
// leave nothing to remember and repeat nothing.
func TestStreamExchange(t *testing.T) {
	for _, quick := range []bool{false, true} {
		server := coap.Options{
			Quick: func(*coap.Request) bool { return quick },
			Handler: coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
				if !quick {
					time.Sleep(time.Minute)
				}
				return &coap.Response{Code: coap.Content, Payload: bytes.Clone(r.Payload)}
			}),
		}
		streams(t, server, func(ctx context.Context, c, s *coap.Engine, to, _ *streamEnd) {
			for _, size := range []int{0, 10, 300, 1024, 5000} {
				body := bytes.Repeat([]byte{7}, size)
				resp, err := c.Do(ctx, to, &coap.Request{Method: coap.POST, Path: []string{"a"}, Payload: body})
				if err != nil || resp.Code != coap.Content || !bytes.Equal(resp.Payload, body) {
					t.Fatalf("Do of %d bytes = %+v, %v", size, resp, err)
				}
			}
			if n := s.State().Dedup + c.State().Dedup; n != 0 {
				t.Errorf("%d messages remembered", n)
			}
			if want := 3 + 1 + 5 + 4; len(to.sent) != want { // the blocks of the large one, and those of its answer
				t.Errorf("%d messages sent, want %d", len(to.sent), want)
			}
		})
	}
}

func TestStreamObserve(t *testing.T) {
	var token []byte
	server := coap.Options{Handler: coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		token = r.Token
		return &coap.Response{Code: coap.Content, Observe: r.Observe == coap.ObserveRegister}
	})}
	streams(t, server, func(ctx context.Context, c, s *coap.Engine, to, from *streamEnd) {
		var news []string
		_, o, err := c.Observe(ctx, to, &coap.Request{Method: coap.GET}, func(r *coap.Response) {
			news = append(news, string(r.Payload))
		})
		if err != nil || o == nil {
			t.Fatal(o, err)
		}
		for i, confirmable := range []bool{true, false} {
			r := &coap.Response{Code: coap.Content, Payload: []byte{'1' + byte(i)}}
			if err := s.Notify(ctx, from, token, r, confirmable); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if !slices.Equal(news, []string{"1", "2"}) {
			t.Errorf("notified %q", news)
		}
		if err := o.Cancel(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.Notify(ctx, from, token, &coap.Response{Code: coap.Content}, true); !errors.Is(err, coap.ErrReset) {
			t.Errorf("Notify after Cancel = %v, want ErrReset", err)
		}
	})
}

func TestStreamPing(t *testing.T) {
	streams(t, coap.Options{}, func(ctx context.Context, c, _ *coap.Engine, to, _ *streamEnd) {
		if err := c.Ping(ctx, to); err != nil {
			t.Errorf("Ping = %v", err)
		}
		to.deaf = true
		if err := c.Ping(ctx, to); !errors.Is(err, coap.ErrTimeout) {
			t.Errorf("Ping of the deaf = %v, want ErrTimeout", err)
		}
		if len(to.sent) != 2 {
			t.Errorf("%d messages sent, want 2: nothing is repeated on a stream", len(to.sent))
		}
	})
}

// TestStreamParallel: what is not answered yet holds nothing up.
func TestStreamParallel(t *testing.T) {
	server := coap.Options{Handler: coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		if len(r.Path) > 0 {
			time.Sleep(time.Minute)
		}
		return &coap.Response{Code: coap.Content}
	})}
	streams(t, server, func(ctx context.Context, c, _ *coap.Engine, to, _ *streamEnd) {
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.Do(ctx, to, &coap.Request{Method: coap.GET, Path: []string{"slow"}}) })
		synctest.Wait()
		began := time.Now()
		if _, err := c.Do(ctx, to, &coap.Request{Method: coap.GET}); err != nil || time.Since(began) > 0 {
			t.Errorf("Do = %v after %v", err, time.Since(began))
		}
		wg.Wait()
	})
}

// TestStreamUnsent: a request that the stream does not take is not waited for.
func TestStreamUnsent(t *testing.T) {
	streams(t, coap.Options{}, func(ctx context.Context, c, _ *coap.Engine, to, _ *streamEnd) {
		to.full = true
		began := time.Now()
		_, err := c.Do(ctx, to, &coap.Request{Method: coap.GET})
		if !errors.Is(err, coap.ErrTooLarge) || time.Since(began) > 0 {
			t.Errorf("Do = %v after %v, want ErrTooLarge at once", err, time.Since(began))
		}
	})
}

func TestStreamBadInput(t *testing.T) {
	tests := []struct {
		name, in, answer string
		err              error
	}{
		{name: "ping", in: "01e242", answer: "01e342"},
		{name: "ping with custody", in: "11e24220", answer: "11e34220"},
		{name: "ping with a critical option", in: "11e24210", err: coap.ErrOption},
		{name: "pong nobody asked for", in: "01e342"},
		{name: "empty message", in: "0000"},
		{name: "response nobody asked for", in: "01459a"},
		{name: "notification nobody asked for", in: "11459a60"},
		{name: "longer than it says", in: "004500", err: coap.ErrMessage},
		{name: "unknown critical option", in: "21019ad010", answer: "01829a"},
		{name: "the same message again is another one", in: "21019ad010", answer: "01829a"},
		{name: "BERT", in: "31019ad10a0f", answer: "01809a"},
	}
	e, s := coap.New(coap.Options{}), &streamEnd{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.sent = nil
			if err := e.ReceiveFrame(s, unhex(t, tt.in)); !errors.Is(err, tt.err) {
				t.Fatalf("ReceiveFrame = %v, want %v", err, tt.err)
			}
			var want [][]byte
			if tt.answer != "" {
				want = [][]byte{unhex(t, tt.answer)}
			}
			if !slices.EqualFunc(s.sent, want, bytes.Equal) {
				t.Errorf("answered %x, want %x", s.sent, want)
			}
		})
	}
}
