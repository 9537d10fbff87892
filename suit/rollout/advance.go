package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m/fleet"
)

// system stands in audit rows for what the Runner does by itself.
const system = "system"

// A campaignTrack is a campaign that is not over, as the Runner remembers it.
type campaignTrack struct {
	campaign Campaign
	release  Release
	pace     pace
	dirty    bool      // something happened: look at it now
	stale    bool      // people changed it: jobs too
	blocked  bool      // jobs of it wait for other campaigns
	at       time.Time // when to look at it otherwise; zero: never
	cursor   fleet.ID  // of the devices looked at for the tail
	seekAt   time.Time // when to look for devices that join late
}

// load reads, once, what is not over.
func (r *Runner) load(ctx context.Context) error {
	r.mu.Lock()
	loaded := r.loaded
	r.mu.Unlock()
	if loaded {
		return nil
	}
	campaigns, err := r.o.Store.Unfinished(ctx)
	if err != nil {
		return err
	}
	for _, c := range campaigns {
		r.track(c.ID)
	}
	if err := r.reload(ctx, ""); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded = true
	return nil
}

// track makes the Runner look at a campaign, and at its jobs again.
func (r *Runner) track(id string) {
	r.mu.Lock()
	t := r.campaigns[id]
	if t == nil {
		t = &campaignTrack{}
		r.campaigns[id] = t
	}
	t.dirty, t.stale = true, true
	r.mu.Unlock()
	r.nudge()
}

