package coap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
)

// pattern returns n bytes, no two blocks alike.
func pattern(n int) []byte {
	out := make([]byte, 0, n+8)
	for i := 0; len(out) < n; i++ {
		out = fmt.Appendf(out, "%x,", i)
	}
	return out[:n]
}

// mirror answers with the body of the request, or a pattern, and counts.
type mirror struct {
	mu    sync.Mutex
	calls int
	size  int // of the pattern
	delay time.Duration
	seen  []string
}

func (h *mirror) ServeCoAP(_ context.Context, r *coap.Request) *coap.Response {
	time.Sleep(h.delay)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	h.seen = append(h.seen, string(r.Payload))
	if r.Method == coap.GET {
		return &coap.Response{Code: coap.Content, Payload: pattern(h.size)}
	}
	return &coap.Response{Code: coap.Changed, Payload: r.Payload}
}

func TestBlockwise(t *testing.T) {
	for _, size := range []int{16, 32, 64, 128, 256, 512, 1024} {
		for _, total := range []int{0, size, size + 1, 3 * size, 10*size - 1} {
			for _, method := range []coap.Code{coap.GET, coap.PUT, coap.POST, coap.FETCH, coap.IPATCH} {
				t.Run(fmt.Sprintf("%s %d bytes by %d", method, total, size), func(t *testing.T) {
					h := &mirror{size: total}
					run(t, coap.Options{BlockSize: size}, coap.Options{Handler: h}, coap.Medium{}, func(t *testing.T, p pair) {
						t.Helper()
						r := &coap.Request{Method: method, Path: []string{"a"}}
						if method != coap.GET {
							r.Payload = pattern(total)
						}
						got := do(t, p, r)
						if !bytes.Equal(got.Payload, pattern(total)) || h.calls != 1 {
							t.Errorf("%d bytes, %d calls", len(got.Payload), h.calls)
						}
					})
				})
			}
		}
	}
}

// TestBlockSizeNegotiation has a server that wants smaller blocks than the client.
func TestBlockSizeNegotiation(t *testing.T) {
	h := &mirror{}
	largest := 0
	trace := func(_ coap.Peer, _ bool, d []byte) {
		if m, err := coap.Parse(d); err == nil && m.Code != coap.Empty && len(m.Payload) > largest {
			largest = len(m.Payload)
		}
	}
	o := coap.Options{Handler: h, BlockSize: 64}
	run(t, coap.Options{}, o, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		body := pattern(5000)
		if got := do(t, p, &coap.Request{Method: coap.POST, Payload: body}); !bytes.Equal(got.Payload, body) {
			t.Errorf("%d bytes", len(got.Payload))
		}
	})
	run(t, coap.Options{BlockSize: 32, Trace: trace}, o, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		body := pattern(500)
		got := do(t, p, &coap.Request{Method: coap.POST, Payload: body})
		if !bytes.Equal(got.Payload, body) || largest != 32 {
			t.Errorf("%d bytes by %d", len(got.Payload), largest)
		}
	})
}

// TestEveryLoss drops, doubles or delays each datagram of a transfer in turn.
func TestEveryLoss(t *testing.T) {
	for _, fate := range []string{"lost", "twice", "late", "lost slow", "twice slow", "late slow"} {
		for n := 1; ; n++ {
			passed := 0
			lossy(t, fate, n, &passed)
			if passed < n {
				t.Logf("%s: %d datagrams", fate, n-1)
				if n < 20 {
					t.Errorf("%s: only %d datagrams", fate, n)
				}
				break
			}
		}
	}
}

func lossy(t *testing.T, fate string, n int, passed *int) {
	t.Helper()
	var mu sync.Mutex
	var held [][]byte
	filter := func(d []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		*passed++
		out := append([][]byte{d}, held...)
		held = nil
		if *passed != n {
			return out
		}
		switch fate {
		case "twice":
			return [][]byte{d, d}
		case "late":
			held = [][]byte{d}
		}
		return nil
	}
	h := &mirror{}
	fate, behaviour, _ := strings.Cut(fate, " ")
	if behaviour == "slow" {
		h.delay = 3 * time.Second
	}
	m := coap.Medium{AtoB: filter, BtoA: filter}
	run(t, coap.Options{BlockSize: 64}, coap.Options{Handler: h}, m, func(t *testing.T, p pair) {
		t.Helper()
		got := do(t, p, &coap.Request{Method: coap.POST, Path: []string{"a"}, Payload: pattern(600)})
		if !bytes.Equal(got.Payload, pattern(600)) || h.calls != 1 {
			t.Errorf("datagram %d %s: %d bytes, %d calls", n, fate, len(got.Payload), h.calls)
		}
	})
}

