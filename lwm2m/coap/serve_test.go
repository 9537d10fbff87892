package coap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
)

// counted returns an echo handler that counts its calls.
func counted(n *int) coap.Handler {
	return coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		*n++
		return echo(ctx, r)
	})
}

// slow returns an echo handler that takes its time.
func slow(d time.Duration) coap.Handler {
	return coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		time.Sleep(d)
		return echo(ctx, r)
	})
}

// ways are the two in which a request may be served.
var ways = []struct {
	name  string
	quick func(*coap.Request) bool
}{{"by a worker", nil}, {"quick", func(*coap.Request) bool { return true }}}

func TestDuplicates(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) { duplicates(t, way.quick) })
	}
}

func duplicates(t *testing.T, quick func(*coap.Request) bool) {
	t.Helper()
	calls := 0
	alone(t, coap.Options{Handler: counted(&calls), Quick: quick}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		request := coap.Message{Code: coap.POST, ID: 7, Token: []byte("tk"), Payload: []byte("x")}
		for range 3 {
			receive(t, e, w, request)
		}
		m := w.take(t)
		if calls != 1 || len(m) != 3 || m[0].Type != coap.ACK || m[0].ID != 7 || !same(m[0], m[1]) || !same(m[0], m[2]) {
			t.Fatalf("%d calls, %+v", calls, m)
		}
		request.Type = coap.NON
		request.ID++
		for range 2 {
			receive(t, e, w, request)
		}
		if m = w.take(t); calls != 2 || len(m) != 1 || m[0].Type != coap.NON || !bytes.Equal(m[0].Token, request.Token) {
			t.Fatalf("non-confirmable: %d calls, %+v", calls, m)
		}
		time.Sleep(247*time.Second + 1) // EXCHANGE_LIFETIME
		if s := e.State(); s != (coap.State{}) {
			t.Errorf("left %+v", s)
		}
		receive(t, e, w, request)
		if calls != 3 {
			t.Errorf("identifier not free after its lifetime")
		}
	})
}

func TestDedupLimits(t *testing.T) {
	calls := 0
	alone(t, coap.Options{Handler: counted(&calls), MaxDedup: 100}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		peers := []*wire{w, {}, {}}
		for id := range uint16(300) {
			receive(t, e, peers[id%3], coap.Message{Code: coap.GET, ID: id})
			if s := e.State(); s.Dedup > 100 {
				t.Fatalf("%d remembered", s.Dedup)
			}
		}
		receive(t, e, peers[299%3], coap.Message{Code: coap.GET, ID: 299})
		if calls != 300 {
			t.Errorf("newest forgotten: %d calls", calls)
		}
		receive(t, e, peers[0], coap.Message{Code: coap.GET, ID: 0})
		if calls != 301 {
			t.Errorf("oldest not forgotten: %d calls", calls)
		}
	})
}

func TestSeparateResponse(t *testing.T) {
	alone(t, coap.Options{Handler: slow(10 * time.Second)}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		request := coap.Message{Code: coap.GET, ID: 9, Token: []byte("tk")}
		receive(t, e, w, request)
		time.Sleep(400 * time.Millisecond)
		receive(t, e, w, request) // a duplicate while the handler thinks
		if m := w.take(t); len(m) != 0 {
			t.Fatalf("answered too early: %+v", m)
		}
		time.Sleep(time.Second)
		if m := w.take(t); len(m) != 1 || !same(m[0], coap.Message{Type: coap.ACK, ID: 9}) {
			t.Fatalf("no empty ACK: %+v", m)
		}
		receive(t, e, w, request)
		if m := w.take(t); len(m) != 1 || !same(m[0], coap.Message{Type: coap.ACK, ID: 9}) {
			t.Fatalf("duplicate not acknowledged again: %+v", m)
		}
		time.Sleep(12 * time.Second)
		m := w.take(t)
		if len(m) != 2 || m[0].Type != coap.CON || m[0].Code != coap.Content || !bytes.Equal(m[0].Token, []byte("tk")) ||
			!same(m[0], m[1]) {
			t.Fatalf("separate response: %+v", m)
		}
		receive(t, e, w, coap.Message{Type: coap.ACK, ID: m[0].ID})
		time.Sleep(time.Minute)
		if m := w.take(t); len(m) != 0 {
			t.Errorf("repeated after its ACK: %+v", m)
		}
	})
}

