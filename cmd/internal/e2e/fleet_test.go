package e2e_test

import (
	"bytes"
	"encoding/json"
	"sync"
	"testing"
)

// An event is what a device says of itself.
type event struct {
	Device string `json:"device"`
	Kind   string `json:"event"`
	Server string `json:"server"`
	State  string `json:"state"`
	Error  string `json:"error"`
}

// A fleet is the process of simulated devices. It survives its own process, as
// a provider does.
type fleet struct {
	*process

	args []string
	logs *tail

	mu     sync.Mutex
	rest   []byte  // of a line not ended yet
	events []event // of all processes
	watch  func(event)
}

// run starts the devices, or starts them again.
func (f *fleet) run(t *testing.T) {
	t.Helper()
	f.process = startWith(t, "devices", f.logs, f, f.args...)
}

// onEvent calls watch for each event from now on, while its device waits.
func (f *fleet) onEvent(watch func(event)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch = watch
}

// Write takes the process's stdout.
func (f *fleet) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rest = append(f.rest, p...)
	for {
		line, rest, whole := bytes.Cut(f.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		f.rest = rest
		var e event
		if json.Unmarshal(line, &e) != nil {
			continue // a line that a kill cut
		}
		f.events = append(f.events, e)
		_, _ = f.logs.Write(append(line, '\n')) // never fails
		if f.watch != nil {
			f.watch(e)
		}
	}
}

// happened returns the devices that had an event of the kind.
func (f *fleet) happened(kind string) map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]bool{}
	for _, e := range f.events {
		if e.Kind == kind {
			out[e.Device] = true
		}
	}
	return out
}
