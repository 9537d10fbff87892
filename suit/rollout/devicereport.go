package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit"
)

// ErrDeviceReport reports bytes that are no SUIT_Report.
var ErrDeviceReport = errors.New("not a SUIT report")

// A DeviceReport is what a device told of one manifest (draft-ietf-suit-report).
type DeviceReport struct {
	Device    fleet.ID
	Digest    suit.Digest // of the manifest
	Release   string      // "" if no release of ours that the device is given has it
	Succeeded bool
	Reason    string // in words
	Raw       []byte
	At        time.Time
}

// A ReportStore keeps what devices reported: the newest of each manifest, and few of
// each device.
type ReportStore interface {
	// AddReport stores r in place of an older one of the same manifest.
	AddReport(ctx context.Context, r DeviceReport) error
	// ReportOf returns what a device told of a manifest, or ErrUnknown.
	ReportOf(ctx context.Context, device fleet.ID, manifest suit.Digest) (DeviceReport, error)
	// ReportsOf returns up to limit reports of a device, the newest first.
	ReportsOf(ctx context.Context, device fleet.ID, limit int) ([]DeviceReport, error)
}

// ReporterOptions configure a Reporter. Fields without a default are required.
type ReporterOptions struct {
	Store    ReportStore
	Releases Releases
	// Current returns the release that a device is given now; ErrUnknown if none.
	Current func(ctx context.Context, device fleet.ID) (Release, error)
	// Who says which device an association is, or ErrUnknown.
	Who     func(ctx context.Context, who coap.Identity) (fleet.ID, error)
	Log     *slog.Logger                              // nil: none
	Changed func(ctx context.Context, r DeviceReport) // told of each report; nil: nobody
}

// A Reporter collects the reports of devices: by Send of object
// BinaryAppDataContainer whose format is application/suit-report+cose, or by POST to
// /update/r with Content-Format 270. They are authentic and confidential by the
// association. Safe for concurrent use.
type Reporter struct {
	o     ReporterOptions
	queue chan sent

	mu        sync.Mutex
	wait      map[reportKey][]chan struct{} // who waits for a report
	manifests map[string]*suit.Manifest     // by digest, at most maxManifests
}

type sent struct {
	device fleet.ID
	raw    []byte
}

type reportKey struct {
	device fleet.ID
	digest string
}

const (
	maxReport      = 64 << 10 // bytes
	maxReportQueue = 4096
	maxManifests   = 64
	formatReport   = 270 // application/suit-report+cose
	mediaReport    = "application/suit-report+cose"

	// SegmentReport is the last segment of the path to which reports are posted.
	SegmentReport = "r"
)

