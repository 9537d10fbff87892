package roundstest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"steward/est/attest"
	"steward/est/attest/rounds"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// A World is a new, empty Store.
type World struct {
	Store rounds.Store
	// Device adds a device whose attestation key is known, to be asked so often.
	Device func(t *testing.T, id fleet.ID, every time.Duration)
}

// TestStore checks that a Store does what its interface promises.
func TestStore(t *testing.T, w World) {
	t.Helper()
	ctx, s := t.Context(), w.Store
	if _, err := s.Round(ctx, "none"); !errors.Is(err, rounds.ErrUnknown) {
		t.Errorf("round of nobody: %v, want ErrUnknown", err)
	}
	if ruled, err := s.Ruled(ctx); ruled || err != nil {
		t.Errorf("Ruled = %v, %v before there is a rule", ruled, err)
	}
	for _, id := range []fleet.ID{"a", "b", "c"} {
		w.Device(t, id, time.Hour)
	}
	w.Device(t, "d", 0)
	if ruled, err := s.Ruled(ctx); !ruled || err != nil {
		t.Errorf("Ruled = %v, %v with rules", ruled, err)
	}
	fresh, err := s.Round(ctx, "a")
	if want := (rounds.Round{Device: "a", State: rounds.Unproved, Wanted: time.Hour}); err != nil || fresh != want {
		t.Errorf("new round = %+v, %v; want %+v", fresh, err, want)
	}
	if r, err := s.Round(ctx, "d"); err != nil || r.Wanted != 0 {
		t.Errorf("round of one that is never asked = %+v, %v", r, err)
	}
	at := time.Date(2026, 11, 26, 12, 0, 0, 1000, time.UTC)
	full := rounds.Round{
		Device: "a", State: rounds.Bad, Since: at, Wanted: time.Hour, Interval: time.Hour, Due: at.Add(time.Hour), Tries: 2,
		Why: "because", Tier: attest.TierContraindicated, Reason: "altered", JudgedAt: at,
	}
	testCommit(t, s, full)
	testLists(t, s, full)
}

func testCommit(t *testing.T, s rounds.Store, full rounds.Round) {
	t.Helper()
	row := audit.Row{Actor: "system", Action: "attestation.bad", Subject: "a", At: full.Since}
	if err := s.Commit(t.Context(), full, row); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), full); !errors.Is(err, rounds.ErrConflict) {
		t.Errorf("inserted twice: %v, want ErrConflict", err)
	}
	full.Version = 1
	if got, err := s.Round(t.Context(), "a"); err != nil || got != full {
		t.Errorf("round = %+v, %v; want %+v", got, err, full)
	}
	if err := s.Commit(t.Context(), full); err != nil {
		t.Error(err)
	}
	if err := s.Commit(t.Context(), full); !errors.Is(err, rounds.ErrConflict) {
		t.Errorf("changed twice from one version: %v, want ErrConflict", err)
	}
}

func testLists(t *testing.T, s rounds.Store, full rounds.Round) {
	t.Helper()
	ctx := t.Context()
	earlier, waits := full, full
	earlier.Device, earlier.Due = "b", full.Due.Add(-time.Minute)
	waits.Device, waits.Due, waits.Waiting = "c", time.Time{}, true
	if err := errors.Join(s.Commit(ctx, earlier), s.Commit(ctx, waits)); err != nil {
		t.Fatal(err)
	}
	due, err := s.Due(ctx, 9)
	if err != nil || len(due) != 2 || due[0].Device != "b" || due[1].Device != "a" {
		t.Errorf("Due = %+v, %v; want b and a", due, err)
	}
	if due, err = s.Due(ctx, 1); err != nil || len(due) != 1 {
		t.Errorf("Due(1) = %+v, %v", due, err)
	}
	ids, err := s.Waiting(ctx, "", 9)
	if err != nil || !slices.Equal(ids, []fleet.ID{"c"}) {
		t.Errorf("Waiting = %v, %v; want c", ids, err)
	}
	ids, err = s.Provable(ctx, "a", 2)
	if err != nil || !slices.Equal(ids, []fleet.ID{"b", "c"}) {
		t.Errorf("Provable after a = %v, %v; want b and c", ids, err)
	}
}
