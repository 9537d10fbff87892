package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/suit"
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

	Instance  uint16            `json:"instance,omitempty"`  // to which the package came
	Linked    []uint16          `json:"linked,omitempty"`    // updated along
	Conflicts map[uint16]uint16 `json:"conflicts,omitempty"` // instances refused because of others
}

// A firmware is object Firmware Update, or Advanced Firmware Update, before a
// manifest processor.
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
		ID: f.object(), Version: versions[f.object()], Schema: l.d.schema, Values: f.entries(),
		Resources: []uint16{
			objects.FirmwarePackage, objects.FirmwareURI, objects.FirmwareUpdate, objects.FirmwareVersion,
			objects.FirmwareName, objects.FirmwareCancel,
		},
		OnWrite: f.write, OnExecute: f.execute,
	})
	return f, nil
}

// versions are those of the objects by which updates come. It is never changed.
var versions = map[uint16]string{objects.FirmwareID: "1.1", objects.AdvancedFirmwareID: "1.0"}

func (f *firmware) stored() (p progress) {
	if raw := f.l.nv.Get(progressKey); raw != nil {
		_ = json.Unmarshal(raw, &p) // the device wrote it itself
	}
	return p
}

// reload takes up what is stored, after a wipe.
func (f *firmware) reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop()
	f.now = f.stored()
	f.show()
}

// show puts the values into the object. The caller holds mu.
func (f *firmware) show() {
	entries := f.entries()
	for i := range f.target.components {
		base := f.baseOf(uint16(i))
		var own []lwm2m.Entry
		for _, e := range entries {
			if base.Contains(e.Path) {
				own = append(own, e)
			}
		}
		f.table.Replace(base, own...)
		if f.object() == objects.FirmwareID {
			return // there is but one, whatever the component is called
		}
	}
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
	f.show()
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

// versionOf returns what the manifest calls the version of what it installs: by
// set-version or in its text, or a name for its sequence number.
func versionOf(envelope []byte) string {
	e, err := suit.Decode(envelope, suit.Limits{})
	if err != nil {
		return ""
	}
	return versionIn(e, "")
}

// versionIn is versionOf for one component; "" stands for any.
func versionIn(e *suit.Envelope, id suit.ComponentID) string {
	m, err := e.Manifest()
	if err != nil {
		return ""
	}
	for _, text := range m.Text {
		for component, fields := range text.Components {
			if version := fields[suit.TextComponentVersion]; version != "" && (id == "" || id == component) {
				return version
			}
		}
	}
	if m.Version != nil {
		return m.Version.String()
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
		envelope, uri, instance := e.Value.Bytes(), e.Value.Text(), e.Path.ID(1)
		p := f.progress()
		switch {
		case instance != p.Instance && p.State != objects.FirmwareIdle && (len(envelope) > 0 || uri != ""):
			if err := f.conflict(p, instance); err != nil {
				return err
			}
		case p.State == objects.FirmwareUpdating:
			return client.ErrMethodNotAllowed
		case len(envelope) == 0 && uri == "":
			if err := f.cancel(objects.FirmwareInitial); err != nil {
				return err
			}
		case p.State != objects.FirmwareIdle:
			return client.ErrMethodNotAllowed
		case id == objects.FirmwarePackage:
			return f.push(ctx, envelope, instance)
		case len(uri) > math.MaxUint8:
			return client.ErrBadRequest
		default:
			return f.pull(uri, instance)
		}
	}
	return nil
}

// cancel ends what is under way.
func (f *firmware) cancel(result objects.FirmwareResult) error {
	f.mu.Lock()
	f.stop()
	f.mu.Unlock()
	changes := f.target.unstaged()
	changes[envelopeKey] = nil
	before := f.progress()
	return f.set(progress{Result: result, Instance: before.Instance, Linked: before.Linked}, changes)
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
	if n := p.ID(1); n != now.Instance && !slices.Contains(now.Linked, n) {
		return client.ErrMethodNotAllowed
	}
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
