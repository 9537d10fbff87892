// Package rolltest holds a rollout.Store in memory, and the suite that every
// Store must pass.
package rolltest

import (
	"context"
	"slices"
	"sync"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// A Store is a rollout.Store in memory. The zero Store is empty and ready.
type Store struct {
	mu        sync.Mutex
	releases  []rollout.Release // oldest first
	contents  map[string]rollout.Content
	campaigns []rollout.Campaign // oldest first
	jobs      []rollout.Job
	installed map[fleet.ID]rollout.Installed
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

// AddCampaign implements rollout.Campaigns.
func (s *Store) AddCampaign(_ context.Context, c rollout.Campaign, jobs []rollout.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range jobs {
		if slices.ContainsFunc(s.jobs, func(o rollout.Job) bool { return o.Device == j.Device && !o.State.Over() }) {
			return rollout.ErrBusy
		}
	}
	s.campaigns, s.jobs = append(s.campaigns, c), append(s.jobs, jobs...)
	return nil
}

// Campaign implements rollout.Campaigns.
func (s *Store) Campaign(_ context.Context, id string) (rollout.Campaign, []rollout.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := find(s.campaigns, func(c rollout.Campaign) bool { return c.ID == id })
	var jobs []rollout.Job
	for _, j := range s.jobs {
		if j.Campaign == id {
			jobs = append(jobs, j)
		}
	}
	return c, jobs, err
}

// ListCampaigns implements rollout.Campaigns.
func (s *Store) ListCampaigns(_ context.Context, before string, limit int) ([]rollout.Campaign, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page(s.campaigns, func(c rollout.Campaign) string { return c.ID }, before, limit), nil
}

// SetCampaign implements rollout.Campaigns.
func (s *Store) SetCampaign(_ context.Context, id string, from, to rollout.CampaignState, _, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.campaigns {
		if s.campaigns[i].ID != id {
			continue
		}
		if s.campaigns[i].State != from {
			return rollout.ErrEnded
		}
		s.campaigns[i].State = to
		return nil
	}
	return rollout.ErrUnknown
}

// Due implements rollout.Campaigns.
func (s *Store) Due(_ context.Context, now time.Time, limit int) (out []rollout.Job, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		c, _ := find(s.campaigns, func(c rollout.Campaign) bool { return c.ID == j.Campaign })
		if !j.State.Over() && c.State == rollout.Running && !j.Due.After(now) && len(out) < limit {
			out = append(out, j)
		}
	}
	return out, nil
}

// SetJob implements rollout.Campaigns.
func (s *Store) SetJob(_ context.Context, j rollout.Job, _ rollout.JobState) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, old := range s.jobs {
		if old.Campaign != j.Campaign || old.Device != j.Device {
			continue
		}
		if old.Version != j.Version {
			return false, nil
		}
		j.Version++
		s.jobs[i] = j
		if j.State == rollout.Done {
			s.install(j)
		}
		return true, nil
	}
	return false, rollout.ErrUnknown
}

func (s *Store) install(j rollout.Job) {
	c, _ := find(s.campaigns, func(c rollout.Campaign) bool { return c.ID == j.Campaign })
	r, _ := find(s.releases, func(r rollout.Release) bool { return r.ID == c.Release })
	if s.installed == nil {
		s.installed = map[fleet.ID]rollout.Installed{}
	}
	s.installed[j.Device] = rollout.Installed{Digest: r.ManifestOf(c.Delivery), Sequence: r.Sequence, Release: r.ID}
}

// OfDevice implements rollout.Campaigns.
func (s *Store) OfDevice(_ context.Context, device fleet.ID) (rollout.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(s.jobs, func(j rollout.Job) bool {
		c, _ := find(s.campaigns, func(c rollout.Campaign) bool { return c.ID == j.Campaign })
		return j.Device == device && !j.State.Over() && c.State == rollout.Running
	})
}

// Installed implements rollout.Campaigns.
func (s *Store) Installed(_ context.Context, device fleet.ID) ([]rollout.Installed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.installed[device]
	if !ok {
		return nil, nil
	}
	return []rollout.Installed{i}, nil
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