func TestClientAcceptsSeparateResponse(t *testing.T) {
	tests := []struct {
		name string
		acks []string // "before", "after": when the empty ACK arrives
		typ  coap.Type
	}{
		{"ACK then CON", []string{"before"}, coap.CON},
		{"ACK then NON", []string{"before"}, coap.NON},
		{"CON before ACK", []string{"after"}, coap.CON},
		{"ACK lost", nil, coap.CON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
				t.Helper()
				result := make(chan error, 1)
				go func() {
					r, err := e.Do(t.Context(), w, &coap.Request{Method: coap.GET})
					if err == nil && string(r.Payload) != "x" {
						err = errors.New(string(r.Payload))
					}
					result <- err
				}()
				synctest.Wait()
				request := w.take(t)[0]
				ack := coap.Message{Type: coap.ACK, ID: request.ID}
				if slices.Contains(tt.acks, "before") {
					receive(t, e, w, ack)
					time.Sleep(time.Minute) // no repetition any more
				}
				response := coap.Message{Type: tt.typ, Code: coap.Content, ID: 77, Token: request.Token, Payload: []byte("x")}
				receive(t, e, w, response)
				if err := <-result; err != nil {
					t.Fatalf("Do = %v", err)
				}
				if slices.Contains(tt.acks, "after") {
					receive(t, e, w, ack)
				}
				receive(t, e, w, response)
				time.Sleep(time.Minute)
				want := coap.Message{Type: coap.ACK, ID: 77}
				m := w.take(t)
				if tt.typ == coap.CON && (len(m) != 2 || !same(m[0], want) || !same(m[1], want)) ||
					tt.typ == coap.NON && len(m) != 0 {
					t.Errorf("sent %+v", m)
				}
			})
		})
	}
}

func TestSlowHandlerBlocksNothing(t *testing.T) {
	h := coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		if len(r.Path) > 0 {
			time.Sleep(20 * time.Second)
		}
		return echo(ctx, r)
	})
	run(t, coap.Options{}, coap.Options{Handler: h}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		result := make(chan error)
		go func() {
			_, err := p.client.Do(t.Context(), p.toServer, &coap.Request{Method: coap.GET, Path: []string{"slow"}})
			result <- err
		}()
		time.Sleep(time.Second)
		start := time.Now()
		do(t, p, &coap.Request{Method: coap.GET})
		if d := time.Since(start); d > 0 {
			t.Errorf("waited %v", d)
		}
		if err := <-result; err != nil || time.Since(start) < 19*time.Second {
			t.Errorf("slow one: %v", err)
		}
	})
}

func TestOverload(t *testing.T) {
	alone(t, coap.Options{Handler: slow(time.Second), MaxHandlers: 20}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		busy := func(w *wire, n int) (refused int) {
			for id := range uint16(n) {
				receive(t, e, w, coap.Message{Type: coap.NON, Code: coap.GET, ID: id})
			}
			for _, m := range w.take(t) {
				if m.Code == coap.ServiceUnavailable {
					refused++
				}
			}
			return refused
		}
		if got := busy(w, 20); got != 4 { // 16 a peer
			t.Errorf("%d of 20 refused, want 4", got)
		}
		if got := busy(&wire{}, 10); got != 6 { // 20 in all
			t.Errorf("%d of 10 refused, want 6", got)
		}
		time.Sleep(2 * time.Second)
		if s := e.State(); s.Handlers != 0 {
			t.Errorf("%d handlers", s.Handlers)
		}
	})
}

