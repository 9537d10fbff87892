// Package rolltest holds a rollout.Store in memory, and the suite that every
// Store must pass.
package rolltest

import (
	"context"
	"slices"
	"sync"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// A Store is a rollout.Store in memory. The zero Store is empty and ready.
type Store struct {
	mu        sync.Mutex
	releases  []rollout.Release // oldest first
	contents  map[string]rollout.Content
	campaigns []rollout.Campaign // oldest first
	jobs      map[key]rollout.Job
	counts    map[string]map[int]rollout.Counts // kept with each change, as a database would
	installed map[fleet.ID]rollout.Installed
	devices   []rollout.Candidate // in order of ids
	fail      func() error
}

// FailBy has the Store ask before each write from now on: an error is returned,
// and nothing is stored. Nil: every write succeeds.
func (s *Store) FailBy(fail func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// A key names a job.
type key struct {
	campaign string
	device   fleet.ID
}

// AddRelease implements rollout.Releases.
func (s *Store) AddRelease(_ context.Context, r rollout.Release, c rollout.Content) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.contents == nil {
		s.contents = map[string]rollout.Content{}
	}
	s.releases, s.contents[r.ID] = append(s.releases, r), c
	return nil
}

// Release implements rollout.Releases.
func (s *Store) Release(_ context.Context, id string) (rollout.Release, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(s.releases, func(r rollout.Release) bool { return r.ID == id })
}

// Content implements rollout.Releases.
func (s *Store) Content(_ context.Context, release string) (rollout.Content, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.contents[release]
	if !ok {
		return c, rollout.ErrUnknown
	}
	return c, nil
}

// Newest implements rollout.Releases.
func (s *Store) Newest(_ context.Context, class string) (n uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.releases {
		if r.Class == class {
			n = max(n, r.Sequence)
		}
	}
	return n, nil
}

// ListReleases implements rollout.Releases.
func (s *Store) ListReleases(_ context.Context, before string, limit int) ([]rollout.Release, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page(s.releases, func(r rollout.Release) string { return r.ID }, before, limit), nil
}

// DecideRelease implements rollout.Releases.
func (s *Store) DecideRelease(_ context.Context, id string, from rollout.ReleaseState, d rollout.Decision) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.releases, func(r rollout.Release) bool { return r.ID == id })
	switch {
	case i < 0:
		return rollout.ErrUnknown
	case s.releases[i].State != from:
		return rollout.ErrDecided
	}
	r := &s.releases[i]
	r.State, r.Decisions = d.To, append(slices.Clone(r.Decisions), d)
	return nil
}

// find returns the first item that is matches, or ErrUnknown.
func find[T any](items []T, is func(T) bool) (T, error) {
	i := slices.IndexFunc(items, is)
	if i < 0 {
		var none T
		return none, rollout.ErrUnknown
	}
	return items[i], nil
}

// page returns the newest first, below an id.
func page[T any](items []T, id func(T) string, before string, limit int) (out []T) {
	for _, item := range slices.Backward(items) {
		if (before == "" || id(item) < before) && len(out) < limit {
			out = append(out, item)
		}
	}
	return out
}
