package oncetest

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"

	"steward/web/once"
)

// TestStore checks that the stores that open returns keep the promises of once.Store.
// apply changes something else in the same database, for a context.
func TestStore(t *testing.T, open func(t *testing.T) (s once.Store, apply func(context.Context) error)) {
	t.Helper()
	first := once.Reply{
		Key: once.Key{1}, Caller: "token:a", Request: once.Digest{2}, Run: "one", State: once.Running,
		At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	done := first
	done.State, done.Status, done.Body = once.Done, http.StatusCreated, []byte(`{"secret":1}`)
	done.Header = http.Header{"Location": {"/x"}}
	refused := done
	refused.Status = http.StatusConflict
	other := first
	other.Run = "two"

	t.Run("once", func(t *testing.T) {
		s, _ := open(t)
		begin(t, s, first, true, first)
		begin(t, s, first, false, first)
		must(t, s.Finish(t.Context(), done))
		begin(t, s, first, false, done)
		begin(t, s, other, false, done)
	})
	t.Run("a refusal that changed nothing frees the key", func(t *testing.T) {
		s, _ := open(t)
		begin(t, s, first, true, first)
		must(t, s.Finish(t.Context(), refused))
		begin(t, s, first, true, first)
	})
	t.Run("a refusal after a change is kept", func(t *testing.T) {
		s, apply := open(t)
		begin(t, s, first, true, first)
		must(t, apply(once.With(t.Context(), first.Key)))
		must(t, s.Finish(t.Context(), refused))
		begin(t, s, first, false, refused)
	})
	t.Run("a process that stopped before it changed anything", func(t *testing.T) {
		s, _ := open(t)
		begin(t, s, first, true, first)
		begin(t, s, other, true, other)
		begin(t, s, other, false, other)
	})
	t.Run("a process that stopped after it changed something", func(t *testing.T) {
		s, apply := open(t)
		begin(t, s, first, true, first)
		must(t, apply(once.With(t.Context(), first.Key)))
		applied := first
		applied.State = once.Applied
		begin(t, s, other, false, applied)
	})
	t.Run("prune", func(t *testing.T) {
		s, _ := open(t)
		begin(t, s, first, true, first)
		must(t, s.Prune(t.Context(), first.At))
		begin(t, s, first, false, first)
		must(t, s.Prune(t.Context(), first.At.Add(time.Second)))
		begin(t, s, first, true, first)
		if err := s.Finish(t.Context(), once.Reply{Key: once.Key{9}}); !errors.Is(err, once.ErrGone) {
			t.Errorf("Finish of nothing = %v, want ErrGone", err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, s once.Store, r once.Reply, begun bool, want once.Reply) {
	t.Helper()
	got, ok, err := s.Begin(t.Context(), r)
	if err != nil || ok != begun {
		t.Fatalf("Begin = %v, %v; want %v", ok, err, begun)
	}
	if len(got.Body) == 0 {
		got.Body = want.Body // nil or empty
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("Begin found %+v, want %+v", got, want)
	}
}
