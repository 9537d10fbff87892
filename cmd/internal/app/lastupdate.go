package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/transfer/coordinator"
)

// lastUpdates brings devices that leave a last update, by a campaign as any other
// (coordinator.Updates).
type lastUpdates struct{ app *App }

// Choose implements coordinator.Updates.
func (u lastUpdates) Choose(ctx context.Context, name string, devices []fleet.ID) (coordinator.LastUpdate, error) {
	var r rollout.Release
	var err error
	if name == coordinator.NewestRelease {
		r, err = u.newest(ctx, devices)
	} else if r, err = u.app.db.Rollout().Release(ctx, name); errors.Is(err, rollout.ErrUnknown) {
		return coordinator.LastUpdate{}, fmt.Errorf("%w: there is no release %.40q", coordinator.ErrInvalid, name)
	}
	if err != nil {
		return coordinator.LastUpdate{}, err
	}
	if err := r.Deliverable(); err != nil {
		return coordinator.LastUpdate{}, fmt.Errorf("%w: the last update: %w", coordinator.ErrInvalid, err)
	}
	return coordinator.LastUpdate{
		Release: r.ID,
		Name:    strings.TrimSpace(r.Name+" "+r.Version) + fmt.Sprintf(", sequence number %d", r.Sequence),
	}, nil
}

// newest returns the newest approved release for the class that all devices have, by the
// releases that they run.
func (u lastUpdates) newest(ctx context.Context, devices []fleet.ID) (newest rollout.Release, err error) {
	class := ""
	known := map[string]string{} // classes of manifests, by their digest
	for _, id := range devices {
		of, err := u.class(ctx, id, known)
		switch {
		case err != nil:
			return newest, err
		case of == "" || class != "" && class != of:
			return newest, fmt.Errorf("%w: the devices run no release that is known here, or are not of one class: "+
				"name the release", coordinator.ErrInvalid)
		}
		class = of
	}
	found, err := u.app.db.Rollout().ApprovedAbove(ctx, class, 0, 1)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: no release is approved for class %s", coordinator.ErrInvalid, class)
	}
	if err != nil {
		return newest, err
	}
	return found[0], nil
}

// class returns the class of the release that a device runs, "" if none of ours.
func (u lastUpdates) class(ctx context.Context, id fleet.ID, known map[string]string) (class string, err error) {
	installed, err := u.app.db.Rollout().InForce(ctx, id)
	if err != nil {
		return "", err
	}
	for _, i := range installed {
		key := i.Digest.String()
		if _, ok := known[key]; !ok {
			r, _, err := u.app.releaseOf(ctx, id, i.Digest)
			if err != nil {
				return "", err
			}
			known[key] = r.Class
		}
		class = known[key]
	}
	return class, nil
}

// Begin implements coordinator.Updates. Whoever may approve the hand-over approves the
// campaign with it, unless four eyes forbid that: then it waits for another person.
func (u lastUpdates) Begin(ctx context.Context, o coordinator.UpdateOrder) (bool, error) {
	c, err := u.app.db.Rollout().Campaign(ctx, o.Campaign)
	if errors.Is(err, rollout.ErrUnknown) || err == nil && c.State == rollout.CampaignDraft {
		c, err = u.draft(ctx, o)
	}
	if errors.Is(err, errNoneNeeded) {
		return false, nil
	}
	for _, on := range []struct {
		from rollout.CampaignState
		do   rollout.CampaignEvent
		by   string
	}{{rollout.CampaignDraft, rollout.Submit, o.Drafter}, {rollout.CampaignReview, rollout.Approve, o.Approver}} {
		if err == nil && c.State == on.from {
			c, err = u.app.rollout.Do(ctx, on.do, rollout.Command{ID: o.Campaign, Actor: on.by, Reason: "with the hand-over"})
		}
	}
	switch {
	case errors.Is(err, rollout.ErrApprover), errors.Is(err, rollout.ErrEnded):
		return true, nil // Progress says what it waits for, or how it ended
	case errors.Is(err, rollout.ErrUnapproved), errors.Is(err, rollout.ErrCampaign), errors.Is(err, rollout.ErrUnknown):
		return false, fmt.Errorf("%w: %w", coordinator.ErrUpdate, err)
	}
	return true, err
}

// errNoneNeeded reports that all devices run the release already.
var errNoneNeeded = errors.New("no device needs the update")

