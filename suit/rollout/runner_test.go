package rollout_test

import (
	"context"
	"errors"
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
	if err := rollout.JobTable.Check(rollout.Queued, rollout.Done, rollout.Failed, rollout.Aborted); err != nil {
		t.Error(err)
	}
	err := rollout.CampaignTable.Check(rollout.CampaignDraft, rollout.CampaignDone, rollout.CampaignAborted,
		rollout.CampaignFailed)
	if err != nil {
		t.Error(err)
	}
	if err := rollout.WaveTable.Check(rollout.WavePending, rollout.WavePassed, rollout.WaveCancelled); err != nil {
		t.Error(err)
	}
	got := rollout.JobTable.Mermaid(rollout.Queued)
	if *update {
		if err := os.WriteFile("testdata/job.mmd", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/job.mmd")
	if err != nil || got != string(want) {
		t.Errorf("testdata/job.mmd differs (%v); run go test -update and read the diff\n%s", err, got)
	}
}

// A device is object 5 with a will of its own.
type device struct {
	mu       sync.Mutex
	fw       objects.Firmware
	version  string
	offline  int                   // calls that fail first
	fetched  func(d *device)       // what happens after a package or URI was written
	update   func(d *device)       // what happens after Update
	writes   map[lwm2m.Path]string // last value of each path
	executed int
}

func (d *device) call() error {
	if d.offline > 0 {
		d.offline--
		return rollout.ErrUnreachable
	}
	return nil
}

func (d *device) Read(_ context.Context, _ fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call(); err != nil {
		return nil, err
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
	d.fetched(d)
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
		{"left over from before", device{
			fw: objects.Firmware{State: objects.FirmwareDownloaded}, fetched: staged, update: success,
		}, rollout.Push, rollout.Done, 1},
		{
			"bad signature",
			device{fetched: result(objects.FirmwareIntegrity), update: success},
			rollout.Push, rollout.Failed, 0,
		},
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
		{"forgets once", device{fetched: func() func(*device) {
			n := 0
			return func(d *device) {
				if n++; n > 1 {
					staged(d)
				}
			}
		}(), update: success}, rollout.Pull, rollout.Done, 1},
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
	store := &rolltest.Store{}
	start(t, store, delivery, "a")
	r, err := rollout.NewRunner(rollout.RunnerOptions{
		Store: store, Devices: d, URI: func(id string) string { return rollout.EnvelopeURI("coaps://h", id) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	time.Sleep(24 * time.Hour) // of the bubble's clock
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	c, jobs, err := store.Campaign(t.Context(), "c")
	if err != nil || jobs[0].State != want {
		t.Errorf("job = %+v, %v; want %s", jobs, err, want)
	}
	if c.State != rollout.Ended {
		t.Errorf("campaign is %s, want ended", c.State)
	}
	if d.executed != executed {
		t.Errorf("Update executed %d times, want %d", d.executed, executed)
	}
	if got := d.writes[lwm2m.NewPath(5, 0, 1)]; delivery == rollout.Pull && got != "coaps://h/update/e/r" {
		t.Errorf("URI written: %q", got)
	}
}

// start stores a release and a campaign of it for devices.
func start(t *testing.T, s rollout.Store, delivery rollout.Delivery, devices ...fleet.ID) {
	t.Helper()
	now := time.Now()
	err := s.AddRelease(t.Context(), rollout.Release{ID: "r", Version: "2.0", Sequence: 2, State: rollout.ReleaseApproved},
		rollout.Content{Push: []byte("push"), Pull: []byte("pull"), Image: []byte("image")})
	var jobs []rollout.Job
	for _, d := range devices {
		jobs = append(jobs, rollout.Job{Campaign: "c", Device: d, State: rollout.Queued, Due: now})
	}
	c := rollout.Campaign{ID: "c", Release: "r", Delivery: delivery, State: rollout.Running}
	if err := errors.Join(err, s.AddCampaign(t.Context(), c, jobs)); err != nil {
		t.Fatal(err)
	}
}
