package rollout_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit/rollout"
	"steward/suit/rollout/rolltest"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestTables(t *testing.T) {
	err := rollout.JobTable.Check(rollout.Planned, rollout.Done, rollout.Failed, rollout.Aborted, rollout.Incompatible)
	if err != nil {
		t.Error(err)
	}
	err = rollout.CampaignTable.Check(rollout.CampaignDraft, rollout.CampaignDone, rollout.CampaignAborted,
		rollout.CampaignFailed)
	if err != nil {
		t.Error(err)
	}
	if err := rollout.WaveTable.Check(rollout.WavePending, rollout.WavePassed, rollout.WaveCancelled); err != nil {
		t.Error(err)
	}
	for file, got := range map[string]string{
		"job":      rollout.JobTable.Mermaid(rollout.Planned),
		"campaign": rollout.CampaignTable.Mermaid(rollout.CampaignDraft),
		"wave":     rollout.WaveTable.Mermaid(rollout.WavePending),
	} {
		file = "testdata/" + file + ".mmd"
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || got != string(want) {
			t.Errorf("%s differs (%v); run go test -update and read the diff\n%s", file, err, got)
		}
	}
}

// A device is objects 3 and 5 with a will of its own.
type device struct {
	mu       sync.Mutex
	fw       objects.Firmware
	about    objects.Device
	version  string
	offline  int                   // calls that fail first
	fetched  func(d *device)       // what happens after a package or URI was written
	update   func(d *device)       // what happens after Update
	writes   map[lwm2m.Path]string // last value of each path
	began    []time.Time           // when a package or URI was written
	executed int
	refuses  bool          // answers everything with an error
	hangs    time.Duration // before a call fails
	asleep   int           // calls that find it so
}

func (d *device) call() error {
	if d.offline > 0 {
		d.offline--
		if d.hangs > 0 {
			hangs := d.hangs
			d.mu.Unlock()
			time.Sleep(hangs)
			d.mu.Lock()
		}
		return rollout.ErrUnreachable
	}
	if d.asleep > 0 {
		d.asleep--
		return fmt.Errorf("%w: until about noon", rollout.ErrAsleep)
	}
	if d.refuses {
		return fmt.Errorf("%w: 4.04", rollout.ErrRefused)
	}
	return nil
}

func (d *device) Read(_ context.Context, _ fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call(); err != nil {
		return nil, err
	}
	if p == lwm2m.NewPath(objects.DeviceID, 0) {
		return d.about.Entries(p), nil
	}
	if p.Object() == objects.DeviceID {
		return []lwm2m.Entry{{Path: p, Value: lwm2m.String(d.version)}}, nil
	}
	return d.fw.Entries(p), nil
}

func (d *device) Write(_ context.Context, _ fleet.ID, p lwm2m.Path, v lwm2m.Value) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call(); err != nil {
		return err
	}
	if d.writes == nil {
		d.writes = map[lwm2m.Path]string{}
	}
	d.writes[p] = v.Plain()
	if v.Plain() == "" {
		d.fw.State, d.fw.Result = objects.FirmwareIdle, objects.FirmwareInitial
		return nil
	}
	d.began = append(d.began, time.Now())
	if d.fetched != nil {
		d.fetched(d)
	}
	return nil
}

func (d *device) Execute(context.Context, fleet.ID, lwm2m.Path) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call(); err != nil {
		return err
	}
	if d.fw.State != objects.FirmwareDownloaded {
		return fmt.Errorf("%w: 4.05", rollout.ErrRefused)
	}
	d.executed++
	d.update(d)
	return nil
}

func (d *device) Observe(context.Context, fleet.ID, lwm2m.Path) error { return nil }

func staged(d *device)  { d.fw.State = objects.FirmwareDownloaded }
func success(d *device) { d.fw.State, d.fw.Result, d.version = 0, objects.FirmwareSuccess, "2.0" }
func result(r objects.FirmwareResult) func(*device) {
	return func(d *device) { d.fw.State, d.fw.Result = objects.FirmwareIdle, r }
}

// once does first at the first call, and then at the others.
func once(first, then func(*device)) func(*device) {
	n := 0
	return func(d *device) {
		if n++; n > 1 {
			then(d)
			return
		}
		first(d)
	}
}

func nothing(*device) {}

func downloads(d *device) { d.fw.State = objects.FirmwareDownloading }

func TestRunner(t *testing.T) {
	tests := []struct {
		name     string
		device   device
		delivery rollout.Delivery
		want     rollout.JobState
		executed int
	}{
		{"push", device{fetched: staged, update: success}, rollout.Push, rollout.Done, 1},
		{"pull", device{fetched: staged, update: success}, rollout.Pull, rollout.Done, 1},
		{"silent at first", device{fetched: staged, update: success, offline: 5}, rollout.Push, rollout.Done, 1},
		{"sleeps for days", device{fetched: staged, update: success, asleep: 300}, rollout.Push, rollout.Done, 1},
		{"left over from before", device{
			fw: objects.Firmware{State: objects.FirmwareDownloaded}, fetched: staged, update: success,
		}, rollout.Push, rollout.Done, 1},
		{
			"bad signature",
			device{fetched: result(objects.FirmwareIntegrity), update: success},
			rollout.Push, rollout.Failed, 0,
		},
		{
			"connection lost once",
			device{fetched: once(result(objects.FirmwareConnectionLost), staged), update: success},
			rollout.Pull, rollout.Done, 1,
		},
		{
			"puts it off once",
			device{fetched: staged, update: once(result(objects.FirmwareDeferred), success)},
			rollout.Push, rollout.Done, 2,
		},
		{"downloads for ever", device{fetched: downloads}, rollout.Pull, rollout.Failed, 0},
		{
			"install fails",
			device{fetched: staged, update: result(objects.FirmwareFailed)},
			rollout.Push, rollout.Failed, 1,
		},
		{"install fails, staged image kept", device{fetched: staged, update: func(d *device) {
			d.fw.Result = objects.FirmwareFailed
		}}, rollout.Push, rollout.Failed, 1},
		{"success with the old version", device{fetched: staged, version: "1.0", update: func(d *device) {
			success(d)
			d.version = "1.0"
		}}, rollout.Push, rollout.Failed, 1},
		{"never answers", device{offline: 1 << 30}, rollout.Push, rollout.Failed, 0},
		{"has no object 5", device{refuses: true}, rollout.Push, rollout.Failed, 0},
		{"forgets once", device{fetched: once(nothing, staged), update: success}, rollout.Pull, rollout.Done, 1},
		{"forgets always", device{fetched: nothing}, rollout.Pull, rollout.Failed, 0},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testRunner(t, &tt.device, tt.delivery, tt.want, tt.executed) })
		})
	}
}

