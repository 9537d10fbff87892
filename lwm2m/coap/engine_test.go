package coap_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
)

// pair is two engines, running within a synctest bubble.
type pair struct {
	client, server *coap.Engine
	toServer       *coap.PipeEnd
	toClient       *coap.PipeEnd
}

// run calls f in a bubble with two running engines joined by m, and then
// verifies that both stop and that a quiet peer costs nothing.
func run(t *testing.T, client, server coap.Options, m coap.Medium, f func(t *testing.T, p pair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := coap.New(client), coap.New(server)
		p := pair{client: a, server: b}
		p.toServer, p.toClient = coap.Join(a, b, m)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, e := range []*coap.Engine{a, b} {
			wg.Go(func() {
				if err := e.Run(ctx); err != nil {
					t.Errorf("Run = %v", err)
				}
			})
		}
		f(t, p)
		for _, e := range []*coap.Engine{a, b} {
			if err := e.Check(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(20 * time.Minute)
		for _, e := range []*coap.Engine{a, b} {
			e.Closed(p.toServer) // whoever observes is not quiet
			e.Closed(p.toClient)
			if s := e.State(); s != (coap.State{}) {
				t.Errorf("quiet engine holds %+v", s)
			}
		}
		cancel()
		wg.Wait()
	})
}

// echo answers with method, path, query and body of the request.
func echo(_ context.Context, r *coap.Request) *coap.Response {
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(0),
		Payload: fmt.Appendf(nil, "%d %s ? %s : %s",
			r.Method, strings.Join(r.Path, "/"), strings.Join(r.Query, "&"), r.Payload),
	}
}

func do(t *testing.T, p pair, r *coap.Request) *coap.Response {
	t.Helper()
	resp, err := p.client.Do(t.Context(), p.toServer, r)
	if err != nil {
		t.Fatalf("Do(%s %v) = %v", r.Method, r.Path, err)
	}
	return resp
}

func TestDo(t *testing.T) {
	tests := []struct {
		name string
		in   coap.Request
		want string
	}{
		{"GET", coap.Request{Method: coap.GET, Path: []string{"3", "0"}}, "1 3/0 ?  : "},
		{
			"POST",
			coap.Request{Method: coap.POST, Path: []string{"rd"}, Query: []string{"ep=a", "lt=9"}, Payload: []byte("x")},
			"2 rd ? ep=a&lt=9 : x",
		},
		{"FETCH", coap.Request{Method: coap.FETCH, Payload: []byte("x")}, "5  ?  : x"},
		{"IPATCH", coap.Request{Method: coap.IPATCH, Payload: []byte("x")}, "7  ?  : x"},
		{"NON", coap.Request{Method: coap.GET, Path: []string{"a"}, NonConfirmable: true}, "1 a ?  : "},
		{"empty segment", coap.Request{Method: coap.GET, Path: []string{"a", ""}}, "1 a/ ?  : "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := coap.Options{Handler: coap.HandlerFunc(echo)}
			run(t, coap.Options{}, o, coap.Medium{}, func(t *testing.T, p pair) {
				t.Helper()
				if got := do(t, p, &tt.in); string(got.Payload) != tt.want || got.Code != coap.Content {
					t.Errorf("Do = %v %q, want %q", got.Code, got.Payload, tt.want)
				}
			})
		})
	}
}

// wire is a peer that keeps what it is sent.
type wire struct {
	mu   sync.Mutex
	sent [][]byte
	at   []time.Time
}

func (w *wire) Send(d []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, slices.Clone(d))
	w.at = append(w.at, time.Now())
	return nil
}
func (w *wire) Identity() coap.Identity { return coap.Identity{} }
func (w *wire) Addr() netip.AddrPort    { return netip.AddrPort{} }
func (w *wire) String() string          { return "wire" }

// take returns what was sent since the last take.
func (w *wire) take(t *testing.T) []coap.Message {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []coap.Message
	for _, d := range w.sent {
		m, err := coap.Parse(d)
		if err != nil {
			t.Fatalf("engine sent %x: %v", d, err)
		}
		out = append(out, m)
	}
	w.sent, w.at = nil, nil
	return out
}