// NewReporter returns a Reporter; Run it.
func NewReporter(o ReporterOptions) (*Reporter, error) {
	if o.Store == nil || o.Releases == nil || o.Current == nil || o.Who == nil {
		return nil, errors.New("rollout: Store, Releases, Current and Who are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func(context.Context, DeviceReport) {}
	}
	return &Reporter{
		o: o, queue: make(chan sent, maxReportQueue), wait: map[reportKey][]chan struct{}{},
		manifests: map[string]*suit.Manifest{},
	}, nil
}

// Sent takes the values of a Send, those of other objects and formats too. It does
// not block: what comes too fast is lost, and the device's result remains.
func (r *Reporter) Sent(device fleet.ID, entries []lwm2m.Entry) {
	for _, e := range entries {
		if e.Path.Gateway() != "" { // of a device behind a gateway, which runs no job of ours
			continue
		}
		base := e.Path.Prefix(2)
		if e.Path.Object() != objects.AppDataID || e.Path.Len() != lwm2m.MaxDepth || e.Path.ID(2) != objects.AppDataData {
			continue
		}
		d, err := objects.DecodeAppData(base, entries)
		if err != nil || d.Format != mediaReport || len(e.Value.Bytes()) == 0 {
			continue
		}
		select {
		case r.queue <- sent{device, e.Value.Bytes()}:
		default:
		}
	}
}

// Run stores what was sent until ctx ends.
func (r *Reporter) Run(ctx context.Context) error {
	for {
		select {
		case s := <-r.queue:
			if err := r.collect(ctx, s.device, s.raw); err != nil && ctx.Err() == nil {
				r.o.Log.LogAttrs(ctx, slog.LevelWarn, "report of a device", slog.String("device", string(s.device)),
					slog.Any("error", err))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// ServeCoAP answers POST /update/r.
func (r *Reporter) ServeCoAP(ctx context.Context, req *coap.Request) *coap.Response {
	format, _ := req.ContentFormat.ID()
	switch {
	case req.Method != coap.POST:
		return &coap.Response{Code: coap.MethodNotAllowed}
	case format != formatReport:
		return &coap.Response{Code: coap.UnsupportedContentFormat}
	case len(req.Payload) > maxReport:
		return &coap.Response{Code: coap.RequestEntityTooLarge}
	}
	device, err := r.o.Who(ctx, req.Peer.Identity())
	if err == nil {
		err = r.collect(ctx, device, req.Payload)
	}
	switch {
	case err == nil:
		return &coap.Response{Code: coap.Changed}
	case errors.Is(err, ErrDeviceReport):
		return &coap.Response{Code: coap.BadRequest}
	case errors.Is(err, ErrUnknown):
		return &coap.Response{Code: coap.Forbidden}
	}
	r.o.Log.LogAttrs(ctx, slog.LevelError, "report of a device", slog.Any("error", err))
	return &coap.Response{Code: coap.InternalServerError}
}

// collect checks a report and stores it.
func (r *Reporter) collect(ctx context.Context, device fleet.ID, raw []byte) error {
	if len(raw) > maxReport {
		return fmt.Errorf("%w: %d bytes", ErrDeviceReport, len(raw))
	}
	report, err := suit.ParseReport(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDeviceReport, err)
	}
	d := DeviceReport{
		Device: device, Digest: report.Digest, Succeeded: report.Failure == nil, Raw: raw, At: time.Now(),
		Reason: "the manifest was carried out",
	}
	current, err := r.o.Current(ctx, device)
	switch {
	case errors.Is(err, ErrUnknown):
	case err != nil:
		return err
	case slices.ContainsFunc(current.Manifest[:], report.Digest.Equal):
		d.Release = current.ID
	}
	if report.Failure != nil {
		d.Reason = Explain(report.Failure, r.manifest(ctx, d))
	}
	if err := r.o.Store.AddReport(ctx, d); err != nil {
		return err
	}
	r.tell(reportKey{device, report.Digest.String()})
	r.o.Changed(ctx, d)
	return nil
}

// manifest returns the manifest of a report, nil if it is none of ours.
func (r *Reporter) manifest(ctx context.Context, d DeviceReport) *suit.Manifest {
	if d.Release == "" {
		return nil
	}
	r.mu.Lock()
	m := r.manifests[d.Digest.String()]
	r.mu.Unlock()
	if m != nil {
		return m
	}
	content, err := r.o.Releases.Content(ctx, d.Release)
	if err != nil {
		return nil
	}
	for _, raw := range [][]byte{content.Pull, content.Push} {
		e, err := suit.Decode(raw, suit.Limits{})
		if err != nil || !e.Digest.Equal(d.Digest) {
			continue
		}
		if m, err = e.Manifest(); err != nil {
			return nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.manifests) >= maxManifests {
			clear(r.manifests)
		}
		r.manifests[d.Digest.String()] = m
		return m
	}
	return nil
}

// patience is how long a job waits for the report that belongs to a result: the
// device sends both at about the same time.
const patience = 2 * time.Second

// Told returns what the device of an order told of its release, in words; "" if
// nothing, also after a short wait if the device may yet report, or only of a
// success.
func (r *Reporter) Told(ctx context.Context, o Order, may bool) (string, error) {
	digest := o.Release.ManifestOf(o.Delivery)
	key := reportKey{o.Device, digest.String()}
	arrived := make(chan struct{})
	r.mu.Lock()
	r.wait[key] = append(r.wait[key], arrived)
	r.mu.Unlock()
	defer r.forget(key, arrived)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for again := true; again; {
		again = may
		d, err := r.o.Store.ReportOf(ctx, o.Device, digest)
		if err == nil && !d.Succeeded {
			return d.Reason, nil
		}
		if err != nil && !errors.Is(err, ErrUnknown) {
			return "", err
		}
		select {
		case <-arrived:
			arrived = nil // once
		case <-timer.C:
			again = false
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "", nil
}

// tell wakes those who wait for a report.
func (r *Reporter) tell(key reportKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.wait[key] {
		close(c)
	}
	delete(r.wait, key)
}

func (r *Reporter) forget(key reportKey, c chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wait[key] = slices.DeleteFunc(r.wait[key], func(o chan struct{}) bool { return o == c })
	if len(r.wait[key]) == 0 {
		delete(r.wait, key)
	}
}
