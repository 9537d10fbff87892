package rolltest

import (
	"context"
	"maps"
	"slices"

	"steward/suit/rollout"
)

// writable reports whether a write is to fail. The caller holds mu.
func (s *Store) writable() error {
	if s.fail == nil {
		return nil
	}
	return s.fail()
}

// AddCampaign implements rollout.Campaigns.
func (s *Store) AddCampaign(_ context.Context, c rollout.Campaign, jobs []rollout.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	s.campaigns = append(s.campaigns, clone(c))
	for _, j := range jobs {
		s.put(j)
	}
	return nil
}

// clone returns a campaign that shares no wave with c.
func clone(c rollout.Campaign) rollout.Campaign {
	c.Waves = slices.Clone(c.Waves)
	return c
}

// put stores a job and counts it. The caller holds mu.
func (s *Store) put(j rollout.Job) {
	if s.jobs == nil {
		s.jobs, s.counts = map[key]rollout.Job{}, map[string]map[int]rollout.Counts{}
	}
	k := key{j.Campaign, j.Device}
	if old, ok := s.jobs[k]; ok {
		s.count(old, -1)
	}
	s.jobs[k] = j
	s.count(j, 1)
}

func (s *Store) count(j rollout.Job, n int) {
	waves := s.counts[j.Campaign]
	if waves == nil {
		waves = map[int]rollout.Counts{}
		s.counts[j.Campaign] = waves
	}
	if waves[j.Wave] == nil {
		waves[j.Wave] = rollout.Counts{}
	}
	if waves[j.Wave][j.Tally()] += n; waves[j.Wave][j.Tally()] == 0 {
		delete(waves[j.Wave], j.Tally())
	}
	if len(waves[j.Wave]) == 0 {
		delete(waves, j.Wave)
	}
}

// Campaign implements rollout.Campaigns.
func (s *Store) Campaign(_ context.Context, id string) (rollout.Campaign, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := find(s.campaigns, func(c rollout.Campaign) bool { return c.ID == id })
	return clone(c), err
}

// Counts implements rollout.Campaigns.
func (s *Store) Counts(_ context.Context, id string) (map[int]rollout.Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int]rollout.Counts{}
	for wave, c := range s.counts[id] {
		out[wave] = maps.Clone(c)
	}
	return out, nil
}

// ListCampaigns implements rollout.Campaigns.
func (s *Store) ListCampaigns(_ context.Context, before string, limit int) ([]rollout.Campaign, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page(s.campaigns, func(c rollout.Campaign) string { return c.ID }, before, limit), nil
}

// Unfinished implements rollout.Campaigns.
func (s *Store) Unfinished(context.Context) (out []rollout.Campaign, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.campaigns {
		if !c.State.Over() {
			out = append(out, clone(c))
		}
	}
	return out, nil
}

// SetCampaign implements rollout.Campaigns.
func (s *Store) SetCampaign(_ context.Context, c rollout.Campaign, ch rollout.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.campaigns, func(o rollout.Campaign) bool { return o.ID == c.ID })
	switch {
	case i < 0:
		return rollout.ErrUnknown
	case s.campaigns[i].Version != c.Version:
		return rollout.ErrMoved
	}
	if err := s.writable(); err != nil {
		return err
	}
	c = clone(c)
	c.Version++
	s.campaigns[i] = c
	for _, do := range ch.Do {
		for _, j := range s.of(c.ID) {
			if affected(do, &j, c, ch) {
				j.Version++
				s.put(j)
			}
			if j.State == rollout.Aborted {
				s.unblock(j)
			}
		}
	}
	return nil
}

// affected does an effect to a job, if it is one that it concerns.
func affected(do rollout.CampaignEffect, j *rollout.Job, c rollout.Campaign, ch rollout.Change) bool {
	switch do {
	case rollout.MoveAside:
		if j.Wave == ch.Left && j.Aside != "" {
			j.Wave = len(c.Waves)
			return true
		}
	case rollout.AbortJobs:
		if !j.State.Over() && j.State != rollout.Installing {
			j.State, j.Aside, j.Reason, j.EndedAt = rollout.Aborted, "", c.Reason, ch.At
			return true
		}
	case rollout.WakeJobs:
		if j.State.Open() && j.Aside == "" && j.State != rollout.Waiting && j.Due.After(ch.At) {
			j.Due = ch.At
			return true
		}
	}
	return false
}

// of returns the jobs of a campaign in its order. The caller holds mu.
func (s *Store) of(campaign string) (out []rollout.Job) {
	for k, j := range s.jobs {
		if k.campaign == campaign {
			out = append(out, j)
		}
	}
	slices.SortFunc(out, order)
	return out
}
