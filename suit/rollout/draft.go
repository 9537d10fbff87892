package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m/fleet"
)

// MaxDevices bounds the devices listed in a campaign: more are several, so that a
// mistake reaches no more. Those that join by a Filter come beside.
const MaxDevices = 100_000

// Draft stores a new campaign, which does nothing before it is submitted and
// approved. One that is stored as a draft already was interrupted: the devices that it
// lacks are added. It returns ErrUnknown for a release, ErrCampaign for a plan or list of
// devices that makes no sense.
func (r *Runner) Draft(ctx context.Context, d Draft) (Campaign, error) {
	release, err := r.deliverable(ctx, d.Release, d.Delivery)
	if err != nil {
		return Campaign{}, err
	}
	if err := r.checkPlan(ctx, &d.Plan, release); err != nil {
		return Campaign{}, err
	}
	devices, err := r.members(ctx, d, release)
	if err != nil {
		return Campaign{}, err
	}
	now := time.Now()
	c := Campaign{
		ID: d.ID, Name: d.Name, Release: d.Release, Delivery: d.Delivery, Plan: d.Plan, Size: len(devices),
		State: CampaignDraft, Since: now, CreatedAt: now, CreatedBy: d.By,
	}
	if c.Waves, err = d.Plan.Divide(len(devices)); err != nil {
		return Campaign{}, err
	}
	jobs := make([]Job, 0, len(devices))
	for i, id := range devices {
		jobs = append(jobs, newJob(&c, id, i, waveOf(c.Waves, i), now))
	}
	first := min(len(jobs), page)
	switch have, err := r.o.Store.Campaign(ctx, d.ID); {
	case err == nil && have.State == CampaignDraft && have.Release == d.Release && have.Size == len(devices):
		c, first = have, 0
	case err != nil && !errors.Is(err, ErrUnknown):
		return Campaign{}, err
	default:
		if err := r.o.Store.AddCampaign(ctx, c, jobs[:first]); err != nil {
			return Campaign{}, err
		}
	}
	for rest := jobs[first:]; len(rest) > 0; rest = rest[min(len(rest), page):] {
		if _, err := r.o.Store.AddJobs(ctx, c.ID, rest[:min(len(rest), page)]); err != nil {
			return Campaign{}, err // an incomplete draft is never submitted
		}
	}
	r.o.Moved(c.ID)
	return c, nil
}

// page is how many jobs are added in one transaction: others write meanwhile.
const page = 500

// Start drafts, submits and approves a campaign in one go. Where another person
// must approve, it stays in review.
func (r *Runner) Start(ctx context.Context, d Draft) (Campaign, error) {
	c, err := r.Draft(ctx, d)
	if err != nil {
		return c, err
	}
	cmd := Command{ID: c.ID, Actor: d.By}
	if c, err = r.Do(ctx, Submit, cmd); err != nil {
		return c, err
	}
	people, err := r.o.People(ctx)
	if err != nil || people > 1 {
		return c, err
	}
	return r.Do(ctx, Approve, cmd)
}

// members returns the devices of a draft in order, each once.
func (r *Runner) members(ctx context.Context, d Draft, release Release) ([]fleet.ID, error) {
	all := slices.Clone(d.Devices)
	if d.Snapshot != nil {
		fit, err := r.fitting(ctx, *d.Snapshot, release)
		if err != nil {
			return nil, err
		}
		all = append(all, fit...)
	}
	var out []fleet.ID
	seen := map[fleet.ID]bool{}
	for _, id := range all {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	switch {
	case len(out) > MaxDevices:
		return nil, fmt.Errorf("%w: more than %d devices", ErrCampaign, MaxDevices)
	case len(out) == 0 && d.Plan.Filter == nil:
		return nil, fmt.Errorf("%w: no devices", ErrCampaign)
	}
	return out, nil
}

// fitting returns the devices that fit f and a release, a few more than MaxDevices
// at most.
func (r *Runner) fitting(ctx context.Context, f Filter, release Release) (out []fleet.ID, err error) {
	for after := fleet.ID(""); ; {
		found, err := r.o.Store.Candidates(ctx, f, "", after, batch)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			if in, _ := fits(c, release); in {
				out = append(out, c.Device)
			}
		}
		if len(found) < batch || len(out) > MaxDevices {
			return out, nil
		}
		after = found[len(found)-1].Device
	}
}

// checkPlan returns ErrCampaign for a plan that makes no sense.
func (r *Runner) checkPlan(ctx context.Context, p *Plan, release Release) error {
	switch {
	case p.SilentFor < 0 || p.Timeout < 0 || p.TailFor < 0:
		return fmt.Errorf("%w: a negative time", ErrCampaign)
	case p.Needs.Battery < 0 || p.Needs.Battery > percent:
		return fmt.Errorf("%w: a battery level of %d %%", ErrCampaign, p.Needs.Battery)
	}
	for _, check := range []func() error{p.Rates.check, p.Windows.check, p.Retry.check, p.TailGate.check} {
		if err := check(); err != nil {
			return err
		}
	}
	if p.RollsBack == "" {
		return nil
	}
	back, err := r.o.Store.Release(ctx, p.RollsBack)
	if err != nil {
		return fmt.Errorf("release to take back: %w", err)
	}
	if back.Class != release.Class || back.Sequence >= release.Sequence {
		return fmt.Errorf("%w: to take back release %s a release of its class with a sequence number above %d is needed",
			ErrCampaign, back.Version, back.Sequence)
	}
	return nil
}

// Preview says of devices whether a campaign of a release takes them, and why:
// those of ids, or, if that is nil, a page of those that fit f.
func (r *Runner) Preview(ctx context.Context, release string, ids []fleet.ID, f Filter, after fleet.ID, limit int) (
	[]Preview, error,
) {
	rel, err := r.o.Store.Release(ctx, release)
	if err != nil {
		return nil, err
	}
	var found []Candidate
	if ids != nil {
		found, err = r.o.Store.Known(ctx, ids)
	} else {
		found, err = r.o.Store.Candidates(ctx, f, "", after, limit)
	}
	if err != nil {
		return nil, err
	}
	out := make([]Preview, 0, len(found))
	for _, c := range found {
		in, reason := fits(c, rel)
		out = append(out, Preview{Candidate: c, In: in, Reason: reason})
	}
	return out, nil
}

// fits says whether a campaign of a release takes a device, and why, by what is
// known without asking it. What the manifest demands is checked when its turn
// comes.
func fits(c Candidate, r Release) (in bool, reason string) {
	switch {
	case c.Ownership == fleet.Left:
		return false, "was handed over to another provider"
	case c.Sequence == r.Sequence && r.Sequence > 0:
		return false, "got this release already"
	case c.Sequence > r.Sequence:
		return false, fmt.Sprintf("got sequence number %d, and this is %d: a device never goes back", c.Sequence, r.Sequence)
	case c.Version != "" && c.Version == r.Version:
		return false, "runs " + c.Version + " already"
	case c.Busy != "":
		return true, BlockedBy(c.Busy)
	case !c.Registered:
		return true, "not registered now: joins the tail if it is not back in time"
	}
	return true, "ready"
}