// advance looks at the campaigns that something happened to, the oldest first,
// and returns when to look next.
func (r *Runner) advance(ctx context.Context) (next time.Time) {
	now := time.Now()
	var due []string
	stale := map[string]bool{}
	r.mu.Lock()
	for id, t := range r.campaigns {
		if t.dirty || !t.at.IsZero() && !t.at.After(now) {
			due = append(due, id)
			stale[id] = t.stale
			t.dirty, t.stale, t.at = false, false, time.Time{}
		}
	}
	r.mu.Unlock()
	slices.Sort(due)
	for _, id := range due {
		if err := r.look(ctx, id, stale[id]); err != nil {
			if !errors.Is(err, ErrMoved) {
				r.broken(ctx, "campaign", err)
			}
			r.again(id, stale[id], err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.campaigns {
		if t.dirty {
			return now
		}
		next = earliest(next, t.at)
	}
	return next
}

// again has a campaign looked at once more after an error: at once if it only
// moved meanwhile.
func (r *Runner) again(id string, stale bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.campaigns[id]
	if t == nil {
		return
	}
	t.stale = t.stale || stale
	if errors.Is(err, ErrMoved) {
		t.dirty = true
		return
	}
	t.at = time.Now().Add(r.o.Poll)
}

// look does what is to be done about a campaign now.
func (r *Runner) look(ctx context.Context, id string, stale bool) error {
	c, err := r.o.Store.Campaign(ctx, id)
	if err != nil {
		return err
	}
	if stale {
		if err := r.reload(ctx, id); err != nil {
			return err
		}
	}
	if c.State.Over() || c.State == CampaignDraft || c.State == CampaignReview {
		r.forget(c)
		return nil
	}
	release, err := r.o.Store.Release(ctx, c.Release)
	if err != nil {
		return err
	}
	counts, err := r.o.Store.Counts(ctx, id)
	if err != nil {
		return err
	}
	total := Counts{}
	for _, n := range counts {
		total = total.add(n)
	}
	r.mu.Lock()
	t := r.campaigns[id]
	t.campaign, t.release, t.blocked = c, release, total[Tally(Blocked)] > 0
	r.mu.Unlock()
	v := &view{r: r, c: c, counts: counts, total: total, now: time.Now(), track: t}
	err = v.act(ctx)
	r.mu.Lock()
	t.at = earliest(t.at, v.next)
	r.mu.Unlock()
	return err
}

// forget drops a campaign that needs nothing.
func (r *Runner) forget(c Campaign) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.campaigns[c.ID]; t != nil && !t.dirty {
		delete(r.campaigns, c.ID)
		delete(r.loading, c.ID)
		delete(r.unheard, c.ID)
		delete(r.crowds, c.ID)
	}
}

// A view is one look at a campaign.
type view struct {
	r      *Runner
	c      Campaign
	counts map[int]Counts
	total  Counts
	now    time.Time
	next   time.Time // when to look again
	track  *campaignTrack
}

func (v *view) act(ctx context.Context) error {
	if withdrawn := v.track.release.State == ReleaseWithdrawn; withdrawn && v.c.State != CampaignAborting {
		return v.step(ctx, Abort, "the release was withdrawn")
	}
	switch v.c.State {
	case CampaignScheduled:
		if start := v.c.Plan.Start; v.now.Before(start) {
			v.next = start
			return nil
		}
		v.c.StartedAt = v.now
		return v.enter(ctx, 0, "its time has come")
	case CampaignCanary, CampaignWaves:
		return v.wave(ctx)
	case CampaignTail:
		return v.tail(ctx)
	case CampaignAborting:
		if v.total.Waiting()+v.total.Aside() > 0 {
			return nil
		}
		v.c.EndedAt = v.now
		return v.step(ctx, LastJob, v.c.Reason)
	default: // paused
		return nil
	}
}

// enter goes on to wave number n.
func (v *view) enter(ctx context.Context, n int, reason string) error {
	left := v.c.Wave
	v.c.Wave = n
	on := ToTail
	if !v.c.IsTail(n) {
		w := &v.c.Waves[n]
		if err := w.apply(WaveBegin); err != nil {
			return err
		}
		w.BeganAt = v.now
		if on = ToWave; w.Spec.Canary {
			on = ToCanary
		}
	} else {
		v.c.TailAt = v.now
	}
	return v.store(ctx, on, fmt.Sprintf("%s; %s begins", reason, v.c.WaveName(n)), left)
}

// apply takes a wave to its next state.
func (w *Wave) apply(on WaveEvent) error {
	row, err := WaveTable.Step(w.State, on)
	if err == nil {
		w.State = row.To
	}
	return err
}

// step stores an event of the campaign.
func (v *view) step(ctx context.Context, on CampaignEvent, reason string) error {
	return v.store(ctx, on, reason, v.c.Wave)
}

// store applies an event, none for "", and stores the campaign. It is looked at
// again at once.
func (v *view) store(ctx context.Context, on CampaignEvent, reason string, left int) error {
	ch := Change{Actor: system, Reason: reason, Before: v.c.State, Left: left, At: v.now}
	v.c.Reason = reason
	if on != "" {
		do, err := v.c.apply(on, reason, v.now)
		if err != nil {
			return err
		}
		ch.Do = do
	}
	if err := v.r.o.Store.SetCampaign(ctx, v.c, ch); err != nil {
		return err
	}
	v.r.mu.Lock()
	v.track.dirty, v.track.stale = true, v.track.stale || len(ch.Do) > 0
	v.r.mu.Unlock()
	v.r.o.Moved(v.c.ID)
	return nil
}

// apply takes c to its next state and returns the effects to be stored with it.
// It returns ErrEnded if the state does not accept the event.
func (c *Campaign) apply(on CampaignEvent, reason string, now time.Time) ([]CampaignEffect, error) {
	row, err := CampaignTable.Step(c.State, on)
	if err != nil {
		return nil, fmt.Errorf("%w: it is %s", ErrEnded, c.State)
	}
	if row.To == CampaignPaused {
		c.Resumes = c.State
	}
	if row.To != c.State {
		c.Since = now
	}
	c.State, c.Reason = row.To, reason
	if c.State.Over() {
		c.EndedAt = now
	}
	if c.State == CampaignAborting || c.State == CampaignAborted {
		return row.Do, c.cancelWaves(now)
	}
	return row.Do, nil
}

// cancelWaves ends the waves that have not passed.
func (c *Campaign) cancelWaves(now time.Time) error {
	for i := range c.Waves {
		w := &c.Waves[i]
		if w.State == WavePassed || w.State == WaveCancelled {
			continue
		}
		if err := w.apply(WaveCancel); err != nil {
			return err
		}
		w.EndedAt = now
	}
	return nil
}
