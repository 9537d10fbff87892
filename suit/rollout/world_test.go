package rollout_test

import (
	"context"
	"sync"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/suit/rollout/rolltest"
)

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
