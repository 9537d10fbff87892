package rolltest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

func order(a, b rollout.Job) int {
	return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Device, b.Device))
}

// AddJobs implements rollout.Jobs.
func (s *Store) AddJobs(_ context.Context, campaign string, jobs []rollout.Job) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := find(s.campaigns, func(c rollout.Campaign) bool { return c.ID == campaign })
	if err != nil || c.State.Over() {
		return 0, err
	}
	if err := s.writable(); err != nil {
		return 0, err
	}
	for _, j := range jobs {
		if _, twice := s.jobs[key{campaign, j.Device}]; !twice {
			s.put(j)
			n++
		}
	}
	return n, nil
}

// StartJobs implements rollout.Jobs.
func (s *Store) StartJobs(_ context.Context, c rollout.Campaign, wave, limit int, now time.Time) (
	started []rollout.Job, blocked int, err error,
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have, err := find(s.campaigns, func(o rollout.Campaign) bool { return o.ID == c.ID })
	if err != nil || have.Version != c.Version {
		return nil, 0, cmp.Or(err, rollout.ErrMoved)
	}
	if err := s.writable(); err != nil {
		return nil, 0, err
	}
	for _, j := range s.of(c.ID) {
		if j.Wave != wave || j.State != rollout.Planned || j.Aside != "" {
			continue
		}
		if limit--; limit < 0 {
			break
		}
		j.Version++
		j.Due, j.UpdatedAt = now, now
		if other, ok := s.open(j.Device); ok {
			j.Aside, j.Reason = rollout.Blocked, s.blocked(other)
			blocked++
		} else {
			j.State, j.Reason = rollout.Queued, ""
			started = append(started, j)
		}
		s.put(j)
	}
	return started, blocked, nil
}

// blocked says in words why a job waits for another. The caller holds mu.
func (s *Store) blocked(other rollout.Job) string {
	c, _ := find(s.campaigns, func(c rollout.Campaign) bool { return c.ID == other.Campaign })
	return rollout.BlockedBy(c.Name)
}

// open returns the job that has a device in hand. The caller holds mu.
func (s *Store) open(device fleet.ID) (rollout.Job, bool) {
	for _, j := range s.jobs {
		if j.Device == device && j.State.Open() {
			return j, true
		}
	}
	return rollout.Job{}, false
}

// OpenJobs implements rollout.Jobs.
func (s *Store) OpenJobs(_ context.Context, campaign string, after fleet.ID, limit int) ([]rollout.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []rollout.Job
	for _, j := range s.jobs {
		if j.State.Open() && (campaign == "" || j.Campaign == campaign) && j.Device > after {
			out = append(out, j)
		}
	}
	slices.SortFunc(out, func(a, b rollout.Job) int { return cmp.Compare(a.Device, b.Device) })
	return out[:min(limit, len(out))], nil
}

// Lines implements rollout.Jobs.
func (s *Store) Lines(_ context.Context, campaign string, after rollout.Job, limit int) (
	out []rollout.Line, err error,
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.of(campaign) {
		if order(j, after) <= 0 || len(out) == limit {
			continue
		}
		l := rollout.Line{Job: j}
		if d, err := find(s.devices, func(d rollout.Candidate) bool { return d.Device == j.Device }); err == nil {
			l.Endpoint, l.Manufacturer, l.Model = d.Endpoint, d.Manufacturer, d.Model
		}
		out = append(out, l)
	}
	return out, nil
}

// SetJob implements rollout.Jobs.
func (s *Store) SetJob(_ context.Context, before, j rollout.Job) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.jobs[key{j.Campaign, j.Device}]
	if !ok {
		return false, rollout.ErrUnknown
	}
	if old.Version != before.Version {
		return false, nil
	}
	if err := s.writable(); err != nil {
		return false, err
	}
	j.Version = before.Version + 1
	s.put(j)
	if j.State == rollout.Done {
		s.install(j)
	}
	if j.State.Over() {
		s.unblock(j)
	}
	return true, nil
}

// unblock plans again what j held up. The caller holds mu.
func (s *Store) unblock(j rollout.Job) {
	for _, other := range s.jobs {
		if other.Device == j.Device && other.Aside == rollout.Blocked && other.State == rollout.Planned {
			other.Aside, other.Reason = "", "its device is free again"
			other.Version++
			s.put(other)
		}
	}
}

func (s *Store) install(j rollout.Job) {
	c, _ := find(s.campaigns, func(c rollout.Campaign) bool { return c.ID == j.Campaign })
	r, _ := find(s.releases, func(r rollout.Release) bool { return r.ID == c.Release })
	if s.installed == nil {
		s.installed = map[fleet.ID]rollout.Installed{}
	}
	s.installed[j.Device] = rollout.Installed{Digest: r.ManifestOf(c.Delivery), Sequence: r.Sequence, Release: r.ID}
}

// OfDevice implements rollout.Jobs.
func (s *Store) OfDevice(_ context.Context, device fleet.ID) (rollout.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, ok := s.open(device)
	if !ok {
		return j, rollout.ErrUnknown
	}
	return j, nil
}
