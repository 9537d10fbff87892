package rollout

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/objects"
)

// step asks the device how it is and does the next thing. It returns the job
// with reason and result, and what was learnt; "" if there is nothing to do now.
func (r *Runner) step(ctx context.Context, j Job) (Job, JobEvent) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	campaign, _, err := r.o.Store.Campaign(ctx, j.Campaign)
	if err != nil {
		return r.later(j, err.Error())
	}
	release, err := r.o.Store.Release(ctx, campaign.Release)
	if err != nil {
		return r.later(j, err.Error())
	}
	if release.State == ReleaseWithdrawn && j.State != Installing {
		j.Reason = "the release was withdrawn"
		return j, Abandoned
	}
	fw, err := r.read(ctx, j)
	if err != nil {
		return r.failed(j, err)
	}
	j.Result = int(fw.Result)
	switch j.State {
	case Queued:
		if err := r.prepare(ctx, j, fw); err != nil {
			return r.failed(j, err)
		}
		return j, Begin
	case Delivering:
		if fw.State == objects.FirmwareDownloaded {
			return j, Staged
		}
		if fw.State == objects.FirmwareDownloading { // a push whose answer was lost, or a pull under way
			return j, Delivered
		}
		if err := r.deliver(ctx, j, campaign); err != nil {
			return r.failed(j, err)
		}
		return j, Delivered
	case Downloading:
		return r.downloading(j, fw)
	case Downloaded:
		return r.execute(ctx, j, fw, release)
	case Installing:
		return r.installing(ctx, j, fw, release)
	default: // over
		return j, ""
	}
}

// read reads object 5 of the device.
func (r *Runner) read(ctx context.Context, j Job) (objects.Firmware, error) {
	entries, err := r.o.Devices.Read(ctx, j.Device, firmware)
	if err != nil {
		return objects.Firmware{}, err
	}
	return objects.DecodeFirmware(firmware, entries)
}

// failed sorts an error: silence is waited out, a refusal ends the job.
func (r *Runner) failed(j Job, err error) (Job, JobEvent) {
	if errors.Is(err, ErrRefused) && j.State != Queued && j.State != Installing {
		j.Reason = err.Error()
		return j, Refused
	}
	return r.later(j, err.Error())
}

// prepare observes state and result, and resets what an earlier update left
// (an empty URI, LwM2M Firmware Update §E.6.1).
func (r *Runner) prepare(ctx context.Context, j Job, fw objects.Firmware) error {
	for _, p := range []lwm2m.Path{
		firmware.Child(objects.FirmwareStateID), firmware.Child(objects.FirmwareResultID),
	} {
		if err := r.o.Devices.Observe(ctx, j.Device, p); err != nil {
			return err
		}
	}
	if fw.State == objects.FirmwareIdle && fw.Result == objects.FirmwareInitial {
		return nil
	}
	return r.o.Devices.Write(ctx, j.Device, uriPath, lwm2m.String(""))
}

// deliver writes the package, or where it is.
func (r *Runner) deliver(ctx context.Context, j Job, c Campaign) error {
	if c.Delivery == Pull {
		return r.o.Devices.Write(ctx, j.Device, uriPath, lwm2m.String(r.o.URI(c.Release)))
	}
	content, err := r.o.Store.Content(ctx, c.Release)
	if err != nil {
		return err
	}
	return r.o.Devices.Write(ctx, j.Device, packagePath, lwm2m.Opaque(content.Push))
}

func (r *Runner) downloading(j Job, fw objects.Firmware) (Job, JobEvent) {
	switch {
	case fw.State == objects.FirmwareDownloaded:
		return j, Staged
	case fw.State == objects.FirmwareIdle && fw.Result > objects.FirmwareSuccess:
		j.Reason = fw.Result.String()
		return j, Refused
	case fw.State == objects.FirmwareIdle:
		j.Reason = "the device forgot the download"
		return j, Restarted
	}
	return r.later(j, "the device is downloading")
}

// execute installs, unless the device did so already and only the answer to
// Update was lost.
func (r *Runner) execute(ctx context.Context, j Job, fw objects.Firmware, release Release) (Job, JobEvent) {
	switch {
	case fw.State == objects.FirmwareUpdating:
		return j, Executed
	case fw.State == objects.FirmwareIdle && fw.Result == objects.FirmwareSuccess:
		return r.installed(ctx, j, release)
	case fw.State == objects.FirmwareIdle && fw.Result > objects.FirmwareSuccess:
		j.Reason = fw.Result.String()
		return j, Refused
	case fw.State != objects.FirmwareDownloaded:
		j.Reason = "the device forgot the download"
		return j, Restarted
	}
	if err := r.o.Devices.Execute(ctx, j.Device, updatePath); err != nil {
		return r.failed(j, err)
	}
	return j, Executed
}

func (r *Runner) installing(ctx context.Context, j Job, fw objects.Firmware, release Release) (Job, JobEvent) {
	switch {
	case fw.State == objects.FirmwareIdle && fw.Result == objects.FirmwareSuccess:
		return r.installed(ctx, j, release)
	case fw.Result > objects.FirmwareSuccess && fw.State != objects.FirmwareUpdating:
		j.Reason = fw.Result.String()
		return j, Refused
	}
	return r.later(j, "the device is installing")
}

// installed takes a success only together with the version that was released.
func (r *Runner) installed(ctx context.Context, j Job, release Release) (Job, JobEvent) {
	entries, err := r.o.Devices.Read(ctx, j.Device, versionPath)
	if err != nil {
		return r.failed(j, err)
	}
	got := ""
	for _, e := range entries {
		if e.Path == versionPath {
			got = e.Value.Text()
		}
	}
	if release.Version != "" && got != release.Version {
		j.Reason = fmt.Sprintf("the device reports success and version %.40q, not %q", got, release.Version)
		return j, Refused
	}
	j.Reason = "runs " + got
	return j, Succeeded
}
