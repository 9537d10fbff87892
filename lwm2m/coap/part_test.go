package coap_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"steward/lwm2m/coap"
)

// parts serves a body part by part and counts the requests.
type parts struct {
	body  []byte
	calls int
	wrong bool // answers with parts of the wrong length
}

func (h *parts) ServeCoAP(_ context.Context, r *coap.Request) *coap.Response {
	h.calls++
	start := min(r.Offset, len(h.body))
	part := h.body[start:min(start+r.Limit, len(h.body))]
	if h.wrong {
		part = part[:len(part)-1]
	}
	return &coap.Response{Code: coap.Content, ETag: []byte{7}, Total: len(h.body), Payload: part}
}

func TestParts(t *testing.T) {
	for _, total := range []int{1, 1024, 1025, 5000} {
		for _, size := range []int{64, 1024} {
			h := &parts{body: pattern(total)}
			for _, way := range ways {
				o := coap.Options{Handler: h, MaxBlockBytes: 1, Quick: way.quick} // the engine keeps nothing
				run(t, coap.Options{BlockSize: size}, o, coap.Medium{}, func(t *testing.T, p pair) {
					t.Helper()
					h.calls = 0
					got := do(t, p, &coap.Request{Method: coap.GET, Path: []string{"a"}})
					if !bytes.Equal(got.Payload, h.body) || h.calls != (total+size-1)/size {
						t.Errorf("%d bytes by %d: got %d in %d calls", total, size, len(got.Payload), h.calls)
					}
				})
			}
		}
	}
}

func TestPartsRefused(t *testing.T) {
	h := &parts{body: pattern(3000), wrong: true}
	run(t, coap.Options{}, coap.Options{Handler: h}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		if got := do(t, p, &coap.Request{Method: coap.GET, Path: []string{"a"}}); got.Code != coap.InternalServerError {
			t.Errorf("part of the wrong length = %s", got.Code)
		}
	})
}

func TestBlock(t *testing.T) {
	h := &parts{body: pattern(5000)}
	run(t, coap.Options{}, coap.Options{Handler: h}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		r := &coap.Request{Method: coap.GET, Path: []string{"a"}}
		var got []byte
		for more := true; more; {
			var b *coap.Response
			var err error
			if b, more, err = p.client.Block(t.Context(), p.toServer, r, len(got)); err != nil {
				t.Fatal(err)
			}
			got = append(got, b.Payload...)
		}
		if !bytes.Equal(got, h.body) {
			t.Errorf("got %d bytes, want %d", len(got), len(h.body))
		}
		if b, _, err := p.client.Block(t.Context(), p.toServer, r, 1<<20); err != nil || b.Code != coap.BadRequest {
			t.Errorf("block beyond the end = %+v, %v", b, err)
		}
		for _, offset := range []int{-1024, 100, 1 << 31} {
			if _, _, err := p.client.Block(t.Context(), p.toServer, r, offset); !errors.Is(err, coap.ErrRequest) {
				t.Errorf("Block at %d = %v, want ErrRequest", offset, err)
			}
		}
	})
}

func TestProgress(t *testing.T) {
	run(t, coap.Options{}, coap.Options{Handler: &mirror{}}, coap.Medium{}, func(t *testing.T, p pair) {
		t.Helper()
		var got []int
		ctx := coap.WithProgress(t.Context(), func(n int) { got = append(got, n) })
		r := &coap.Request{Method: coap.PUT, Path: []string{"a"}, Payload: pattern(2500)}
		if _, err := p.client.Do(ctx, p.toServer, r); err != nil {
			t.Fatal(err)
		}
		if want := []int{1024, 2048}; !slices.Equal(got, want) {
			t.Errorf("progress %v, want %v", got, want)
		}
	})
}
