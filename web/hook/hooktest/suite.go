package hooktest

import (
	"errors"
	"reflect"
	"strconv"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/web/hook"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Hook returns one with an id and a name, of which every field is set.
func Hook(id, name string) hook.Hook {
	return hook.Hook{
		ID: id, Name: name, URL: "https://example.com/x", Mode: hook.Binary, Types: []string{"device.", "campaign"},
		Subject: "d", Secret: []byte("a secret"), State: hook.Failing, Cursor: 7, Attempt: 2, NextAt: noon,
		FailingSince: noon, Status: 500, Words: "no", LastAt: noon, CreatedAt: noon, CreatedBy: "operator:a",
	}
}

// TestStore checks that the stores that open returns keep the promises of hook.Store.
func TestStore(t *testing.T, open func(t *testing.T) hook.Store) {
	t.Helper()
	row := audit.Row{Actor: "operator:a", Action: "webhook.test", Subject: "one", At: noon}
	t.Run("hooks", func(t *testing.T) { testHooks(t, open(t), row) })
	t.Run("letters", func(t *testing.T) { testLetters(t, open(t), row) })
	t.Run("limits", func(t *testing.T) { testLimits(t, open(t), row) })
}

func testHooks(t *testing.T, s hook.Store, row audit.Row) {
	t.Helper()
	one, two := Hook("one", "b"), Hook("two", "a")
	two.NextAt, two.FailingSince, two.LastAt, two.Types = time.Time{}, time.Time{}, time.Time{}, nil
	must(t, s.Put(t.Context(), one, row))
	must(t, s.Put(t.Context(), two, row))
	one.Version, two.Version = 1, 1
	want(t, s, two, one)
	if err := s.Put(t.Context(), Hook("one", "c"), row); !errors.Is(err, hook.ErrConflict) {
		t.Errorf("Put of another with its id = %v", err)
	}
	one.Cursor = 9
	must(t, s.Put(t.Context(), one, audit.Row{}))
	if err := s.Put(t.Context(), one, row); !errors.Is(err, hook.ErrConflict) {
		t.Errorf("Put of what it was before = %v", err)
	}
	one.Version = 2
	want(t, s, two, one)
	must(t, s.Remove(t.Context(), "one", row))
	want(t, s, two)
	if err := s.Remove(t.Context(), "one", row); !errors.Is(err, hook.ErrNotFound) {
		t.Errorf("Remove of what is gone = %v", err)
	}
	one.Version = 2
	if err := s.Put(t.Context(), one, row); !errors.Is(err, hook.ErrConflict) {
		t.Errorf("Put of what is gone = %v", err)
	}
}

func letter(event uint64) hook.Letter {
	return hook.Letter{
		Hook: "one", Event: event, At: noon, Type: "campaign", Subject: "c", Data: []byte(`{"a":1}`), State: hook.Dead,
		Words: "no", Tries: 8,
	}
}

func testLetters(t *testing.T, s hook.Store, row audit.Row) {
	t.Helper()
	must(t, s.Put(t.Context(), Hook("one", "a"), row, letter(3), letter(5)))
	list := func(state hook.LetterState, after uint64, limit int, want ...hook.Letter) {
		t.Helper()
		got, err := s.Letters(t.Context(), "one", state, after, limit)
		if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("Letters(%q, %d, %d) = %+v, %v; want %+v", state, after, limit, got, err, want)
		}
	}
	list("", 0, 10, letter(3), letter(5))
	list("", 3, 10, letter(5))
	list("", 0, 1, letter(3))
	list(hook.Requested, 0, 10)
	asked := letter(5)
	asked.State = hook.Requested
	must(t, s.PutLetter(t.Context(), asked, row))
	list(hook.Requested, 0, 10, asked)
	if got, err := s.Letter(t.Context(), "one", 5); err != nil || !reflect.DeepEqual(got, asked) {
		t.Errorf("Letter = %+v, %v", got, err)
	}
	for _, err := range []error{
		s.PutLetter(t.Context(), letter(4), row),
		func() error { _, err := s.Letter(t.Context(), "two", 5); return err }(),
	} {
		if !errors.Is(err, hook.ErrNotFound) {
			t.Errorf("a letter that there is not: %v", err)
		}
	}
	must(t, s.Remove(t.Context(), "one", row))
	list("", 0, 10)
}

func testLimits(t *testing.T, s hook.Store, row audit.Row) {
	t.Helper()
	letters := make([]hook.Letter, hook.MaxLetters+2)
	for i := range letters {
		letters[i] = letter(uint64(i + 1))
	}
	must(t, s.Put(t.Context(), Hook("one", "a"), row, letters...))
	got, err := s.Letters(t.Context(), "one", "", 0, 2*hook.MaxLetters)
	if err != nil || len(got) != hook.MaxLetters || got[0].Event != 3 {
		t.Errorf("%d letters are kept, %v", len(got), err)
	}
	for i := range hook.MaxHooks - 1 {
		must(t, s.Put(t.Context(), Hook(strconv.Itoa(i), "x"), row))
	}
	if err := s.Put(t.Context(), Hook("more", "x"), row); !errors.Is(err, hook.ErrFull) {
		t.Errorf("Put beyond MaxHooks = %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s hook.Store, want ...hook.Hook) {
	t.Helper()
	got, err := s.Hooks(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Hooks = %+v, %v; want %+v", got, err, want)
	}
}