func TestPanicIsInternalServerError(t *testing.T) {
	h := coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response { panic("boom") })
	for _, way := range ways {
		run(t, coap.Options{}, coap.Options{Handler: h, Quick: way.quick}, coap.Medium{}, func(t *testing.T, p pair) {
			t.Helper()
			if r := do(t, p, &coap.Request{Method: coap.GET}); r.Code != coap.InternalServerError {
				t.Errorf("%s: Do = %v", way.name, r.Code)
			}
		})
	}
}

// TestBadInput sends one datagram and compares all that comes back.
func TestBadInput(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want string // of the one datagram sent back; "" for none
	}{
		{"ping", "40001234", "70001234"},
		{"empty NON", "50001234", ""},
		{"ACK of nothing", "60001234", ""},
		{"RST of nothing", "70001234", ""},
		{"response to nothing, CON", "41451234 aa", "70001234"},
		{"response to nothing, NON", "51451234 aa", ""},
		{"response to nothing, ACK", "61451234 aa", ""},
		{"notification for nobody, NON", "51451234 aa 6101", "70001234"},
		{"request in ACK", "60011234", ""},
		{"reserved class, CON", "40211234", "70001234"},
		{"reserved class, NON", "50211234", ""},
		{"malformed CON", "4f011234", "70001234"},
		{"malformed NON", "5f011234", ""},
		{"malformed ACK", "6f011234", ""},
		{"truncated option", "40011234 b574", "70001234"},
		{"delta 15", "40011234 f1", "70001234"},
		{"marker without payload", "40011234 ff", "70001234"},
		{"foreign version", "80011234", ""},
		{"short", "4001", ""},
		{"unknown critical option, CON", "41011234 aa 9101", "61821234 aa"},
		{"unknown critical option, NON", "51011234 aa 9101", ""},
		{"unknown elective option", "41011234 aa a101", "61451234 aa c0 ff31202f203f203a20"},
		{"Uri-Host of no length", "41011234 aa 30", "61821234 aa"},
		{"Uri-Port of three bytes", "41011234 aa 73010203", "61821234 aa"},
		{"Accept of three bytes", "41011234 aa d304010203", "61821234 aa"},
		{"Accept twice", "41011234 aa d1040000", "61821234 aa"},
		{"Max-Age of five bytes is elective", "41011234 aa d5010102030405", "61451234 aa c0 ff31202f203f203a20"},
		{"Proxy-Uri", "41011234 aa d11661", "61a51234 aa"},
		{"Proxy-Scheme", "41011234 aa d11a61", "61a51234 aa"},
		{"Block1 with SZX 7", "41021234 aa d10e0f ff61", "61801234 aa"},
		{"Block1 in a GET", "41011234 aa d10e00", "61821234 aa"},
		{"Block1 of four bytes", "41021234 aa d40e00000000 ff61", "61821234 aa"},
		{"Block1 shorter than its size", "41021234 aa d10e08 ff61", "61801234 aa d10e08"},
		{"Block1 without the first", "41021234 aa d10e10 ff61", "61881234 aa d10e10"},
		{"Block2 of nothing stored", "41021234 aa d10a10", "61881234 aa"},
		{"Block2 beyond the body", "41011234 aa d10a10", "61801234 aa"},
	}
	h := coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response {
		return &coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(0), Payload: []byte("1 / ? : ")}
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			badInput(t, coap.Options{Handler: h}, tt.in, tt.want)
			badInput(t, coap.Options{Handler: h, Quick: ways[1].quick}, tt.in, tt.want)
		})
	}
}

