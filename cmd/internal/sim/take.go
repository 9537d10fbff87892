package sim

import (
	"context"
	"errors"
	"fmt"

	"steward/objects"
	"steward/suit"
	"steward/suit/process"
	"steward/transfer"
)

// push takes an envelope that the server wrote. What is wrong with it shows in
// the result.
func (f *firmware) push(ctx context.Context, envelope []byte, instance uint16) error {
	if err := f.set(progress{State: objects.FirmwareDownloading, Instance: instance}, nil); err != nil {
		return err
	}
	f.l.d.event(Event{Kind: Downloading, Detail: fmt.Sprintf("%d bytes pushed", len(envelope))})
	if f.spoilDownload() {
		return nil
	}
	return f.take(ctx, envelope, "")
}

// take checks an envelope and keeps it for Update.
func (f *firmware) take(ctx context.Context, envelope []byte, uri string) error {
	p, err := f.processor()
	if err != nil {
		return f.fail(err, nil)
	}
	k, err := p.Open(ctx, envelope)
	if err != nil {
		return f.fail(err, p.Report(envelope, err, nil))
	}
	if err = k.Download(ctx); err != nil {
		return f.fail(err, k.Report(err, nil))
	}
	version, instance := versionOf(envelope), f.progress().Instance
	err = f.set(progress{
		State: objects.FirmwareDownloaded, URI: uri, Version: version, Instance: instance,
		Linked: f.linked(k.Manifest, instance),
	}, map[string][]byte{envelopeKey: envelope})
	if err == nil {
		f.l.d.event(Event{Kind: Downloaded, Version: version, Sequence: k.Manifest.Sequence})
	}
	return err
}

// processor returns a manifest processor that trusts the signers in force now.
func (f *firmware) processor() (*process.Processor, error) {
	f.l.mu.Lock()
	anchors := append(f.l.tr.Trusted(transfer.SUITSigner), f.l.tr.UpdateSigners()...)
	f.l.mu.Unlock()
	keys, err := f.l.decryption()
	if err != nil {
		return nil, err
	}
	o := process.Options{
		Target: f.target, Fetch: fetcher{f.l}, TrustDomains: true, Keys: keys,
		Management: f.l.management(),
	}
	for _, a := range anchors {
		c, err := a.X509()
		if err != nil {
			return nil, err
		}
		o.Anchors = append(o.Anchors, process.Anchor{Key: c.PublicKey})
	}
	if o.Identity, err = f.l.d.b.Identity(); err != nil {
		return nil, err
	}
	return process.New(o)
}

// fail ends an update with the result that err means, and keeps the report for the
// server; nil is none. Only an error of the memory is returned.
func (f *firmware) fail(err error, report *suit.Report) error {
	if errors.Is(err, ErrPowerCut) {
		return f.l.written(err)
	}
	f.l.d.event(f.l.about(Event{Kind: UpdateFailed, Error: err.Error()}))
	changes := f.target.unstaged()
	changes[envelopeKey] = nil
	f.reportLater(changes, report)
	before := f.progress()
	return f.set(progress{Result: f.result(err), Instance: before.Instance, Linked: before.Linked}, changes)
}

// result is the Update Result that an error means. Where there are several
// components, one may be missing for another.
func (f *firmware) result(err error) objects.FirmwareResult {
	e, ok := errors.AsType[*process.Error](err)
	if ok && f.object() == objects.AdvancedFirmwareID && e.Stage == process.StageDependencies {
		return objects.FirmwareDependency
	}
	return objects.FirmwareResult(process.Result(err)) //nolint:gosec // 1 to 9
}