// blockOption encodes Block1 (27) or Block2 (23) with blocks of 16 bytes.
func blockOption(number int, num uint16, more bool) coap.Option {
	o := coap.Option{ID: 23}
	if number == 27 {
		o.ID = 27
	}
	v := num << 4
	if more {
		v |= 8
	}
	if v > 0 {
		o.Value = []byte{byte(v)}
	}
	return o
}

// sender sends the blocks of a body as libcoap does: each with a token of its
// own, and returns the code answered.
type sender struct {
	e    *coap.Engine
	w    *wire
	id   uint16
	path string
	tag  string // Request-Tag
}

func (s *sender) send(t *testing.T, code coap.Code, payload []byte, options ...coap.Option) coap.Message {
	t.Helper()
	s.id++
	m := coap.Message{Code: code, ID: s.id, Token: []byte{byte(s.id >> 8), byte(s.id)}, Payload: payload}
	m.Options = append(m.Options, coap.Option{ID: 11, Value: []byte(s.path)})
	m.Options = append(m.Options, options...)
	if s.tag != "" {
		m.Options = append(m.Options, coap.Option{ID: 292, Value: []byte(s.tag)})
	}
	receive(t, s.e, s.w, m)
	got := s.w.take(t)
	if len(got) != 1 || !bytes.Equal(got[0].Token, m.Token) {
		t.Fatalf("answer to %+v: %+v", m, got)
	}
	return got[0]
}

func TestFreshTokenPerBlock(t *testing.T) {
	h := &mirror{}
	alone(t, coap.Options{Handler: h}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		s := &sender{e: e, w: w, path: "crts"}
		body := pattern(74)
		for n := range uint16(4) {
			if m := s.send(t, coap.POST, body[16*n:16*n+16], blockOption(27, n, true)); m.Code != coap.Continue {
				t.Fatalf("block %d: %v", n, m.Code)
			}
			if n == 2 { // a repetition with a new message id is harmless
				if m := s.send(t, coap.POST, body[32:48], blockOption(27, n, true)); m.Code != coap.Continue {
					t.Fatalf("again: %v", m.Code)
				}
			}
		}
		m := s.send(t, coap.POST, body[64:], blockOption(27, 4, false), blockOption(23, 0, false))
		got := bytes.Clone(m.Payload)
		for n := uint16(1); len(got) < len(body); n++ {
			if m = s.send(t, coap.POST, nil, blockOption(23, n, false)); m.Code != coap.Changed {
				t.Fatalf("response block %d: %v", n, m.Code)
			}
			got = append(got, m.Payload...)
		}
		if h.calls != 1 || h.seen[0] != string(body) || !bytes.Equal(got, body) {
			t.Errorf("%d calls with %q, response %q", h.calls, h.seen, got)
		}
	})
}

func TestInterleavedByRequestTag(t *testing.T) {
	h := &mirror{}
	alone(t, coap.Options{Handler: h}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		a, b := &sender{e: e, w: w, path: "x", tag: "a"}, &sender{e: e, w: w, path: "x", tag: "b", id: 1000}
		other := &sender{e: e, w: &wire{}, path: "x", tag: "a"} // another association
		for n := range uint16(3) {
			for i, s := range []*sender{a, b, other} {
				s.send(t, coap.PUT, bytes.Repeat([]byte{byte('a' + i)}, 16), blockOption(27, n, n < 2))
			}
		}
		for i, c := range []string{"a", "b", "c"} {
			if want := string(bytes.Repeat([]byte(c), 48)); h.seen[i] != want {
				t.Errorf("body %d: %q", i, h.seen[i])
			}
		}
	})
}