// alone runs f in a bubble with one engine and one wire.
func alone(t *testing.T, o coap.Options, f func(t *testing.T, e *coap.Engine, w *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, w := coap.New(o), &wire{}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = e.Run(ctx) })
		f(t, e, w)
		if err := e.Check(); err != nil {
			t.Error(err)
		}
		cancel()
		wg.Wait()
	})
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func encode(t *testing.T, m coap.Message) []byte {
	t.Helper()
	d, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func receive(t *testing.T, e *coap.Engine, w *wire, m coap.Message) {
	t.Helper()
	e.Receive(w, encode(t, m))
	synctest.Wait()
}

func TestRetransmissionSchedule(t *testing.T) {
	// RFC 7252 §4.2: the first time-out in 2..3 s, then doubled, four repetitions.
	alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		_, err := e.Do(t.Context(), w, &coap.Request{Method: coap.GET})
		if !errors.Is(err, coap.ErrTimeout) {
			t.Fatalf("Do = %v, want ErrTimeout", err)
		}
		if len(w.sent) != 5 {
			t.Fatalf("sent %d times, want 5", len(w.sent))
		}
		first := w.at[1].Sub(w.at[0])
		if first < 2*time.Second || first > 3*time.Second {
			t.Errorf("first time-out %v", first)
		}
		for i := 1; i < 5; i++ {
			if got := w.at[i].Sub(w.at[i-1]); got != first<<(i-1) || !bytes.Equal(w.sent[i], w.sent[0]) {
				t.Errorf("repetition %d after %v: %x", i, got, w.sent[i])
			}
		}
		if got := time.Since(w.at[4]); got != first<<4 {
			t.Errorf("gave up after %v, want %v", got, first<<4)
		}
		if s := e.State(); s != (coap.State{}) {
			t.Errorf("left %+v", s)
		}
	})
}

func TestScaledParams(t *testing.T) {
	o := coap.Options{Params: coap.Params{AckTimeout: 100 * time.Millisecond, AckRandomFactor: 1, MaxRetransmit: 2}}
	alone(t, o, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		start := time.Now()
		if err := e.Ping(t.Context(), w); !errors.Is(err, coap.ErrTimeout) {
			t.Errorf("Ping = %v", err)
		}
		if got := time.Since(start); got != 700*time.Millisecond || len(w.sent) != 3 {
			t.Errorf("%d messages in %v", len(w.sent), got)
		}
	})
}

func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]coap.Options{
		"block size": {BlockSize: 100},
		"limit":      {MaxBody: -1},
		"factor":     {Params: coap.Params{AckRandomFactor: 0.5}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("New did not panic")
				}
			}()
			coap.New(o)
		})
	}
}

func TestPing(t *testing.T) {
	run(t, coap.Options{}, coap.Options{}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		if err := p.client.Ping(t.Context(), p.toServer); err != nil {
			t.Errorf("Ping = %v", err)
		}
	})
}

func TestResetRequest(t *testing.T) {
	silent := func(context.Context, *coap.Request) *coap.Response { return nil }
	run(t, coap.Options{}, coap.Options{Handler: coap.HandlerFunc(silent)}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		_, err := p.client.Do(t.Context(), p.toServer, &coap.Request{Method: coap.GET})
		if !errors.Is(err, coap.ErrReset) {
			t.Errorf("Do = %v, want ErrReset", err)
		}
	})
}

func TestRequestRefused(t *testing.T) {
	alone(t, coap.Options{BlockSize: 16}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		long := strings.Repeat("x", 256)
		for name, tt := range map[string]struct {
			r    coap.Request
			want error
		}{
			"no method":    {coap.Request{Method: coap.Content}, coap.ErrRequest},
			"long segment": {coap.Request{Method: coap.GET, Path: []string{long}}, coap.ErrRequest},
			"long query":   {coap.Request{Method: coap.GET, Query: []string{long}}, coap.ErrRequest},
			"long tag":     {coap.Request{Method: coap.GET, ETag: make([]byte, 9)}, coap.ErrRequest},
			"many":         {coap.Request{Method: coap.GET, Path: make([]string, 99)}, coap.ErrRequest},
			"large":        {coap.Request{Method: coap.PUT, Payload: make([]byte, 17<<20)}, coap.ErrTooLarge},
		} {
			if _, err := e.Do(t.Context(), w, &tt.r); !errors.Is(err, tt.want) {
				t.Errorf("%s: Do = %v, want %v", name, err, tt.want)
			}
		}
		if len(w.sent) > 0 {
			t.Errorf("sent %x", w.sent)
		}
	})
}

