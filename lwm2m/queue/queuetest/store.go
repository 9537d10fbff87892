// Package queuetest has a memory Store of operations and the suite that every Store
// passes.
package queuetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
)

// A Store keeps operations in memory. The zero value is ready for use.
type Store struct {
	mu   sync.Mutex
	all  []queue.Operation // in order
	rows []audit.Row
}

// Rows returns the audit rows so far.
func (s *Store) Rows() []audit.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows)
}

// Add implements queue.Store.
func (s *Store) Add(_ context.Context, o queue.Operation, row *audit.Row) (replaced []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count(o.Device, false) >= queue.MaxWaiting {
		return nil, queue.ErrFull
	}
	if o.Writes {
		replaced = s.replaceWrites(o)
	}
	surplus := s.count(o.Device, true) - queue.MaxKept
	s.all = slices.DeleteFunc(s.all, func(x queue.Operation) bool {
		if surplus <= 0 || x.Device != o.Device || !x.State.Over() {
			return false
		}
		surplus--
		return true
	})
	s.all = append(s.all, o)
	s.audit(row)
	return replaced, nil
}

// count returns how many of a device are over, or are not.
func (s *Store) count(device fleet.ID, over bool) (n int) {
	for _, x := range s.all {
		if x.Device == device && x.State.Over() == over {
			n++
		}
	}
	return n
}

// replaceWrites cancels the writes at the end that o takes the place of.
func (s *Store) replaceWrites(o queue.Operation) (replaced []string) {
	for i := len(s.all) - 1; i >= 0; i-- {
		x := &s.all[i]
		if x.Device != o.Device || x.State != queue.Queued {
			continue
		}
		if !x.Writes {
			break
		}
		if x.Path == o.Path {
			s.replace(x, o)
			replaced = append(replaced, x.ID)
		}
	}
	return replaced
}

func (s *Store) replace(x *queue.Operation, by queue.Operation) {
	x.State, x.Reason, x.EndedAt, x.Body = queue.Cancelled, queue.Replaced, by.CreatedAt, nil
	x.Version++
	s.rows = append(s.rows, audit.Row{
		Actor: by.Actor, Action: "operation.cancel", Subject: string(x.Device), Reason: queue.Replaced,
		Before: string(queue.Queued), After: string(queue.Cancelled), At: by.CreatedAt,
	})
}

func (s *Store) audit(row *audit.Row) {
	if row != nil {
		s.rows = append(s.rows, *row)
	}
}

func (s *Store) find(id string) int {
	return slices.IndexFunc(s.all, func(x queue.Operation) bool { return x.ID == id })
}

// Set implements queue.Store.
func (s *Store) Set(_ context.Context, o queue.Operation, row *audit.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(o.ID)
	if i < 0 || s.all[i].Version != o.Version-1 {
		return queue.ErrConflict
	}
	s.all[i] = o
	s.audit(row)
	return nil
}

// Operation implements queue.Store.
func (s *Store) Operation(_ context.Context, id string) (queue.Operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(id); i >= 0 {
		return s.all[i], nil
	}
	return queue.Operation{}, queue.ErrUnknown
}

// Operations implements queue.Store.
func (s *Store) Operations(_ context.Context, f queue.Filter) ([]queue.Operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.all)
	if !f.Open {
		slices.Reverse(all)
	}
	if f.After != "" {
		i := slices.IndexFunc(all, func(x queue.Operation) bool { return x.ID == f.After })
		all = all[i+1:]
	}
	all = slices.DeleteFunc(all, func(x queue.Operation) bool {
		return f.Device != "" && x.Device != f.Device || f.Open && x.State.Over() ||
			!f.Expired.IsZero() && (x.State != queue.Queued || x.ExpiresAt.After(f.Expired))
	})
	if f.Limit > 0 && len(all) > f.Limit {
		all = all[:f.Limit]
	}
	return all, nil
}

// Waiting implements queue.Store.
func (s *Store) Waiting(context.Context) (map[fleet.ID]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[fleet.ID]int{}
	for _, x := range s.all {
		if !x.State.Over() && x.Held {
			out[x.Device]++
		}
	}
	return out, nil
}

// Prune implements queue.Store.
func (s *Store) Prune(_ context.Context, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(x queue.Operation) bool {
		return x.State.Over() && x.EndedAt.Before(before)
	})
	return nil
}
