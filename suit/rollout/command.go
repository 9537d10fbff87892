package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"steward/lwm2m/audit"
)

// A Command is what a person does to a campaign.
type Command struct {
	ID     string // of the campaign
	Actor  string
	Reason string // in words; may be empty
}

// Commands returns what people may do to a campaign in state s.
func Commands(s CampaignState) (out []CampaignEvent) {
	for _, on := range []CampaignEvent{Submit, Approve, Reject, Pause, Resume, Finish, Abort} {
		if on == Resume && s == CampaignPaused || s.Allows(on) {
			out = append(out, on)
		}
	}
	return out
}

// Resume stands for the Resuming that fits.
const Resume CampaignEvent = "resume"

// Do does what a person may do: one of Commands. It returns ErrUnknown, ErrEnded
// if the campaign's state does not accept it, ErrApprover, or ErrCampaign for
// another event.
func (r *Runner) Do(ctx context.Context, on CampaignEvent, cmd Command) (Campaign, error) {
	switch on {
	case Submit, Reject, Pause, Finish, Abort, Resume:
	case Approve:
		return r.approve(ctx, cmd)
	default:
		return Campaign{}, fmt.Errorf("%w: nobody commands %.20q", ErrCampaign, on)
	}
	return r.command(ctx, on, cmd)
}

// approve lets a campaign begin. The four eyes are those of hand-overs: with more
// than one person who could, nobody approves what they drafted.
func (r *Runner) approve(ctx context.Context, cmd Command) (Campaign, error) {
	people, err := r.o.People(ctx)
	if err != nil {
		return Campaign{}, err
	}
	c, err := r.o.Store.Campaign(ctx, cmd.ID)
	if err != nil {
		return Campaign{}, err
	}
	if people > 1 && audit.SamePerson(cmd.Actor, c.CreatedBy) {
		return Campaign{}, ErrApprover
	}
	return r.command(ctx, Approve, cmd)
}

// command applies an event of a person to the campaign as it is now.
func (r *Runner) command(ctx context.Context, on CampaignEvent, cmd Command) (Campaign, error) {
	for {
		c, err := r.o.Store.Campaign(ctx, cmd.ID)
		if err != nil {
			return c, err
		}
		ch := Change{Actor: cmd.Actor, Reason: cmd.Reason, Before: c.State, Left: c.Wave, At: time.Now()}
		if err := r.prepare(ctx, &c, on, cmd, ch.At); err != nil {
			return c, err
		}
		event := on
		if on == Resume {
			event = Resuming(c.Resumes)
		}
		if ch.Do, err = c.apply(event, told(on, cmd), ch.At); err != nil {
			return c, err
		}
		err = r.o.Store.SetCampaign(ctx, c, ch)
		if errors.Is(err, ErrMoved) {
			continue
		}
		if err != nil {
			return c, err
		}
		c.Version++
		r.took(c)
		return c, nil
	}
}

// took lets the Runner know at once what a person decided.
func (r *Runner) took(c Campaign) {
	r.mu.Lock()
	if t := r.campaigns[c.ID]; t != nil {
		t.campaign = c
	}
	if c.State.Active() {
		r.rouse(c.ID)
	}
	r.mu.Unlock()
	r.track(c.ID)
	r.o.Moved(c.ID)
}

// told says who did what, and why.
func told(on CampaignEvent, cmd Command) string {
	s := map[CampaignEvent]string{
		Submit: "submitted", Reject: "sent back", Approve: "approved", Pause: "paused", Resume: "resumed",
		Finish: "finished", Abort: "aborted",
	}[on] + " by " + cmd.Actor
	if cmd.Reason != "" {
		s += ": " + cmd.Reason
	}
	return s
}

// prepare checks what an event needs, and does to c what comes with it.
func (r *Runner) prepare(ctx context.Context, c *Campaign, on CampaignEvent, cmd Command, now time.Time) error {
	switch on {
	case Submit, Approve:
		if _, err := r.deliverable(ctx, c.Release, c.Delivery); err != nil {
			return err
		}
		if on == Approve {
			c.ApprovedBy = cmd.Actor
			return nil
		}
		c.ApprovedBy = ""
		counts, err := r.o.Store.Counts(ctx, c.ID)
		if err != nil {
			return err
		}
		if n := all(counts).Total(); n != c.Size {
			return fmt.Errorf("%w: the draft has %d devices of %d, draft it again", ErrCampaign, n, c.Size)
		}
	case Finish:
		c.Closing = true
	case Resume:
		return r.waive(ctx, c, now)
	default: // nothing else
	}
	return nil
}

// waive takes what stopped a wave as accepted: its gate counts from here.
func (r *Runner) waive(ctx context.Context, c *Campaign, now time.Time) error {
	if c.State != CampaignPaused || !c.IsTail(c.Wave) && c.Waves[c.Wave].State != WaveHeld {
		return nil
	}
	counts, err := r.o.Store.Counts(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.IsTail(c.Wave) {
		c.TailWaived = counts[c.Wave]
		return nil
	}
	w := &c.Waves[c.Wave]
	w.Waived = maps.Clone(counts[c.Wave])
	if w.Waived == nil {
		w.Waived = Counts{}
	}
	w.SettledAt = time.Time{}
	if counts[c.Wave].Waiting() == 0 {
		w.SettledAt = now // the soak begins anew
	}
	return w.apply(WaveWaive)
}

// all adds up the waves.
func all(counts map[int]Counts) Counts {
	total := Counts{}
	for _, n := range counts {
		total = total.add(n)
	}
	return total
}

// deliverable returns a release that may be brought to devices by d, ErrUnapproved
// or ErrCampaign.
func (r *Runner) deliverable(ctx context.Context, id string, d Delivery) (Release, error) {
	release, err := r.o.Store.Release(ctx, id)
	if err == nil {
		err = release.Deliverable()
	}
	if err != nil {
		return release, err
	}
	content, err := r.o.Store.Content(ctx, id)
	if err != nil {
		return release, err
	}
	if d == Push && content.Push == nil || d == Pull && content.Pull == nil || d != Push && d != Pull {
		return release, fmt.Errorf("%w: the release cannot be delivered by %.10q", ErrCampaign, d)
	}
	return release, nil
}
