package sim

import (
	"context"
	"errors"

	"steward/lwm2m"
	"steward/objects"
	"steward/suit"
	"steward/suit/process"
)

// start has the main loop run job in the background, in place of any before it.
func (f *firmware) start(job func(context.Context)) {
	f.mu.Lock()
	f.stop()
	f.job = job
	f.mu.Unlock()
	f.l.poke()
}

// begin runs the job that was started, until the life ends.
func (f *firmware) begin(ctx context.Context) {
	f.mu.Lock()
	job := f.job
	f.job = nil
	if job == nil {
		f.mu.Unlock()
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	f.busy = cancel
	f.mu.Unlock()
	f.l.work.Go(func() {
		defer cancel()
		job(ctx)
	})
}

// pull begins to fetch the envelope at uri.
func (f *firmware) pull(uri string, instance uint16) error {
	if err := f.set(progress{State: objects.FirmwareDownloading, URI: uri, Instance: instance}, nil); err != nil {
		return err
	}
	f.l.d.event(Event{Kind: Downloading, Detail: uri})
	f.start(func(ctx context.Context) { f.download(ctx, uri) })
	return nil
}

// maxDownloads is how often a broken download is begun again.
const maxDownloads = 5

// download fetches an envelope. A broken connection is tried again.
func (f *firmware) download(ctx context.Context, uri string) {
	if f.spoilDownload() {
		return
	}
	var envelope []byte // as far as it has come
	for attempt := uint64(1); ; attempt++ {
		var err error
		envelope, err = fetcher{f.l}.get(ctx, uri, envelope)
		if ctx.Err() != nil {
			return // resumed in the next life, or cancelled
		}
		if err == nil {
			_ = f.take(ctx, envelope, uri) // the error is the memory's, and is kept
			return
		}
		if !errors.Is(err, process.ErrConnection) || attempt >= maxDownloads {
			_ = f.fail(err, nil) // likewise
			return
		}
		if !wait(ctx, f.l.o.retry().Delay(attempt, dice())) {
			return
		}
	}
}

// install carries the stored envelope out and restarts the device.
func (f *firmware) install(ctx context.Context) {
	if f.spoilInstall() {
		return
	}
	envelope := f.l.nv.Get(envelopeKey)
	f.l.d.event(f.l.about(Event{Kind: Installing}))
	for attempt := uint64(1); ; attempt++ {
		report, err := f.update(ctx, envelope)
		switch {
		case err == nil:
			f.l.reboot()
			return
		case ctx.Err() != nil:
			return // resumed in the next life
		case !errors.Is(err, process.ErrConnection) || attempt >= maxDownloads:
			_ = f.fail(err, report) // the error is the memory's, and is kept
			return
		}
		if !wait(ctx, f.l.o.retry().Delay(attempt, dice())) {
			return
		}
	}
}

// update carries an envelope out and returns the report.
func (f *firmware) update(ctx context.Context, envelope []byte) (*suit.Report, error) {
	p, err := f.processor()
	if err != nil {
		return nil, err
	}
	k, err := p.Open(ctx, envelope)
	if err != nil {
		return p.Report(envelope, err, nil), err
	}
	err = k.Install(ctx)
	return k.Report(err, nil), err
}

// resume goes on with what the last life left. An update whose manifest is in
// force has succeeded, once the image has been validated and invoked.
func (f *firmware) resume(ctx context.Context) {
	now := f.progress()
	switch now.State {
	case objects.FirmwareDownloading:
		if now.URI == "" { // a push whose answer was lost: the server writes it again
			_ = f.cancel(objects.FirmwareInitial) // the error is the memory's, and is kept
			return
		}
		f.start(func(ctx context.Context) { f.download(ctx, now.URI) })
	case objects.FirmwareUpdating:
		if !f.committed() {
			f.start(f.install)
			return
		}
		f.confirm(ctx)
	case objects.FirmwareDownloaded:
		if now.Result == objects.FirmwareDeferred {
			f.start(f.deferred)
		}
	case objects.FirmwareIdle:
	}
}

// committed reports whether the stored envelope is the one in force.
func (f *firmware) committed() bool {
	in, ok, err := f.target.manifest()
	if err != nil || !ok {
		return false
	}
	e, err := suit.Decode(f.l.nv.Get(envelopeKey), suit.Limits{})
	return err == nil && e.Digest.Equal(in.Manifest)
}

// confirm boots what was installed.
func (f *firmware) confirm(ctx context.Context) {
	p, err := f.processor()
	var report *suit.Report
	if err == nil {
		report, err = f.boot(ctx, p)
	}
	if err != nil {
		_ = f.fail(err, report) // the error is the memory's, and is kept
		return
	}
	version, sequence := f.running()
	f.l.battery.table.Set(lwm2m.Entry{
		Path: lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceFirmware), Value: lwm2m.String(version),
	})
	changes := map[string][]byte{envelopeKey: nil, faultsKey: nil}
	f.reportLater(changes, report)
	before := f.progress()
	err = f.set(progress{
		Result: objects.FirmwareSuccess, Version: version, Instance: before.Instance, Linked: before.Linked,
	}, changes)
	if err == nil {
		f.l.d.event(Event{Kind: Updated, Version: version, Sequence: sequence})
		_ = f.l.compact() // likewise
	}
}

// boot invokes what is installed and returns the report.
func (f *firmware) boot(ctx context.Context, p *process.Processor) (*suit.Report, error) {
	in, _, err := f.target.manifest()
	if err != nil {
		return nil, err
	}
	k, err := p.Open(ctx, in.Envelope)
	if err != nil {
		return p.Report(in.Envelope, err, nil), err
	}
	err = k.Invoke(ctx)
	return k.Report(err, nil), err
}
