// Package enroltest has a memory Store of enrolments and the suite that every Store
// passes.
package enroltest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"steward/est/enrol"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// A Store keeps enrolments in memory. The zero value is ready for use.
type Store struct {
	mu       sync.Mutex
	all      map[fleet.ID]enrol.Enrolment
	issued   []enrol.Issuance
	position int64
	rows     []audit.Row
}

var _ enrol.Store = (*Store)(nil)

// Issue adds a certificate, whose Position is chosen here.
func (s *Store) Issue(i enrol.Issuance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i.Position = int64(len(s.issued)) + 1
	s.issued = append(s.issued, i)
}

// Rows returns the audit rows so far.
func (s *Store) Rows() []audit.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows)
}

// Enrolment implements enrol.Store.
func (s *Store) Enrolment(_ context.Context, device fleet.ID) (enrol.Enrolment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.all[device]; ok {
		return e, nil
	}
	return enrol.Enrolment{}, enrol.ErrUnknown
}

// Due implements enrol.Store.
func (s *Store) Due(_ context.Context, until time.Time, after enrol.Enrolment, limit int) ([]enrol.Enrolment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []enrol.Enrolment
	for _, e := range s.all {
		if !e.Due.IsZero() && !e.Due.After(until) && byDue(e, after) > 0 {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, byDue)
	return out[:min(len(out), limit)], nil
}

func byDue(a, b enrol.Enrolment) int {
	return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Device, b.Device))
}

// Issued implements enrol.Store.
func (s *Store) Issued(_ context.Context, limit int) ([]enrol.Issuance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.issued[s.position:]
	return slices.Clone(left[:min(len(left), limit)]), nil
}

// Counts implements enrol.Store.
func (s *Store) Counts(context.Context) (map[enrol.State]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[enrol.State]int{}
	for _, e := range s.all {
		if e.State != enrol.Good {
			out[e.State]++
		}
	}
	return out, nil
}

// Commit implements enrol.Store.
func (s *Store) Commit(_ context.Context, ch enrol.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range ch.Enrolments {
		if s.all[e.Device].Version != e.Version {
			return enrol.ErrConflict
		}
	}
	if s.all == nil {
		s.all = map[fleet.ID]enrol.Enrolment{}
	}
	for _, e := range ch.Enrolments {
		e.Version++
		s.all[e.Device] = e
	}
	s.rows = append(s.rows, ch.Audit...)
	s.position = max(s.position, ch.Position)
	return nil
}
