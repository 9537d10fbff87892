package rollout_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/machine/machinetest"
	"steward/objects"
	"steward/suit/rollout"
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
		machinetest.Golden(t, "testdata/"+file+".mmd", got, *update)
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