func TestContextEndsExchange(t *testing.T) {
	alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := e.Do(ctx, w, &coap.Request{Method: coap.GET}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do = %v", err)
		}
		if err := e.Ping(ctx, w); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ping = %v", err)
		}
		if s := e.State(); s != (coap.State{}) {
			t.Errorf("left %+v", s)
		}
	})
}

func TestNSTART(t *testing.T) {
	alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		results := make(chan error, 3)
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			go func() {
				_, err := e.Do(ctx, w, &coap.Request{Method: coap.GET})
				results <- err
			}()
		}
		synctest.Wait()
		m := w.take(t)
		if len(m) != 1 {
			t.Fatalf("%d requests in flight, want 1", len(m))
		}
		receive(t, e, w, coap.Message{Type: coap.ACK, Code: coap.Content, ID: m[0].ID, Token: m[0].Token})
		if err := <-results; err != nil {
			t.Error(err)
		}
		if m = w.take(t); len(m) != 1 {
			t.Fatalf("%d requests in flight, want 1", len(m))
		}
		// An empty ACK frees the place before the response arrives.
		receive(t, e, w, coap.Message{Type: coap.ACK, ID: m[0].ID})
		go func() { results <- e.Ping(ctx, w) }()
		synctest.Wait()
		if m = w.take(t); len(m) != 1 || m[0].Code != coap.Empty {
			t.Fatalf("no ping: %v", m)
		}
		cancel()
		for range 2 {
			if err := <-results; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}

func TestClosed(t *testing.T) {
	alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		results := make(chan error, 3)
		for range 2 {
			go func() {
				_, err := e.Do(t.Context(), w, &coap.Request{Method: coap.PUT, Payload: make([]byte, 5000)})
				results <- err
			}()
		}
		synctest.Wait()
		e.Closed(w)
		for range 2 {
			if err := <-results; !errors.Is(err, coap.ErrClosed) {
				t.Errorf("Do = %v, want ErrClosed", err)
			}
		}
		if s := e.State(); s != (coap.State{}) {
			t.Errorf("left %+v", s)
		}
	})
}

func TestRunEndsHandlersAndExchanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		e := coap.New(coap.Options{Handler: coap.HandlerFunc(func(ctx context.Context, _ *coap.Request) *coap.Response {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
			return nil
		})})
		w := &wire{}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- e.Run(ctx) }()
		receive(t, e, w, coap.Message{Code: coap.GET, ID: 1})
		result := make(chan error)
		go func() {
			_, err := e.Do(context.Background(), w, &coap.Request{Method: coap.GET})
			result <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-result; !errors.Is(err, coap.ErrClosed) {
			t.Errorf("Do = %v", err)
		}
		if err := <-stopped; err != nil || !ended {
			t.Errorf("Run = %v, handler ended: %v", err, ended)
		}
		if _, err := e.Do(t.Context(), w, &coap.Request{Method: coap.GET}); !errors.Is(err, coap.ErrClosed) {
			t.Errorf("Do after Run = %v", err)
		}
		receive(t, e, w, coap.Message{Code: coap.GET, ID: 2})
	})
}

func TestTrace(t *testing.T) {
	var got []string
	o := coap.Options{Trace: func(p coap.Peer, sent bool, d []byte) {
		got = append(got, fmt.Sprintf("%s %v %x", p, sent, d))
	}}
	alone(t, o, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		e.Receive(w, unhex(t, "40001234"))
	})
	if want := []string{"wire false 40001234", "wire true 70001234"}; !slices.Equal(got, want) {
		t.Errorf("Trace: %q", got)
	}
}