func testRunner(t *testing.T, d *device, delivery rollout.Delivery, want rollout.JobState, executed int) {
	t.Helper()
	w := newWorld(t, rollout.RunnerOptions{}, map[fleet.ID]*device{"a": d})
	w.start(rollout.Draft{Delivery: delivery})
	time.Sleep(4 * 24 * time.Hour) // of the bubble's clock
	w.kill()
	j, c := w.job("a"), w.campaign()
	if j.State != want {
		t.Errorf("job = %+v, want %s", j, want)
	}
	end := rollout.CampaignDone
	if want != rollout.Done {
		end = rollout.CampaignFailed
	}
	if c.State != end {
		t.Errorf("campaign is %s, %s; want %s", c.State, c.Reason, end)
	}
	if d.executed != executed {
		t.Errorf("Update executed %d times, want %d", d.executed, executed)
	}
	if got := d.writes[lwm2m.NewPath(5, 0, 1)]; delivery == rollout.Pull && want == rollout.Done &&
		got != "coaps://h/update/e/r" {
		t.Errorf("URI written: %q", got)
	}
}

// A world is a Runner with a store and devices, in a bubble.
type world struct {
	t       *testing.T
	store   *rolltest.Store
	devices map[fleet.ID]*device
	o       rollout.RunnerOptions
	*rollout.Runner

	kill func() // ends the Runner
}

func newWorld(t *testing.T, o rollout.RunnerOptions, devices map[fleet.ID]*device) *world {
	t.Helper()
	w := &world{t: t, store: &rolltest.Store{}, devices: devices, o: o}
	w.o.Store, w.o.Devices = w.store, w
	w.o.URI = func(id string) string { return rollout.EnvelopeURI("coaps://h", id) }
	w.release("r", 2)
	for id := range devices {
		w.store.Know(rollout.Candidate{
			Device: id, Endpoint: "ep-" + string(id), Ownership: fleet.Owned, Model: "m", Registered: true,
		})
	}
	w.run()
	t.Cleanup(func() { w.kill() })
	return w
}

func (w *world) release(id string, sequence uint64) {
	w.t.Helper()
	err := w.store.AddRelease(w.t.Context(), rollout.Release{
		ID: id, Version: "2.0", Sequence: sequence, State: rollout.ReleaseApproved, Class: "c",
	}, rollout.Content{Push: []byte("push"), Pull: []byte("pull"), Image: []byte("image")})
	if err != nil {
		w.t.Fatal(err)
	}
}

// run starts a Runner on the store, as after a restart.
func (w *world) run() {
	w.t.Helper()
	r, err := rollout.NewRunner(w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Runner = r
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	w.kill = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
}

// start drafts, submits and approves a campaign of release r called c for all
// devices, unless d says otherwise.
func (w *world) start(d rollout.Draft) {
	w.t.Helper()
	if d.ID == "" {
		d.ID = "c"
	}
	if d.Release == "" {
		d.Release = "r"
	}
	if d.Delivery == "" {
		d.Delivery = rollout.Push
	}
	if d.Devices == nil && d.Plan.Filter == nil {
		d.Snapshot = &rollout.Filter{}
	}
	d.Name, d.By = d.ID, "ann"
	if _, err := w.Start(w.t.Context(), d); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) campaign() rollout.Campaign {
	w.t.Helper()
	c, err := w.store.Campaign(w.t.Context(), "c")
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// job returns the device's job in campaign c.
func (w *world) job(id fleet.ID) rollout.Line {
	w.t.Helper()
	for _, l := range w.lines("c") {
		if l.Device == id {
			return l
		}
	}
	w.t.Fatalf("no job of %s", id)
	return rollout.Line{}
}

func (w *world) lines(campaign string) []rollout.Line {
	w.t.Helper()
	lines, err := w.store.Lines(w.t.Context(), campaign, rollout.Job{}, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	return lines
}

func (w *world) device(id fleet.ID) *device { return w.devices[id] }

// Read implements rollout.Devices.
func (w *world) Read(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	return w.device(id).Read(ctx, id, p)
}

// Write implements rollout.Devices.
func (w *world) Write(ctx context.Context, id fleet.ID, p lwm2m.Path, v lwm2m.Value) error {
	return w.device(id).Write(ctx, id, p, v)
}

// Execute implements rollout.Devices.
func (w *world) Execute(ctx context.Context, id fleet.ID, p lwm2m.Path) error {
	return w.device(id).Execute(ctx, id, p)
}

// Observe implements rollout.Devices.
func (w *world) Observe(ctx context.Context, id fleet.ID, p lwm2m.Path) error {
	return w.device(id).Observe(ctx, id, p)
}
