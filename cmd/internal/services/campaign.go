package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
	return showCampaign(c, r, counts, plan, s.Now()), nil
}

func showCampaign(
	c rollout.Campaign, r rollout.Release, counts map[int]rollout.Counts, plan []byte, now time.Time,
) web.Campaign {
	out := web.Campaign{
		ID: c.ID, Name: c.Name, Release: showRelease(r), Delivery: web.Delivery(c.Delivery), State: string(c.State),
		Reason: c.Reason, Counts: web.Counts{}, Ended: c.State.Over(), Plan: plan, CreatedAt: c.CreatedAt,
		CreatedBy: c.CreatedBy, ApprovedBy: c.ApprovedBy, Since: c.Since, StartedAt: c.StartedAt, EndedAt: c.EndedAt,
	}
	over := 0
	for n := range len(c.Waves) + 1 {
		wave := web.CampaignWave{
			Name: c.WaveName(n), Current: n == c.Wave && (c.State.Active() || c.State == rollout.CampaignPaused),
			Counts: web.Counts{}, Level: web.LevelNeutral,
		}
		if c.IsTail(n) {
			wave.BeganAt = c.TailAt
		} else {
			showWave(&wave, &c.Waves[n])
		}
		for tally, k := range counts[n] {
			wave.Counts[string(tally)] = k
			wave.Total += k
			out.Counts[string(tally)] += k
			out.Total += k
		}
		over += counts[n].Over()
		out.Done, out.Failed = out.Done+counts[n].Done(), out.Failed+counts[n].Failed()
		out.Waves = append(out.Waves, wave)
	}
	out.ETA = eta(c, over, out.Total, now)
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

// waveLevels says how the states of a wave are to be taken.
var waveLevels = map[rollout.WaveState]web.Level{
	rollout.WavePending: web.LevelNeutral, rollout.WaveRunning: web.LevelActive, rollout.WaveSoaking: web.LevelActive,
	rollout.WaveHeld: web.LevelBad, rollout.WavePassed: web.LevelGood, rollout.WaveCancelled: web.LevelWarning,
}

func showWave(out *web.CampaignWave, w *rollout.Wave) {
	out.State, out.Reason, out.Moved, out.Level = string(w.State), w.Reason, w.Moved, waveLevels[w.State]
	out.BeganAt, out.EndedAt, out.Gate = w.BeganAt, w.EndedAt, gateText(w.Spec.Gate)
}

// gateText says what a gate asks, "" for nothing.
func gateText(g rollout.Gate) string {
	var parts []string
	add := func(format string, v any) { parts = append(parts, fmt.Sprintf(format, v)) }
	if g.Success > 0 {
		add("at least %g %% succeed", g.Success)
	}
	if g.MaxFailures != nil {
		add("at most %d fail", *g.MaxFailures)
	}
	if g.MaxFailedPercent != nil {
		add("at most %g %% fail", *g.MaxFailedPercent)
	}
	if g.MaxUnreachable != nil {
		add("at most %d out of reach", *g.MaxUnreachable)
	}
	if g.MaxRefused != nil {
		add("at most %d refused", *g.MaxRefused)
	}
	if g.MinSample > 0 {
		add("at least %d finish", g.MinSample)
	}
	if g.Soak > 0 {
		add("soaks for %v", g.Soak.Duration())
	}
	if len(parts) == 0 {
		return ""
	}
	action := "pauses"
	if g.Action == rollout.AbortCampaign {
		action = "aborts"
	}
	return strings.Join(parts, ", ") + "; else " + action
}

// eta says when the rest of an active campaign is over if it goes on at the pace so
// far.
func eta(c rollout.Campaign, over, total int, now time.Time) time.Time {
	since := now.Sub(c.StartedAt)
	if !c.State.Active() || c.StartedAt.IsZero() || over == 0 || over >= total || since <= 0 {
		return time.Time{}
	}
	return now.Add(since / time.Duration(over) * time.Duration(total-over)).Truncate(time.Second)
}

// Jobs implements web.Campaigns. Its cursors are ids of devices.
func (s *campaigns) Jobs(
	ctx context.Context, id string, f web.JobFilter, p web.Page,
) (web.List[web.Job], error) {
	c, err := s.campaign(ctx, id)
	if err != nil {
		return web.List[web.Job]{}, err
	}
	r, err := s.release(ctx, c.Release)
	if err != nil {
		return web.List[web.Job]{}, err
	}
	rows, err := s.view.Jobs(ctx, id, f.State, fleet.ID(p.After), limit(p))
	if err != nil {
		return web.List[web.Job]{}, translate(err)
	}
	return paged(p, rows, func(j sqlite.JobLine) string { return string(j.Device) },
		func(j sqlite.JobLine) (web.Job, error) {
			out := showJob(j, r.Size)
			out.Wave = c.WaveName(j.Wave)
			told, err := s.DB.Rollout().ReportOf(ctx, j.Device, r.ManifestOf(c.Delivery))
			if errors.Is(err, rollout.ErrUnknown) {
				return out, nil
			}
			out.Report = told.Reason
			return out, err
		})
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
		Reason: j.Reason, Result: j.Result, Size: size, UpdatedAt: j.UpdatedAt, Aside: string(j.Aside),
	}
	for _, n := range j.Attempts {
		out.Tries += n
	}
	if j.Aside != "" {
		out.Level = web.LevelWarning
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
