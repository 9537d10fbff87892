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

	mu   sync.Mutex
	seen map[sim.Kind]map[string]sim.Event // the last event of each kind and device
}

// startFleet runs the devices of the bundles in dir/devices.
func startFleet(ctx context.Context, dir string, t Timers, show *screen) (*simulated, error) {
	f := &simulated{
		state: filepath.Join(dir, "device-state"), seen: map[sim.Kind]map[string]sim.Event{},
	}
	var err error
	f.process, err = start(ctx, dir, "devices",
		"device", "--json", "--state", f.state, "--ack-timeout", t.AckTimeout.String(),
		"--flight-interval", t.AckTimeout.String(), "--handshake-timeout", (8 * t.AckTimeout).String(),
		"--retry", t.Retry.String(), "--retry-max", (4 * t.Retry).String(), "--battery", "2s", "--tick", "250ms",
		"--keep-old-keys", filepath.Join(dir, "devices"))
	if err != nil {
		return nil, err
	}
	go f.watch(show)
	return f, nil
}

// watch takes the events until the process closes its stdout.
func (f *simulated) watch(show *screen) {
	for line := range f.process.lines {
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

func (f *simulated) stop() { f.process.stop() }
