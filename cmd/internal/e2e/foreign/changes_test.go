package foreign_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestForeignChanges revises what is told of the device, before there is an offer and
// when there is one, which that voids, and has the window end later, in both directions.
func TestForeignChanges(t *testing.T) {
	t.Parallel()
	s, f := newPair(t)
	id := s.draft(t, "--within", "1h")
	s.operate(t, "transfer", "submit", id)
	s.operate(t, "transfer", "wait", id, "--state", "INFO_ACCEPTED", "--timeout", "2m")
	s.revise(t, f, id, 1)
	s.offer(t, f, id)
	s.revise(t, f, id, 2)
	s.offer(t, f, id)
	later := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	s.operate(t, "transfer", "extend", id, "--until", later.Format(time.RFC3339))
	s.await(t, "the question", func() error { return f.agree(t.Context(), id) })
	s.ends(t, id, later)
	s.operate(t, "transfer", "approve", id)
	s.toForeign(t, f, id)
	s.verify(t, id)

	id, err := f.submit(t.Context(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	d := f.deals[id]
	f.mu.Unlock()
	if err := f.inform(t.Context(), d); err != nil { // again
		t.Fatal(err)
	}
	s.takes(t, f, id)
	if err := f.extend(t.Context(), id, uint64(later.Unix())); err != nil {
		t.Fatal(err)
	}
	s.operate(t, "transfer", "extend", id, "--reason", "agreed")
	s.await(t, "the answer", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if d.window[1] != uint64(later.Unix()) {
			return fmt.Errorf("window ends at %d", d.window[1])
		}
		return nil
	})
	s.ends(t, id, later)
	s.handed(t, f, id)
}

// revise has the provider tell anew what the device runs, and waits until that is
// accepted.
func (s *stage) revise(t *testing.T, f *foreign, id string, count int) {
	t.Helper()
	s.operate(t, "transfer", "revise", id)
	s.operate(t, "transfer", "wait", id, "--state", "INFO_ACCEPTED", "--timeout", "2m")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.revisions != count {
		t.Errorf("%d revisions, want %d", f.revisions, count)
	}
}

// ends waits until the window of a transfer ends at that time.
func (s *stage) ends(t *testing.T, id string, at time.Time) {
	t.Helper()
	s.await(t, "the later end", func() error {
		shown := s.operate(t, "transfer", "show", "--json", id)
		if want := fmt.Sprintf("%q: %q", "latest", at.Format(time.RFC3339)); !strings.Contains(shown, want) {
			return fmt.Errorf("no %s in %s", want, shown)
		}
		return nil
	})
}
