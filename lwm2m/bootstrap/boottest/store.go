// Package boottest has a memory Store of bootstrap reports and the suite that
// every Store passes.
package boottest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/fleet"
)

// A Store keeps reports in memory. The zero value is ready for use.
type Store struct {
	mu      sync.Mutex
	reports map[fleet.ID]bootstrap.Report
}

// Keep implements bootstrap.Store.
func (s *Store) Keep(_ context.Context, r bootstrap.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reports == nil {
		s.reports = map[fleet.ID]bootstrap.Report{}
	}
	r.Steps = slices.Clone(r.Steps)
	s.reports[r.Device] = r
	return nil
}

// Last implements bootstrap.Store.
func (s *Store) Last(_ context.Context, device fleet.ID) (bootstrap.Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports[device], nil
}

// Interrupt implements bootstrap.Store.
func (s *Store) Interrupt(_ context.Context, now time.Time, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.reports {
		if !r.State.Over() {
			r.State, r.Reason, r.EndedAt = bootstrap.Failed, reason, now
			s.reports[id] = r
		}
	}
	return nil
}

// TestStore is the suite of a Store. open returns an empty one that knows the
// devices named.
func TestStore(t *testing.T, open func(t *testing.T, devices ...fleet.ID) bootstrap.Store) {
	ctx := t.Context()
	at := time.UnixMicro(1_700_000_000_000_000).UTC()
	s := open(t, "A", "B")
	if r, err := s.Last(ctx, "A"); err != nil || r.State != "" {
		t.Fatalf("a device without a report: %+v, %v", r, err)
	}
	r := bootstrap.Report{
		Device: "A", Endpoint: "urn:a", Address: "192.0.2.1:5683", Version: lwm2m.Version11, State: bootstrap.Writing,
		Steps:     []bootstrap.Step{{At: time.Second, What: "Write /0/1", Answer: "2.04", Note: "four values"}},
		StartedAt: at,
	}
	keep(t, s, r)
	other := r
	other.Device, other.State, other.EndedAt = "B", bootstrap.Done, at.Add(time.Minute)
	keep(t, s, other)
	r.State, r.Version = bootstrap.Finishing, lwm2m.Version12
	keep(t, s, r)

	if err := s.Interrupt(ctx, at.Add(time.Hour), "restarted"); err != nil {
		t.Fatal(err)
	}
	r.State, r.Reason, r.EndedAt = bootstrap.Failed, "restarted", at.Add(time.Hour)
	compare(t, s, r)
	compare(t, s, other)
}

func keep(t *testing.T, s bootstrap.Store, r bootstrap.Report) {
	t.Helper()
	if err := s.Keep(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	compare(t, s, r)
}

func compare(t *testing.T, s bootstrap.Store, want bootstrap.Report) {
	t.Helper()
	got, err := s.Last(t.Context(), want.Device)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Steps, want.Steps) {
		t.Errorf("steps %+v, want %+v", got.Steps, want.Steps)
	}
	got.Steps, want.Steps = nil, nil
	if !got.StartedAt.Equal(want.StartedAt) || !got.EndedAt.Equal(want.EndedAt) {
		t.Errorf("times %v to %v, want %v to %v", got.StartedAt, got.EndedAt, want.StartedAt, want.EndedAt)
	}
	got.StartedAt, got.EndedAt, want.StartedAt, want.EndedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	if got.State != want.State || got.Reason != want.Reason || got.Version != want.Version ||
		got.Endpoint != want.Endpoint || got.Address != want.Address || got.Pack != want.Pack {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
