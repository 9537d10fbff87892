package enrol_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/enrol"
	"steward/est/enrol/enroltest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
)

const (
	object = 42770
	day    = 24 * time.Hour
)

func sum(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

// A device is what the world knows of one.
type device struct {
	asleep   bool
	lacks    bool  // object Enrolment
	fails    error // of Execute
	ignores  bool  // agrees, and does nothing
	unused   bool  // renews, and does not use what it gets
	says     objects.EnrolmentFault
	origin   int64
	asked    []time.Time
	args     []string
	cert     est.Hash // in use
	ends     time.Time
	lifetime time.Duration

	permanent string // URI of its permanent CA
}

// A world is devices, an authority and a Store around Runners.
type world struct {
	t *testing.T

	enroltest.Store

	mu      sync.Mutex
	devices map[fleet.ID]*device
	left    map[fleet.ID]bool
	records map[est.Hash]est.Record
	serial  uint64
	runner  *enrol.Runner
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{
		t: t, devices: map[fleet.ID]*device{}, left: map[fleet.ID]bool{}, records: map[est.Hash]est.Record{},
	}
}

// start runs a Runner until stop is called.
func (w *world) start(o enrol.RunnerOptions) (stop func()) {
	w.t.Helper()
	if o.Store == nil {
		o.Store = &w.Store
	}
	o.Devices, o.Fleet, o.Inventory, o.Object = w, whose{w}, w, object
	r, err := enrol.NewRunner(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.runner = r
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			w.t.Errorf("Run = %v", err)
		}
	}()
	return func() { cancel(); <-done }
}

// add enrols a new device for the first time.
func (w *world) add(lifetime time.Duration) (fleet.ID, *device) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := fleet.ID(fmt.Sprintf("d%06d", len(w.devices)))
	d := &device{lifetime: lifetime, origin: objects.KeyOriginPermanent, permanent: "coaps://factory"}
	w.devices[id] = d
	w.issue(id, d, false)
	return id, d
}

// issue is /sen or /sren, and the first use of what it gave unless d.unused.
func (w *world) issue(id fleet.ID, d *device, renews bool) {
	w.serial++
	before := d.cert
	h := sum(binary.BigEndian.AppendUint64(nil, w.serial))
	now := time.Now()
	rec := est.Record{Hash: h, Status: est.StatusValid, NotAfter: now.Add(d.lifetime), IssuedAt: now}
	if !d.unused {
		if old, ok := w.records[d.cert]; ok && renews {
			old.Status, old.Reason = est.StatusRevoked, est.Superseded
			w.records[d.cert] = old
		}
		d.cert, d.ends, rec.UsedAt = h, rec.NotAfter, now
	}
	if renews {
		rec.Supersedes = before
	}
	w.records[h] = rec
	w.Issue(enrol.Issuance{
		Device: id, Certificate: h, Profile: "operational", IssuedAt: now, NotAfter: rec.NotAfter, Renews: renews,
	})
	if w.runner != nil {
		w.runner.Issued()
		w.runner.Wake(id)
	}
}

// Listens implements enrol.Devices.
func (w *world) Listens(id fleet.ID) (bool, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.devices[id].asleep, time.Time{}
}

// Instances implements enrol.Devices.
func (w *world) Instances(_ context.Context, id fleet.ID, _ uint16) ([]uint16, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.devices[id].lacks {
		return nil, nil
	}
	return []uint16{0}, nil
}

// Read implements enrol.Devices.
func (w *world) Read(_ context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.devices[id]
	return objects.Enrolment{
		URI: "coaps://x/est", Error: int64(d.says), KeyOrigin: &d.origin, PermanentURI: d.permanent,
	}.Entries(p), nil
}

// Execute implements enrol.Devices: the device renews a second later.
func (w *world) Execute(_ context.Context, id fleet.ID, p lwm2m.Path, args string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p != lwm2m.NewPath(object, 0, objects.EnrolmentEnrol) {
		w.t.Errorf("Execute %v", p)
	}
	d := w.devices[id]
	if d.asleep {
		w.t.Errorf("%s was asked while asleep", id)
	}
	d.asked, d.args = append(d.asked, time.Now()), append(d.args, args)
	if d.fails != nil || d.ignores {
		return d.fails
	}
	time.AfterFunc(time.Second, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if args == "1" {
			d.origin = objects.KeyOriginDevice
			return
		}
		w.issue(id, d, true)
	})
	return nil
}

// Lookup implements enrol.Inventory.
func (w *world) Lookup(_ context.Context, h est.Hash) (est.Record, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rec, ok := w.records[h]
	if !ok {
		return rec, est.ErrUnknown
	}
	return rec, nil
}

// whose implements enrol.Fleet.
type whose struct{ w *world }

func (f whose) Device(_ context.Context, id fleet.ID) (fleet.Device, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	d := fleet.Device{ID: id, Ownership: fleet.Owned}
	if f.w.left[id] {
		d.Ownership = fleet.Left
	}
	return d, nil
}

// set changes the world.
func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// wakes has a device that slept send something.
func (w *world) wakes(id fleet.ID) {
	w.set(func() { w.devices[id].asleep = false })
	w.runner.Wake(id)
}

// state returns how a device stands once all is quiet.
func (w *world) state(id fleet.ID) enrol.Enrolment {
	w.t.Helper()
	synctest.Wait()
	e, err := w.Enrolment(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// events returns the actions of a device's audit rows.
func (w *world) events(id fleet.ID) (out []string) {
	for _, r := range w.Rows() {
		if r.Subject == string(id) {
			out = append(out, r.Action[len("enrolment."):])
		}
	}
	return out
}

func (w *world) wantEvents(id fleet.ID, want ...string) {
	w.t.Helper()
	synctest.Wait()
	if got := w.events(id); !slices.Equal(got, want) {
		w.t.Errorf("events of %s = %v, want %v", id, got, want)
	}
}
