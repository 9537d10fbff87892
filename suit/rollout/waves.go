package rollout

import (
	"context"
	"fmt"
	"time"

	"steward/lwm2m/fleet"
)

// wave asks the gate of the wave under way, and begins more of its devices.
func (v *view) wave(ctx context.Context) error {
	w, counts := &v.c.Waves[v.c.Wave], v.counts[v.c.Wave]
	name := v.c.WaveName(v.c.Wave)
	j := w.Spec.Gate.Judge(name, counts, w.Waived, w.SettledAt, v.now)
	switch j.Verdict {
	case VerdictStop:
		w.Reason = j.Reason
		if err := w.apply(WaveStop); err != nil {
			return err
		}
		return v.step(ctx, w.Spec.Gate.event(), j.Reason)
	case VerdictPass:
		return v.pass(ctx, w, counts, j.Reason)
	case VerdictSoak:
		v.next = j.Until
		if w.State == WaveSoaking {
			return nil
		}
		return v.settle(ctx, w, j.Reason)
	default:
	}
	if w.State == WaveSoaking {
		w.SettledAt = time.Time{}
		if err := w.apply(WaveReopen); err != nil {
			return err
		}
		return v.store(ctx, "", name+": a device came back while it soaked", v.c.Wave)
	}
	return v.begin(ctx, counts)
}

// event returns what a gate does that does not open.
func (g Gate) event() CampaignEvent {
	if g.Action == AbortCampaign {
		return GateAbort
	}
	return GatePause
}

// settle notes that nothing of the wave is under way any more.
func (v *view) settle(ctx context.Context, w *Wave, reason string) error {
	w.SettledAt, w.Reason = v.now, reason
	if err := w.apply(WaveSettle); err != nil {
		return err
	}
	return v.store(ctx, "", reason, v.c.Wave)
}

// pass ends the wave and goes on to the next one.
func (v *view) pass(ctx context.Context, w *Wave, counts Counts, reason string) error {
	if w.State == WaveRunning { // no soak was asked for
		w.SettledAt = v.now
		if err := w.apply(WaveSettle); err != nil {
			return err
		}
	}
	if err := w.apply(WavePass); err != nil {
		return err
	}
	w.EndedAt, w.Reason, w.Moved = v.now, reason, counts.Aside()
	return v.enter(ctx, v.c.Wave+1, reason)
}

// tail serves the devices that no wave waited for, and those that join late,
// until every job is over.
func (v *view) tail(ctx context.Context) error {
	p, counts := &v.c.Plan, v.counts[len(v.c.Waves)]
	if j := p.TailGate.Limits("tail", counts, v.c.TailWaived); j.Verdict == VerdictStop {
		return v.step(ctx, p.TailGate.event(), j.Reason)
	}
	dynamic := p.Filter != nil && !v.c.Closing
	if p.TailFor > 0 && !v.c.Closing {
		end := v.c.TailAt.Add(p.TailFor.Duration())
		if !v.now.Before(end) {
			v.c.Closing = true
			return v.step(ctx, Finish, "the time of the tail is over before the device came")
		}
		v.next = end
	}
	if dynamic {
		if err := v.seek(ctx); err != nil {
			return err
		}
	}
	if v.total.Over() < v.total.Total() || dynamic {
		return v.begin(ctx, counts)
	}
	reason := summary(v.total)
	if v.total.Done() == 0 && v.total.Total() > 0 {
		return v.step(ctx, NoneDone, "no device was updated: "+reason)
	}
	return v.step(ctx, LastJob, reason)
}

// begin queues planned jobs of the wave under way as fast as the rates allow.
func (v *view) begin(ctx context.Context, counts Counts) error {
	rates := v.c.Plan.Rates
	// More are asked than may download at once: who does not answer takes no place.
	most := rates.Concurrent + v.r.o.Workers
	if rates.Concurrent == 0 {
		most = 4 * v.r.o.Workers //nolint:mnd // enough for the workers never to wait
	}
	v.r.mu.Lock()
	unheard := v.r.unheard[v.c.ID]
	v.r.mu.Unlock()
	want := min(counts.Of(Planned), most-v.total.inHand()+unheard, batch)
	if want <= 0 {
		return nil
	}
	n, next := v.track.pace.take(want, rates.PerMinute(v.total.Done()), v.now)
	if n > 0 {
		started, blocked, err := v.r.o.Store.StartJobs(ctx, v.c, v.c.Wave, n, v.now)
		if err != nil {
			v.track.pace.giveBack(n)
			return err
		}
		v.track.pace.giveBack(n - len(started))
		v.r.mu.Lock()
		for _, j := range started {
			v.r.put(j)
		}
		v.track.blocked = v.track.blocked || blocked > 0
		v.track.dirty = v.track.dirty || len(started)+blocked > 0
		v.r.mu.Unlock()
		for _, j := range started {
			v.r.o.Changed(j)
		}
	}
	v.next = earliest(v.next, next)
	return nil
}

// seek lets devices that fit the filter, and are not in the campaign, join the
// tail: a page at a time, so that a big fleet costs no more than a small one.
func (v *view) seek(ctx context.Context) error {
	if v.now.Before(v.track.seekAt) {
		v.next = earliest(v.next, v.track.seekAt)
		return nil
	}
	found, err := v.r.o.Store.Candidates(ctx, *v.c.Plan.Filter, v.c.ID, v.track.cursor, batch)
	if err != nil {
		return err
	}
	v.track.cursor = ""
	if len(found) == batch {
		v.track.cursor = found[batch-1].Device
	}
	var jobs []Job
	for _, d := range found {
		if in, _ := fits(d, v.track.release); in {
			jobs = append(jobs, newJob(&v.c, d.Device, v.c.Size, len(v.c.Waves), v.now))
		}
	}
	v.track.seekAt = v.now.Add(v.r.o.Discover)
	v.next = earliest(v.next, v.track.seekAt)
	if len(jobs) == 0 {
		return nil
	}
	n, err := v.r.o.Store.AddJobs(ctx, v.c.ID, jobs)
	if err != nil || n == 0 {
		return err
	}
	v.c.Size += n
	return v.store(ctx, "", fmt.Sprintf("%d devices join the tail", n), v.c.Wave)
}

// newJob returns a job that nobody has begun.
func newJob(c *Campaign, device fleet.ID, position, wave int, now time.Time) Job {
	return Job{
		Campaign: c.ID, Device: device, Position: position, Wave: wave, State: Planned,
		Reason: "planned for " + c.WaveName(wave), Due: now, UpdatedAt: now,
	}
}
