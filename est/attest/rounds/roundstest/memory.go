// Package roundstest has a memory Store of rounds of attestation and the suite that
// every Store passes.
package roundstest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"steward/est/attest/rounds"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// A Store keeps rounds in memory. Its zero value has no devices.
type Store struct {
	mu     sync.Mutex
	wanted map[fleet.ID]time.Duration
	all    map[fleet.ID]rounds.Round
	rows   []audit.Row
}

var _ rounds.Store = (*Store)(nil)

// Want adds a device that is to prove what it runs so often; 0: never.
func (s *Store) Want(device fleet.ID, every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == nil {
		s.wanted, s.all = map[fleet.ID]time.Duration{}, map[fleet.ID]rounds.Round{}
	}
	s.wanted[device] = every
}

// Rows returns the audit rows so far.
func (s *Store) Rows() []audit.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows)
}

// Round implements rounds.Store.
func (s *Store) Round(_ context.Context, device fleet.ID) (rounds.Round, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted, ok := s.wanted[device]
	if !ok {
		return rounds.Round{}, rounds.ErrUnknown
	}
	r, ok := s.all[device]
	if !ok {
		r = rounds.Round{Device: device, State: rounds.Unproved}
	}
	r.Wanted = wanted
	return r, nil
}

// Due implements rounds.Store.
func (s *Store) Due(_ context.Context, limit int) ([]rounds.Round, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []rounds.Round
	for _, r := range s.all {
		if !r.Due.IsZero() {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b rounds.Round) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Device, b.Device))
	})
	return out[:min(len(out), limit)], nil
}

// Waiting implements rounds.Store.
func (s *Store) Waiting(_ context.Context, after fleet.ID, limit int) ([]fleet.ID, error) {
	return s.ids(after, limit, func(id fleet.ID) bool { return s.all[id].Waiting })
}

// Provable implements rounds.Store.
func (s *Store) Provable(_ context.Context, after fleet.ID, limit int) ([]fleet.ID, error) {
	return s.ids(after, limit, func(fleet.ID) bool { return true })
}

func (s *Store) ids(after fleet.ID, limit int, keep func(fleet.ID) bool) (out []fleet.ID, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.wanted)) {
		if id > after && keep(id) && len(out) < limit {
			out = append(out, id)
		}
	}
	return out, nil
}

// Ruled implements rounds.Store.
func (s *Store) Ruled(context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, every := range s.wanted {
		if every > 0 {
			return true, nil
		}
	}
	return false, nil
}

// Commit implements rounds.Store.
func (s *Store) Commit(_ context.Context, r rounds.Round, rows ...audit.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[r.Device].Version != r.Version {
		return rounds.ErrConflict
	}
	r.Version++
	r.Wanted = r.Interval
	s.all[r.Device] = r
	s.rows = append(s.rows, rows...)
	return nil
}
