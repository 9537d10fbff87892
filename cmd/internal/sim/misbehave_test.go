package sim_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/lwm2m"
	"steward/objects"
)

func TestMisbehaviourChoosesDevices(t *testing.T) {
	t.Parallel()
	all, err := sim.ParseFaults("timeout,wrong-result,reboot,sleep,defer")
	if err != nil {
		t.Fatal(err)
	}
	m := sim.Misbehaviour{Faults: all, Share: 0.05, Seed: 7}
	const devices = 20000
	counts := map[sim.Fault]int{}
	for i := range devices {
		name := fmt.Sprintf("urn:dev:os:%d", i)
		fault := m.Of(name)
		counts[fault]++
		if again := m.Of(name); again != fault {
			t.Fatalf("Of(%s) = %s, then %s", name, fault, again)
		}
	}
	bad := devices - counts[""]
	if share := float64(bad) / devices; math.Abs(share-m.Share) > 0.01 {
		t.Errorf("%.3f of the devices misbehave, want %.2f", share, m.Share)
	}
	for _, fault := range all {
		if n := counts[fault]; n < bad/10 || n > bad*3/10 {
			t.Errorf("%d of %d have fault %s", n, bad, fault)
		}
	}
	if none := (&sim.Misbehaviour{Share: 1}).Of("x"); none != "" {
		t.Errorf("no faults: %q", none)
	}
	if _, err := sim.ParseFaults("sleep,explode"); !errors.Is(err, sim.ErrOptions) {
		t.Errorf("ParseFaults = %v, want %v", err, sim.ErrOptions)
	}
}

func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault   sim.Fault
		pull    bool
		updated bool
	}{
		{sim.FaultTimeout, false, false},
		{sim.FaultTimeout, true, false},
		{sim.FaultWrongResult, false, false},
		{sim.FaultReboot, false, true},
		{sim.FaultReboot, true, true},
		{sim.FaultSleep, false, true},
		{sim.FaultDefer, true, true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s, pull %v", tt.fault, tt.pull), func(t *testing.T) {
			t.Parallel()
			alpha, f := newProvider(t, "alpha"), newFactory(t)
			dir := t.TempDir()
			b, o := f.device(endpoint, alpha), options(dir)
			o.Misbehave = sim.Misbehaviour{Faults: []sim.Fault{tt.fault}, Share: 1, For: 300 * time.Millisecond}
			r := start(t, b, o)
			r.await(sim.Registered)
			path, value := firmwarePackage, lwm2m.Opaque(manifest(t, alpha.suit, "2.0.0", 2, ""))
			if tt.pull {
				alpha.mu.Lock()
				alpha.payloads["image"] = image
				alpha.payloads["envelope"] = manifest(t, alpha.suit, "2.0.0", 2, alpha.uri()+"/update/p/image")
				alpha.mu.Unlock()
				path, value = firmwareURI, lwm2m.String(alpha.uri()+"/update/e/envelope")
			}
			alpha.lead(path, value, func(p *provider, state objects.FirmwareState, result objects.FirmwareResult) bool {
				if tt.fault == sim.FaultTimeout {
					return state == objects.FirmwareDownloading
				}
				return state == objects.FirmwareIdle && result != objects.FirmwareInitial
			})
			r.await(sim.Misbehaving)
			if tt.updated {
				checkUpdated(t, alpha, dir, b, "2.0.0")
				return
			}
			if got := alpha.read(endpoint, lwm2m.NewPath(3, 0, 3)).Text(); got != "1.0.0" {
				t.Errorf("read /3/0/3 = %q, want the old version", got)
			}
		})
	}
}

// lead takes a device through an update as a campaign does, by what the device
// says of itself, until over says that it has gone far enough; nil: until it is
// updated.
func (p *provider) lead(
	path lwm2m.Path, value lwm2m.Value, over func(*provider, objects.FirmwareState, objects.FirmwareResult) bool,
) {
	p.t.Helper()
	if over == nil {
		_ = p.write(path.Prefix(2).Child(objects.FirmwareURI), lwm2m.String("")) // what was before
		over = func(_ *provider, state objects.FirmwareState, result objects.FirmwareResult) bool {
			return state == objects.FirmwareIdle && result == objects.FirmwareSuccess
		}
	}
	for {
		state, _ := p.read(endpoint, path.Prefix(2).Child(objects.FirmwareStateID)).Int()
		result, _ := p.read(endpoint, path.Prefix(2).Child(objects.FirmwareResultID)).Int()
		if over(p, objects.FirmwareState(state), objects.FirmwareResult(result)) {
			return
		}
		switch objects.FirmwareState(state) {
		case objects.FirmwareIdle:
			_ = p.write(path, value) // the answer may be lost
		case objects.FirmwareDownloaded:
			if objects.FirmwareResult(result) != objects.FirmwareDeferred {
				_ = p.srv.Execute(p.t.Context(), endpoint, path.Prefix(2).Child(objects.FirmwareUpdate), "") // likewise
			}
		case objects.FirmwareDownloading, objects.FirmwareUpdating:
		}
		p.pause()
	}
}
