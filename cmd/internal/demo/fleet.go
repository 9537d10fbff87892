package demo

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"steward/cmd/internal/sim"
)

// A simulated is the process of simulated devices, and what its devices said.
type simulated struct {
	process *process
	state   string // directory of the devices' state
	args    []string
	dir     string
	show    *screen

	mu   sync.Mutex
	seen map[sim.Kind]map[string]sim.Event // the last event of each kind and device
}

// ownMemory is for how many devices one disk is as good as a memory of their own for
// each. Of more, what they write is there after the crash of a process all the same, and no
// fault here cuts the machine's power.
const ownMemory = 100

// startFleet runs the devices of the bundles.
func (d *demo) startFleet(ctx context.Context) error {
	t := d.o.Timers
	if t.Handshake == 0 {
		t.Handshake = 8 * t.AckTimeout
	}
	f := &simulated{
		state: filepath.Join(d.dir, "device-state"), seen: map[sim.Kind]map[string]sim.Event{}, dir: d.dir, show: d.show,
	}
	f.args = []string{
		"device", "--json", "--state", f.state, "--ack-timeout", t.AckTimeout.String(),
		"--flight-interval", t.AckTimeout.String(), "--handshake-timeout", t.Handshake.String(),
		"--retry", t.Retry.String(), "--retry-max", (4 * t.Retry).String(), "--battery", "2s", "--tick", "250ms",
		"--keep-old-keys", filepath.Join(d.dir, "devices"),
	}
	if d.o.Devices > ownMemory {
		f.args = append(f.args, "--no-sync")
	}
	f.args = append(f.args, d.deviceEncoding()...)
	if d.fault.name == faultRAReject {
		f.args = append(f.args, "--tamper")
	}
	d.fleet = f
	return f.start(ctx)
}

func (f *simulated) start(ctx context.Context, more ...string) (err error) {
	f.process, err = start(ctx, f.dir, "devices", append(slices.Clone(f.args), more...)...)
	if err == nil {
		go f.watch(f.process, f.show)
	}
	return err
}

// restart stops the devices in order, and starts them with other flags besides.
func (f *simulated) restart(ctx context.Context, more ...string) error {
	f.process.stop()
	return f.start(ctx, more...)
}

// crash kills the devices, all at once, and starts them again from their memory.
func (f *simulated) crash(ctx context.Context) error {
	f.process.kill()
	return f.start(ctx)
}

// watch takes the events until the process closes its stdout.
func (f *simulated) watch(p *process, show *screen) {
	for line := range p.lines {
		var e sim.Event
		if json.Unmarshal([]byte(line), &e) != nil {
			continue // not an event
		}
		f.mu.Lock()
		if f.seen[e.Kind] == nil {
			f.seen[e.Kind] = map[string]sim.Event{}
		}
		f.seen[e.Kind][e.Device] = e
		f.mu.Unlock()
		show.device(e.Device, describe(e))
	}
}

// describe is an event in a few words.
func describe(e sim.Event) string {
	parts := []string{string(e.Kind), e.Server, e.Version, e.Detail, e.Error}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// count returns how many devices had an event of the kind.
func (f *simulated) count(k sim.Kind) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen[k])
}

func (f *simulated) stop() {
	if f.process != nil {
		f.process.stop()
	}
}