func TestConcurrentUploads(t *testing.T) {
	h := &mirror{}
	client := coap.Options{BlockSize: 16, Params: coap.Params{NStart: 4}}
	m := coap.Medium{Delay: time.Millisecond}
	run(t, client, coap.Options{Handler: h}, m, func(t *testing.T, p pair) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				body := bytes.Repeat([]byte{byte('a' + i)}, 100)
				put := &coap.Request{Method: coap.PUT, Path: []string{"x"}, Payload: body}
				r, err := p.client.Do(t.Context(), p.toServer, put)
				if err != nil || !bytes.Equal(r.Payload, body) {
					t.Errorf("Do = %+v, %v", r, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestBodyLimit(t *testing.T) {
	h := &mirror{}
	o := coap.Options{Handler: h, MaxBody: 100}
	alone(t, o, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		s := &sender{e: e, w: w, path: "x"}
		if m := s.send(t, coap.PUT, make([]byte, 16), blockOption(27, 0, true),
			coap.Option{ID: 60, Value: []byte{101}}); m.Code != coap.RequestEntityTooLarge {
			t.Errorf("announced: %v", m.Code)
		}
		var m coap.Message
		for n := range uint16(7) {
			m = s.send(t, coap.PUT, make([]byte, 16), blockOption(27, n, true))
		}
		if m.Code != coap.RequestEntityTooLarge || h.calls != 0 || e.State().Bodies != 0 {
			t.Errorf("%v, %d calls, %+v", m.Code, h.calls, e.State())
		}
	})
	// The client refuses a response above its limit, announced or not.
	o = coap.Options{Handler: &mirror{size: 3001}}
	run(t, coap.Options{MaxBody: 3000}, o, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		_, err := p.client.Do(t.Context(), p.toServer, &coap.Request{Method: coap.GET})
		if !errors.Is(err, coap.ErrTooLarge) {
			t.Errorf("Do = %v", err)
		}
	})
}

func TestIncomplete(t *testing.T) {
	h := &mirror{}
	alone(t, coap.Options{Handler: h}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		s := &sender{e: e, w: w, path: "x"}
		s.send(t, coap.PUT, make([]byte, 16), blockOption(27, 0, true))
		if m := s.send(t, coap.PUT, make([]byte, 16), blockOption(27, 2, true)); m.Code != coap.RequestEntityIncomplete {
			t.Errorf("gap: %v", m.Code)
		}
		if m := s.send(t, coap.PUT, make([]byte, 16), blockOption(27, 1, false),
			coap.Option{ID: 12, Value: []byte{60}}); m.Code != coap.RequestEntityIncomplete {
			t.Errorf("other format: %v", m.Code)
		}
		time.Sleep(248 * time.Second)
		if m := s.send(t, coap.PUT, make([]byte, 16), blockOption(27, 1, false)); m.Code != coap.RequestEntityIncomplete {
			t.Errorf("expired: %v", m.Code)
		}
	})
}

func TestStoreLimits(t *testing.T) {
	h := &mirror{size: 100}
	o := coap.Options{Handler: h, MaxBlockTransfers: 40, MaxBlockBytes: 1500, BlockSize: 16}
	alone(t, o, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		codes := map[coap.Code]int{}
		for i := range 60 {
			s := &sender{e: e, w: &wire{}, path: "x"}
			if i < 30 {
				s.w = w // one peer alone cannot use up what all share
			}
			s.tag = fmt.Sprint(i)
			s.id = uint16(10 * i)
			codes[s.send(t, coap.PUT, make([]byte, 16), blockOption(27, 0, true)).Code]++
			codes[s.send(t, coap.GET, nil).Code]++
			if got := e.State(); got.Bodies > 40 || got.BodyBytes > 1500 {
				t.Fatalf("%+v", got)
			}
			if err := e.Check(); err != nil {
				t.Fatal(err)
			}
		}
		if codes[coap.ServiceUnavailable] == 0 || codes[coap.Continue] < 30 {
			t.Errorf("answers %v", codes)
		}
		time.Sleep(time.Minute) // what rests gives way
		s := &sender{e: e, w: &wire{}, path: "x"}
		if m := s.send(t, coap.GET, nil); m.Code != coap.Content {
			t.Errorf("after a minute: %v", m.Code)
		}
	})
}