func badInput(t *testing.T, o coap.Options, in, want string) {
	t.Helper()
	alone(t, o, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		e.Receive(w, unhex(t, in))
		synctest.Wait()
		got := ""
		if len(w.sent) > 0 {
			got = fmt.Sprintf("%x", w.sent[0])
		}
		if len(w.sent) > 1 || got != fmt.Sprintf("%x", unhex(t, want)) {
			t.Errorf("Receive(%s) sent %x, want %s", in, w.sent, want)
		}
		// The association lives on.
		w.take(t)
		receive(t, e, w, coap.Message{Code: coap.GET, ID: 1})
		if m := w.take(t); len(m) != 1 || m[0].Code != coap.Content {
			t.Errorf("afterwards: %+v", m)
		}
	})
}

func TestCriticalOptionInResponse(t *testing.T) {
	alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		for _, typ := range []coap.Type{coap.ACK, coap.CON} {
			result := make(chan error, 1)
			go func() {
				_, err := e.Do(t.Context(), w, &coap.Request{Method: coap.GET})
				result <- err
			}()
			synctest.Wait()
			r := w.take(t)[0]
			receive(t, e, w, coap.Message{
				Type: typ, Code: coap.Content, ID: r.ID, Token: r.Token, Options: []coap.Option{{ID: 9}},
			})
			if err := <-result; !errors.Is(err, coap.ErrOption) {
				t.Errorf("%v: Do = %v", typ, err)
			}
			if m := w.take(t); typ == coap.CON && (len(m) != 1 || m[0].Type != coap.RST) {
				t.Errorf("sent %+v", m)
			}
		}
	})
}

func TestForeignTokenIsIgnored(t *testing.T) {
	alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		result := make(chan error, 1)
		go func() {
			_, err := e.Do(t.Context(), w, &coap.Request{Method: coap.GET})
			result <- err
		}()
		synctest.Wait()
		r := w.take(t)[0]
		if len(r.Token) < 4 {
			t.Errorf("token %x", r.Token)
		}
		receive(t, e, w, coap.Message{Type: coap.ACK, Code: coap.Content, ID: r.ID, Token: []byte("no")})
		e.Receive(w, unhex(t, "4fff")) // and a malformed one in the middle
		receive(t, e, w, coap.Message{Type: coap.ACK, Code: coap.Content, ID: r.ID, Token: r.Token})
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestResponseFields(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) { responseFields(t, way.quick) })
	}
}

func responseFields(t *testing.T, quick func(*coap.Request) bool) {
	t.Helper()
	want := coap.Response{
		Code: coap.Created, LocationPath: []string{"rd", "abc"}, MaxAge: coap.MaxAgeSeconds(70000),
		ETag: []byte{1, 2}, ContentFormat: coap.FormatID(11542), Payload: []byte("x"),
	}
	var peer coap.Peer
	var got string
	h := coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		seen := *r
		peer = r.Peer
		if len(r.Token) == 0 {
			t.Error("no token")
		}
		seen.Peer, seen.Token = nil, nil
		got = fmt.Sprintf("%+v", seen)
		return &want
	})
	m := coap.Medium{A: coap.Identity{Name: "ep"}}
	run(t, coap.Options{}, coap.Options{Handler: h, Quick: quick}, m, func(t *testing.T, p pair) {
		t.Helper()
		sent := coap.Request{
			Method: coap.PUT, Path: []string{"a"}, Query: []string{"b=c"}, ContentFormat: coap.FormatID(0),
			Accept: coap.FormatID(60), ETag: []byte{9}, IfMatch: [][]byte{{}, {8}}, IfNoneMatch: true, Payload: []byte("y"),
		}
		r := do(t, p, &sent)
		if fmt.Sprintf("%+v", *r) != fmt.Sprintf("%+v", want) {
			t.Errorf("Do = %+v, want %+v", *r, want)
		}
		if peer != coap.Peer(p.toClient) || peer.Identity().Name != "ep" {
			t.Errorf("peer %v", peer)
		}
		if got != fmt.Sprintf("%+v", sent) {
			t.Errorf("handler saw %s, want %+v", got, sent)
		}
	})
}
