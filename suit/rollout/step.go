package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/objects"
)

// A turn is one look at one device.
type turn struct {
	r     *Runner
	c     Campaign
	order Order
	j     Job
	now   time.Time
}

// step asks the device how it is and does the next thing. It returns the job
// with reason and result, and what was learnt; "" if there is nothing to do now.
func (r *Runner) step(ctx context.Context, j Job) (Job, JobEvent) {
	if j.State != Delivering { // a push may take hours: who delivers sees to its progress
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	t := &turn{r: r, j: j, now: time.Now()}
	r.mu.Lock()
	track := r.campaigns[j.Campaign]
	known := track != nil && track.campaign.ID != ""
	if known {
		t.c = track.campaign
		t.order = Order{
			Campaign: j.Campaign, Device: j.Device, Release: track.release, Delivery: t.c.Delivery,
			BytesPerSecond: t.c.Plan.Rates.BytesPerSecond,
		}
	}
	r.mu.Unlock()
	if !known { // Run has not looked at it yet
		return t.hold("waits for the campaign", t.now.Add(r.o.Poll))
	}
	if j.State == Waiting {
		return t.wakes()
	}
	if reason, until := t.halted(); reason != "" {
		return t.hold(reason, until)
	}
	if j.State == Queued {
		return t.queued(ctx)
	}
	s, err := r.o.Deliverer.Status(ctx, t.order)
	if err != nil {
		return t.failed(err)
	}
	t.answered(s)
	switch j.State {
	case Delivering:
		return t.delivering(ctx, s)
	case Downloading:
		return t.downloading(s)
	case Downloaded:
		return t.downloaded(ctx, s)
	default:
		return t.installing(ctx, s)
	}
}

// halted says why nothing may begin or be installed now, "" if it may, and when
// to look again.
func (t *turn) halted() (string, time.Time) {
	if t.j.State != Queued && t.j.State != Downloaded {
		return "", time.Time{}
	}
	if t.c.State == CampaignPaused { // resuming wakes it
		return "waits: the campaign is paused", t.now.Add(time.Hour)
	}
	return "", time.Time{}
}

// wakes ends a wait.
func (t *turn) wakes() (Job, JobEvent) {
	if t.now.Before(t.j.Due) {
		return t.j, ""
	}
	if t.c.State == CampaignPaused {
		return t.hold("waits: the campaign is paused", t.now.Add(longest))
	}
	if t.j.Aside == Deferred {
		t.j.Aside = ""
	}
	return t.j, Again
}

// queued begins with a device, if it is the time and the release suits it.
func (t *turn) queued(ctx context.Context) (Job, JobEvent) {
	d := t.r.o.Deliverer
	wait, until, err := t.ready(ctx, t.c.Plan.Windows.Download, "download")
	if err != nil {
		return t.failed(err)
	}
	if wait != "" {
		t.j.Reason, t.j.Due = wait, until
		return t.j, NotYet
	}
	reasons, err := d.Check(ctx, t.order)
	if err != nil {
		return t.failed(err)
	}
	if len(reasons) > 0 {
		t.j.Reason = joined(reasons)
		return t.j, Unsuitable
	}
	s, err := d.Status(ctx, t.order)
	if err != nil {
		return t.failed(err)
	}
	t.answered(s)
	if most := t.c.Plan.Rates.Concurrent; !t.r.reserve(t.j, most) { // who gives one back wakes it
		return t.hold(fmt.Sprintf("waits for one of %d places for downloads", most), t.now.Add(maxPoll))
	}
	if err := d.Prepare(ctx, t.order, s); err != nil {
		return t.failed(err)
	}
	t.j.BeganAt, t.j.Reason = t.now, ""
	if t.j.FirstAt.IsZero() {
		t.j.FirstAt = t.now
	}
	return t.j, Begin
}

func (t *turn) delivering(ctx context.Context, s Status) (Job, JobEvent) {
	if s.State == objects.FirmwareDownloaded {
		return t.j, Staged
	}
	if s.State == objects.FirmwareDownloading { // a push whose answer was lost, or a pull under way
		return t.j, Delivered
	}
	if err := t.r.o.Deliverer.Deliver(ctx, t.order); err != nil {
		return t.failed(err)
	}
	return t.j, Delivered
}

func (t *turn) downloading(s Status) (Job, JobEvent) {
	switch {
	case s.State == objects.FirmwareDownloaded:
		return t.j, Staged
	case s.State == objects.FirmwareIdle && s.Result > int(objects.FirmwareSuccess):
		return t.failure(s.Result, s.Reason)
	case s.State == objects.FirmwareIdle:
		return t.failure(CodeForgot, "")
	}
	return t.later("the device is downloading")
}

// downloaded installs, unless the device did so already and only the answer to
// Update was lost.
func (t *turn) downloaded(ctx context.Context, s Status) (Job, JobEvent) {
	switch {
	case s.State == objects.FirmwareUpdating:
		return t.j, Executed
	case s.State == objects.FirmwareIdle && s.Result == int(objects.FirmwareSuccess):
		return t.installed(ctx)
	case s.State == objects.FirmwareIdle && s.Result > int(objects.FirmwareSuccess):
		return t.failure(s.Result, s.Reason)
	case s.State != objects.FirmwareDownloaded:
		return t.failure(CodeForgot, "")
	}
	wait, until, err := t.ready(ctx, t.c.Plan.Windows.Install, "install")
	if err != nil {
		return t.failed(err)
	}
	if wait != "" {
		t.j.BeganAt = t.now // what it waits is not its fault
		return t.hold(wait, until)
	}
	if err := t.r.o.Deliverer.Execute(ctx, t.order); err != nil {
		return t.failed(err)
	}
	return t.j, Executed
}

func (t *turn) installing(ctx context.Context, s Status) (Job, JobEvent) {
	switch {
	case s.State == objects.FirmwareIdle && s.Result == int(objects.FirmwareSuccess):
		return t.installed(ctx)
	case s.Result > int(objects.FirmwareSuccess) && s.State != objects.FirmwareUpdating:
		return t.failure(s.Result, s.Reason)
	}
	return t.later("the device is installing")
}

// installed takes a success only together with the version that was released.
func (t *turn) installed(ctx context.Context) (Job, JobEvent) {
	got, err := t.r.o.Deliverer.Version(ctx, t.order)
	if err != nil {
		return t.failed(err)
	}
	if want := t.order.Release.Version; want != "" && got != want {
		return t.failure(CodeVersion, fmt.Sprintf("the device reports success and version %.40q, not %q", got, want))
	}
	t.j.Reason = "runs " + got
	return t.j, Succeeded
}

// failed sorts an error: silence is waited out, a refusal follows the matrix.
func (t *turn) failed(err error) (Job, JobEvent) {
	if errors.Is(err, ErrRefused) {
		t.heard()
		if t.j.State == Installing {
			return t.later(err.Error())
		}
		return t.failure(CodeRefused, err.Error())
	}
	return t.silent(err)
}
