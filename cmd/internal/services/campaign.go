package services

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/web"
)

// campaigns implements web.Campaigns.
type campaigns struct{ *base }

// ListCampaigns implements web.Campaigns.
func (s *campaigns) ListCampaigns(ctx context.Context, p web.Page) (web.List[web.Campaign], error) {
	rows, err := s.DB.Rollout().ListCampaigns(ctx, p.After, limit(p))
	if err != nil {
		return web.List[web.Campaign]{}, translate(err)
	}
	known := map[string]rollout.Release{} // campaigns often share a release
	return paged(p, rows, func(c rollout.Campaign) string { return c.ID },
		func(c rollout.Campaign) (web.Campaign, error) {
			r, ok := known[c.Release]
			if !ok {
				var err error
				if r, err = s.release(ctx, c.Release); err != nil {
					return web.Campaign{}, err
				}
				known[c.Release] = r
			}
			return s.show(ctx, c, r)
		})
}

// Campaign implements web.Campaigns.
func (s *campaigns) Campaign(ctx context.Context, id string) (web.Campaign, error) {
	c, err := s.campaign(ctx, id)
	if err != nil {
		return web.Campaign{}, err
	}
	r, err := s.release(ctx, c.Release)
	if err != nil {
		return web.Campaign{}, err
	}
	return s.show(ctx, c, r)
}

func (s *campaigns) campaign(ctx context.Context, id string) (rollout.Campaign, error) {
	c, err := s.DB.Rollout().Campaign(ctx, id)
	if errors.Is(err, rollout.ErrUnknown) {
		return c, notFound("update", id)
	}
	return c, translate(err)
}

// show adds what is counted of a campaign.
func (s *campaigns) show(ctx context.Context, c rollout.Campaign, r rollout.Release) (web.Campaign, error) {
	counts, err := s.DB.Rollout().Counts(ctx, c.ID)
	if err != nil {
		return web.Campaign{}, translate(err)
	}
	plan, err := json.Marshal(c.Plan)
	if err != nil {
		return web.Campaign{}, err
	}
	return showCampaign(c, r, counts, plan), nil
}

func showCampaign(c rollout.Campaign, r rollout.Release, counts map[int]rollout.Counts, plan []byte) web.Campaign {
	out := web.Campaign{
		ID: c.ID, Name: c.Name, Release: showRelease(r), Delivery: web.Delivery(c.Delivery), State: string(c.State),
		Reason: c.Reason, Counts: web.Counts{}, Ended: c.State.Over(), Plan: plan, CreatedAt: c.CreatedAt,
		CreatedBy: c.CreatedBy, ApprovedBy: c.ApprovedBy,
	}
	for n := range len(c.Waves) + 1 {
		wave := web.CampaignWave{
			Name: c.WaveName(n), Current: n == c.Wave && (c.State.Active() || c.State == rollout.CampaignPaused),
			Counts: web.Counts{},
		}
		if !c.IsTail(n) {
			wave.State, wave.Reason, wave.Moved = string(c.Waves[n].State), c.Waves[n].Reason, c.Waves[n].Moved
		}
		for tally, k := range counts[n] {
			wave.Counts[string(tally)] = k
			wave.Total += k
			out.Counts[string(tally)] += k
			out.Total += k
		}
		out.Done, out.Failed = out.Done+counts[n].Done(), out.Failed+counts[n].Failed()
		out.Waves = append(out.Waves, wave)
	}
	for _, on := range rollout.Commands(c.State) {
		out.Actions = append(out.Actions, web.CampaignAction(on))
	}
	switch {
	case c.State == rollout.CampaignPaused:
		out.Level = web.LevelWarning
	case !c.State.Over():
		out.Level = web.LevelActive
	case c.State == rollout.CampaignAborted:
		out.Level = web.LevelWarning
	case out.Failed == 0:
		out.Level = web.LevelGood
	case out.Done == 0:
		out.Level = web.LevelBad
	default:
		out.Level = web.LevelWarning
	}
	return out
}

// Jobs implements web.Campaigns. Its cursors are ids of devices.
func (s *campaigns) Jobs(ctx context.Context, id string, p web.Page) (web.List[web.Job], error) {
	c, err := s.campaign(ctx, id)
	if err != nil {
		return web.List[web.Job]{}, err
	}
	r, err := s.release(ctx, c.Release)
	if err != nil {
		return web.List[web.Job]{}, err
	}
	rows, err := s.view.Jobs(ctx, id, fleet.ID(p.After), limit(p))
	if err != nil {
		return web.List[web.Job]{}, translate(err)
	}
	return paged(p, rows, func(j sqlite.JobLine) string { return string(j.Device) },
		func(j sqlite.JobLine) (web.Job, error) { return showJob(j, r.Size), nil })
}

// jobLevels says how the states of a job are to be taken.
var jobLevels = map[rollout.JobState]web.Level{
	rollout.Queued: web.LevelNeutral, rollout.Delivering: web.LevelActive, rollout.Downloading: web.LevelActive,
	rollout.Downloaded: web.LevelActive, rollout.Installing: web.LevelActive, rollout.Done: web.LevelGood,
	rollout.Failed: web.LevelBad, rollout.Aborted: web.LevelWarning, rollout.Incompatible: web.LevelWarning,
	rollout.Planned: web.LevelNeutral, rollout.Waiting: web.LevelNeutral,
}

func showJob(j sqlite.JobLine, size int) web.Job {
	out := web.Job{
		Device: string(j.Device), Endpoint: j.Endpoint, State: string(j.State), Level: jobLevels[j.State],
		Reason: j.Reason, Result: j.Result, Size: size, UpdatedAt: j.UpdatedAt,
	}
	switch j.State {
	case rollout.Downloaded, rollout.Installing, rollout.Done:
		out.Sent = size // the device has it all; before, only the device knows
	default:
	}
	return out
}

// deliverable returns the release of n if it can be delivered as n asks.
func (s *campaigns) deliverable(ctx context.Context, n web.NewCampaign) (rollout.Release, error) {
	if n.Delivery != web.Push && n.Delivery != web.Pull {
		return rollout.Release{}, web.Invalid("delivery", "push or pull")
	}
	r, err := s.release(ctx, n.Release)
	if errors.Is(err, web.ErrNotFound) {
		return r, web.Invalid("release", "there is no such release")
	}
	if err != nil {
		return r, err
	}
	if err := r.Deliverable(); err != nil {
		return r, translate(err)
	}
	ways, err := s.view.Deliveries(ctx, r.ID)
	if err != nil {
		return r, translate(err)
	}
	if !slices.Contains(ways, rollout.Delivery(n.Delivery)) {
		return r, conflict("this release cannot be delivered by " + string(n.Delivery))
	}
	return r, nil
}
