package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/suit"
	"steward/suit/process"
	"steward/transfer"
)

// The keys of an update under way; erased with everything staged.
const (
	firmwarePrefix = "firmware/"
	progressKey    = firmwarePrefix + "progress"
	envelopeKey    = firmwarePrefix + "envelope"
)

// progress is where an update stands: object Firmware Update.
type progress struct {
	State   objects.FirmwareState  `json:"state"`
	Result  objects.FirmwareResult `json:"result"`
	URI     string                 `json:"uri,omitempty"`
	Version string                 `json:"version,omitempty"` // of the package
	Since   time.Time              `json:"since"`
}

// A firmware is object Firmware Update before a manifest processor.
type firmware struct {
	l      *life
	table  *client.Table
	target *target

	mu   sync.Mutex // guards all below; never held while the transfer's machine is asked
	now  progress
	busy context.CancelFunc    // of the download or installation under way
	job  func(context.Context) // to be begun by the main loop
}

func newFirmware(l *life) (*firmware, error) {
	components, err := l.d.b.ComponentIDs()
	if err != nil {
		return nil, err
	}
	f := &firmware{l: l, target: &target{nv: l.nv, components: components, floor: l.d.b.Firmware.Sequence}}
	f.now = f.stored()
	f.table = client.NewTable(client.TableOptions{
		ID: objects.FirmwareID, Version: "1.1", Schema: l.d.schema, Values: f.entries(),
		Resources: []uint16{
			objects.FirmwarePackage, objects.FirmwareURI, objects.FirmwareUpdate, objects.FirmwareVersion,
			objects.FirmwareName, objects.FirmwareCancel,
		},
		OnWrite: f.write, OnExecute: f.execute,
	})
	return f, nil
}

func (f *firmware) stored() (p progress) {
	if raw := f.l.nv.Get(progressKey); raw != nil {
		_ = json.Unmarshal(raw, &p) // the device wrote it itself
	}
	return p
}

// entries returns the object's values. The caller holds mu, or is alone.
func (f *firmware) entries() []lwm2m.Entry {
	o := objects.Firmware{
		URI: f.now.URI, State: f.now.State, Result: f.now.Result, Version: f.now.Version,
		Protocols: map[uint16]objects.FirmwareProtocol{0: objects.ProtocolCoAPS}, Delivery: objects.DeliveryBoth,
	}
	return o.Entries(lwm2m.NewPath(objects.FirmwareID, 0))
}

// reload takes up what is stored, after a wipe.
func (f *firmware) reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop()
	f.now = f.stored()
	f.table.Replace(lwm2m.NewPath(objects.FirmwareID, 0), f.entries()...)
}

// set stores a new progress, together with other changes, and shows it.
func (f *firmware) set(p progress, changes map[string][]byte) error {
	p.Since = time.Now().UTC()
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	all := map[string][]byte{progressKey: raw}
	maps.Copy(all, changes)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.l.put(all); err != nil {
		return err
	}
	f.now = p
	f.table.Replace(lwm2m.NewPath(objects.FirmwareID, 0), f.entries()...)
	return nil
}

func (f *firmware) progress() progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// installed tells the transfer's machine which manifests are in force, and
// whether an installation is on the way.
func (f *firmware) installed() ([]transfer.Installed, bool) {
	p := f.progress()
	installing := p.State == objects.FirmwareDownloading || p.State == objects.FirmwareUpdating
	in, ok, err := f.target.manifest()
	if err != nil || !ok {
		return nil, installing
	}
	return []transfer.Installed{{
		Digest:   transfer.CertHash{Alg: int64(in.Manifest.Algorithm), Value: in.Manifest.Value},
		Sequence: in.Sequence,
	}}, installing
}

// running returns version and sequence number of what runs.
func (f *firmware) running() (version string, sequence uint64) {
	in, ok, err := f.target.manifest()
	if err != nil || !ok {
		return f.l.d.b.Firmware.Version, f.l.d.b.Firmware.Sequence
	}
	return versionOf(in.Envelope), in.Sequence
}

// versionOf returns what the manifest's text calls the version of the component,
// or a name for its sequence number.
func versionOf(envelope []byte) string {
	e, err := suit.Decode(envelope, suit.Limits{})
	if err != nil {
		return ""
	}
	m, err := e.Manifest()
	if err != nil {
		return ""
	}
	for _, text := range m.Text {
		for _, fields := range text.Components {
			if version := fields[suit.TextComponentVersion]; version != "" {
				return version
			}
		}
	}
	return fmt.Sprintf("sequence %d", m.Sequence)
}