// draft drafts the campaign of the devices that do not run the release.
func (u lastUpdates) draft(ctx context.Context, o coordinator.UpdateOrder) (rollout.Campaign, error) {
	r, err := u.app.db.Rollout().Release(ctx, o.Release)
	if err != nil {
		return rollout.Campaign{}, err
	}
	d := rollout.Draft{
		ID: o.Campaign, Name: "Last update " + o.Note, Release: r.ID, Delivery: rollout.Push, By: o.Drafter,
	}
	if len(r.Manifest[0].Value) == 0 { // its payload is not inside
		d.Delivery = rollout.Pull
	}
	for _, id := range o.Devices {
		has, err := u.runs(ctx, r, id)
		if err != nil {
			return rollout.Campaign{}, err
		}
		if !has {
			d.Devices = append(d.Devices, id)
		}
	}
	if len(d.Devices) == 0 {
		return rollout.Campaign{}, errNoneNeeded
	}
	return u.app.rollout.Draft(ctx, d)
}

// runs reports whether a device runs a release.
func (u lastUpdates) runs(ctx context.Context, r rollout.Release, id fleet.ID) (bool, error) {
	installed, err := u.app.db.Rollout().InForce(ctx, id)
	for _, i := range installed {
		if i.Digest.Equal(r.Manifest[0]) || i.Digest.Equal(r.Manifest[1]) {
			return true, nil
		}
	}
	return false, err
}

// Progress implements coordinator.Updates.
func (u lastUpdates) Progress(ctx context.Context, l coordinator.LastUpdate, id fleet.ID) (
	p coordinator.UpdateProgress, err error,
) {
	r, err := u.app.db.Rollout().Release(ctx, l.Release)
	if err != nil {
		return p, err
	}
	if has, err := u.runs(ctx, r, id); err != nil || has {
		return coordinator.UpdateProgress{State: coordinator.UpdateDone}, err
	}
	c, err := u.app.db.Rollout().Campaign(ctx, l.Campaign)
	if errors.Is(err, rollout.ErrUnknown) {
		return coordinator.UpdateProgress{Reason: "it has not begun"}, nil
	}
	if err != nil {
		return p, err
	}
	j, err := u.app.db.Rollout().Job(ctx, l.Campaign, id)
	switch {
	case errors.Is(err, rollout.ErrUnknown) && c.State == rollout.CampaignDraft:
		return coordinator.UpdateProgress{Reason: "it has not begun"}, nil
	case errors.Is(err, rollout.ErrUnknown): // it ran the release when that began, and does not any more
		return coordinator.UpdateProgress{State: coordinator.UpdateFailed, Reason: "the device runs another release"}, nil
	case err != nil:
		return p, err
	case j.State == rollout.Done:
		return coordinator.UpdateProgress{State: coordinator.UpdateDone}, nil
	case j.State.Over():
		return coordinator.UpdateProgress{State: coordinator.UpdateFailed, Reason: inWords(j)}, nil
	case c.State == rollout.CampaignReview:
		return coordinator.UpdateProgress{Reason: "another person must approve campaign " + c.ID}, nil
	}
	return coordinator.UpdateProgress{Reason: inWords(j)}, nil
}

// inWords says how a job stands.
func inWords(j rollout.Job) string {
	if j.Reason == "" {
		return string(j.State)
	}
	return string(j.State) + ", " + j.Reason
}

// Settled implements coordinator.Updates.
func (u lastUpdates) Settled(ctx context.Context, l coordinator.LastUpdate) (bool, error) {
	c, err := u.app.db.Rollout().Campaign(ctx, l.Campaign)
	if errors.Is(err, rollout.ErrUnknown) { // it has not begun
		return false, nil
	}
	if err != nil || c.State.Over() {
		return err == nil, err
	}
	counts, err := u.app.db.Rollout().Counts(ctx, l.Campaign)
	if err != nil {
		return false, err
	}
	for _, wave := range counts {
		if wave.Waiting() > 0 {
			return false, nil
		}
	}
	return true, nil
}

// End implements coordinator.Updates.
func (u lastUpdates) End(ctx context.Context, l coordinator.LastUpdate, reason string) error {
	_, err := u.app.rollout.Do(ctx, rollout.Abort, rollout.Command{ID: l.Campaign, Actor: systemActor, Reason: reason})
	if errors.Is(err, rollout.ErrUnknown) || errors.Is(err, rollout.ErrEnded) {
		return nil
	}
	return err
}