// TestRepresentationChanges alters the resource between two blocks.
func TestRepresentationChanges(t *testing.T) {
	calls := 0
	h := coap.HandlerFunc(func(context.Context, *coap.Request) *coap.Response {
		calls++
		return &coap.Response{Code: coap.Content, Payload: bytes.Repeat([]byte{byte('0' + calls)}, 40)}
	})
	n := 0
	intrude := func(d []byte) [][]byte {
		if n++; n == 2 { // another fetch on the same association replaces what is stored
			m, _ := coap.Parse(d)
			m.ID, m.Token, m.Options = m.ID+1000, []byte("other"), []coap.Option{{ID: 23}}
			other, _ := m.Append(nil)
			return [][]byte{other, d}
		}
		return [][]byte{d}
	}
	m := coap.Medium{AtoB: intrude, Delay: 1}
	run(t, coap.Options{BlockSize: 16}, coap.Options{Handler: h}, m, func(t *testing.T, p pair) {
		t.Helper()
		got := do(t, p, &coap.Request{Method: coap.GET})
		if len(got.Payload) != 40 || bytes.Count(got.Payload, got.Payload[:1]) != 40 {
			t.Errorf("mixed body %q", got.Payload)
		}
		if calls < 3 {
			t.Errorf("%d calls: nothing changed on the way", calls)
		}
	})
}

// TestFetchBlocksWithBody asks for later blocks with and without repeating
// what is fetched.
func TestFetchBlocksWithBody(t *testing.T) {
	h := &mirror{}
	alone(t, coap.Options{Handler: h, BlockSize: 16}, func(t *testing.T, e *coap.Engine, w *wire) {
		t.Helper()
		s := &sender{e: e, w: w}
		body := pattern(40)
		s.send(t, coap.FETCH, body)
		a := s.send(t, coap.FETCH, body, blockOption(23, 1, false))
		b := s.send(t, coap.FETCH, nil, blockOption(23, 1, false))
		if h.calls != 1 || !bytes.Equal(a.Payload, body[16:32]) || !bytes.Equal(b.Payload, body[16:32]) {
			t.Errorf("%d calls, %q, %q", h.calls, a.Payload, b.Payload)
		}
		if m := s.send(t, coap.FETCH, pattern(39), blockOption(23, 1, false)); h.calls != 2 || m.Code != coap.Changed {
			t.Errorf("another body: %d calls, %v", h.calls, m.Code)
		}
	})
}

func TestServerWithoutBlocks(t *testing.T) {
	tests := []struct {
		name    string
		options []coap.Option
		code    coap.Code
		payload string
		err     error
	}{
		{"error ends an upload", nil, coap.NotFound, "", nil},
		{"SZX 7", []coap.Option{{ID: 27, Value: []byte{0x0f}}}, coap.Continue, "", coap.ErrBlock},
		{"short block of a response", []coap.Option{{ID: 23, Value: []byte{0x0e}}}, coap.Content, "x", coap.ErrBlock},
		{"response begins in the middle", []coap.Option{{ID: 23, Value: []byte{0x10}}}, coap.Content, "x", coap.ErrBlock},
		{"response announced too large", []coap.Option{
			{ID: 23, Value: []byte{0x08}},
			{ID: 28, Value: []byte{0xff, 0xff, 0xff, 0xff}},
		}, coap.Content, "0123456789abcdef", coap.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			alone(t, coap.Options{}, func(t *testing.T, e *coap.Engine, w *wire) {
				t.Helper()
				result := make(chan error, 1)
				go func() {
					r, err := e.Do(t.Context(), w, &coap.Request{Method: coap.PUT, Payload: make([]byte, 3000)})
					if err == nil && r.Code != tt.code {
						err = fmt.Errorf("code %v", r.Code)
					}
					result <- err
				}()
				synctest.Wait()
				r := w.take(t)[0]
				receive(t, e, w, coap.Message{
					Type: coap.ACK, Code: tt.code, ID: r.ID, Token: r.Token, Options: tt.options, Payload: []byte(tt.payload),
				})
				if err := <-result; !errors.Is(err, tt.err) {
					t.Errorf("Do = %v, want %v", err, tt.err)
				}
			})
		})
	}
}