// write is the Write of Package or Package URI. An empty one ends what is under
// way.
func (f *firmware) write(ctx context.Context, _ client.Session, _ lwm2m.Path, entries []lwm2m.Entry) error {
	for _, e := range entries {
		id := e.Path.ID(2)
		if id != objects.FirmwarePackage && id != objects.FirmwareURI {
			return client.ErrMethodNotAllowed
		}
		envelope, uri := e.Value.Bytes(), e.Value.Text()
		p := f.progress()
		switch {
		case p.State == objects.FirmwareUpdating:
			return client.ErrMethodNotAllowed
		case len(envelope) == 0 && uri == "":
			if err := f.cancel(objects.FirmwareInitial); err != nil {
				return err
			}
		case p.State != objects.FirmwareIdle:
			return client.ErrMethodNotAllowed
		case id == objects.FirmwarePackage:
			return f.push(ctx, envelope)
		case len(uri) > math.MaxUint8:
			return client.ErrBadRequest
		default:
			return f.pull(uri)
		}
	}
	return nil
}

// push takes an envelope that the server wrote. What is wrong with it shows in
// the result.
func (f *firmware) push(ctx context.Context, envelope []byte) error {
	if err := f.set(progress{State: objects.FirmwareDownloading}, nil); err != nil {
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
		return f.fail(err)
	}
	k, err := p.Open(ctx, envelope)
	if err == nil {
		err = k.Download(ctx)
	}
	if err != nil {
		return f.fail(err)
	}
	version := versionOf(envelope)
	err = f.set(progress{State: objects.FirmwareDownloaded, URI: uri, Version: version},
		map[string][]byte{envelopeKey: envelope})
	if err == nil {
		f.l.d.event(Event{Kind: Downloaded, Version: version, Sequence: k.Manifest.Sequence})
	}
	return err
}

// processor returns a manifest processor that trusts the signers in force now.
func (f *firmware) processor() (*process.Processor, error) {
	f.l.mu.Lock()
	anchors := f.l.tr.Trusted(transfer.SUITSigner)
	f.l.mu.Unlock()
	o := process.Options{Target: f.target, Fetch: fetcher{f.l}}
	for _, a := range anchors {
		c, err := a.X509()
		if err != nil {
			return nil, err
		}
		o.Anchors = append(o.Anchors, process.Anchor{Key: c.PublicKey})
	}
	var err error
	if o.Identity, err = f.l.d.b.Identity(); err != nil {
		return nil, err
	}
	return process.New(o)
}

// fail ends an update with the result that err means. Only an error of the memory
// is returned.
func (f *firmware) fail(err error) error {
	if errors.Is(err, ErrPowerCut) {
		return f.l.written(err)
	}
	f.l.d.event(f.l.about(Event{Kind: UpdateFailed, Error: err.Error()}))
	changes := f.target.unstaged()
	changes[envelopeKey] = nil
	return f.set(progress{Result: objects.FirmwareResult(process.Result(err))}, changes) //nolint:gosec // 1 to 9
}

// cancel ends what is under way.
func (f *firmware) cancel(result objects.FirmwareResult) error {
	f.mu.Lock()
	f.stop()
	f.mu.Unlock()
	changes := f.target.unstaged()
	changes[envelopeKey] = nil
	return f.set(progress{Result: result}, changes)
}

// stop ends the work under way. The caller holds mu.
func (f *firmware) stop() {
	f.job = nil
	if f.busy != nil {
		f.busy()
		f.busy = nil
	}
}

func (f *firmware) execute(_ context.Context, _ client.Session, p lwm2m.Path, _ string) error {
	now := f.progress()
	switch p.ID(2) {
	case objects.FirmwareUpdate:
		if now.State != objects.FirmwareDownloaded {
			return client.ErrMethodNotAllowed
		}
		if spoilt, err := f.spoilUpdate(now); spoilt || err != nil {
			return err
		}
		now.State, now.Result = objects.FirmwareUpdating, objects.FirmwareInitial
		if err := f.set(now, nil); err != nil {
			return err
		}
		f.l.poke()
		f.start(f.install)
		return nil
	case objects.FirmwareCancel:
		if now.State != objects.FirmwareDownloading && now.State != objects.FirmwareDownloaded {
			return client.ErrMethodNotAllowed
		}
		return f.cancel(objects.FirmwareCancelled)
	}
	return client.ErrMethodNotAllowed
}
