package coordinator_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/audit"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// The faults of one exchange.
const (
	faultNone    = iota
	faultRequest // the request is lost
	faultAnswer  // it is performed, and the answer is lost
	faultTwice   // it is performed twice
	faultHeld    // nobody answers, and the request comes 20 s later
	faultOff     // the device loses its power for three times its grace
	faultCrash   // it is performed, and the provider that asked crashes
	faultKinds
)

var faultNames = []string{"none", "request lost", "answer lost", "twice", "held", "device off", "crash"}

// faults counts exchanges, and makes one of them go wrong.
type faults struct {
	tb    testing.TB
	mu    sync.Mutex
	seen  []string
	wrong int // which; counted from 1
	kind  int
}

// at says what happens to the exchange that begins.
func (f *faults) at(p *provider, name string) int {
	if f == nil {
		return faultNone
	}
	f.mu.Lock()
	f.seen = append(f.seen, p.name+": "+name)
	hit := len(f.seen) == f.wrong
	f.mu.Unlock()
	switch {
	case !hit:
		return faultNone
	case f.kind == faultCrash:
		go func() {
			p.stop()
			time.Sleep(3 * time.Second)
			p.open(f.tb)
			p.start()
		}()
		return faultAnswer
	default:
		return f.kind
	}
}

// outcome is where the device has ended, or "" if that is not exactly one provider.
func (w *world) outcome(tb testing.TB, id string) string {
	tb.Helper()
	out, in := w.alpha.states(tb, id), w.beta.states(tb, id)
	s, at := w.devices[0].state()
	ended := func(states map[transfer.RowState]int) bool {
		return states[transfer.RowAborted]+states[transfer.RowExpired] == 1
	}
	switch {
	case s.State == transfer.Finalised && at == w.beta && out[transfer.RowRevokedOld]+in[transfer.RowRevokedOld] == 2:
		w.gone(tb, w.devices[0], w.alpha)
		return "moved"
	case s.State == transfer.FellBack && at == w.alpha && out[transfer.RowFellBack]+in[transfer.RowFellBack] == 2:
		w.gone(tb, w.devices[0], w.beta)
		return "fell back"
	case s.State.AtRest() && at == w.alpha && ended(out) && ended(in):
		return "stays"
	}
	return ""
}

// run is a hand-over of one device with a fault.
func (f *faults) run(t *testing.T, prepare func(*world)) (outcome string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		prepare(w)
		f.tb = t
		w.submitted = func() { w.faults.Store(f) }
		w.start(t)
		id := w.handOver(t)
		for range 180 { // minutes: then the window and all graces are over
			time.Sleep(time.Minute)
			if outcome = w.outcome(t, id); outcome != "" {
				break
			}
		}
		time.Sleep(5 * time.Minute) // what was held back or switched off is there again
		if outcome = w.outcome(t, id); outcome == "" {
			s, at := w.devices[0].state()
			t.Errorf("the device is %s at %v; %v at Alpha, %v at Beta", s.State, at, w.alpha.states(t, id), w.beta.states(t, id))
			w.explain(t, w.alpha, id)
			w.explain(t, w.beta, id)
		}
	})
	return outcome
}

// TestT25EveryFaultAtEveryStep lets each exchange of a hand-over go wrong in each way,
// and of one that leads back: the device ends at exactly one provider (I1). The matrix
// of outcomes is printed. It is of row T25 of the transfer protocol (§9).
func TestT25EveryFaultAtEveryStep(t *testing.T) {
	for _, way := range []struct {
		name    string
		prepare func(*world)
	}{
		{"through", func(*world) {}},
		{"back", func(w *world) { w.beta.noDM = true }},
	} {
		t.Run(way.name, func(t *testing.T) {
			clean := &faults{}
			clean.run(t, way.prepare)
			var matrix strings.Builder
			times := map[string]int{}
			for n, step := range clean.seen {
				if times[step]++; times[step] > 2 { // polling
					continue
				}
				fmt.Fprintf(&matrix, "%2d %-26s", n+1, step)
				for kind := faultRequest; kind < faultKinds; kind++ {
					t.Run(fmt.Sprintf("%d %s, %s", n+1, step, faultNames[kind]), func(t *testing.T) {
						f := &faults{wrong: n + 1, kind: kind}
						fmt.Fprintf(&matrix, " %s: %-9s", faultNames[kind], f.run(t, way.prepare))
					})
				}
				matrix.WriteString("\n")
			}
			t.Logf("%d steps\n%s", len(clean.seen), &matrix)
		})
	}
}

// TestT26OffInEachState takes the device's power for three times its grace in each state
// from COMMITTED on: it ends at exactly one provider. It is of row T26 of the transfer protocol (§9).
func TestT26OffInEachState(t *testing.T) {
	back := func(w *world) { w.beta.noDM = true }
	for _, tt := range []struct {
		state   transfer.DeviceState
		prepare func(*world)
	}{
		{transfer.Committed, func(*world) {}},
		{transfer.Attest, func(w *world) { w.attest = true }},
		{transfer.Enrolling, func(*world) {}},
		{transfer.Register, func(*world) {}},
		{transfer.Done, func(*world) {}},
		{transfer.Finalised, func(*world) {}},
		{transfer.InFall, back},
		{transfer.FellBack, back},
	} {
		t.Run(string(tt.state), func(t *testing.T) {
			var d *device
			got := (&faults{}).run(t, func(w *world) {
				tt.prepare(w)
				d = w.devices[0]
				d.offIn = tt.state
			})
			if !d.wasOff {
				t.Errorf("the device was never %s", tt.state)
			}
			t.Logf("%s: %s", tt.state, got)
		})
	}
}

// TestHeldCommit lets the network keep Commit until the window is over and Alpha has
// closed the row, and hands it to the device just before Abort: the device commits, finds
// its right deleted, and returns.
func TestHeldCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.earliest = time.Now().Add(time.Hour - time.Minute)
		var held func() error
		w.filter = func(name string, perform func() error) (bool, error) {
			switch name {
			case "execute 42771/1":
				held = perform
				time.Sleep(10 * time.Second)
				return true, coordinator.ErrUnreachable
			case "execute 42771/2":
				if held != nil {
					check(t, held())
				}
				held = nil
				return true, coordinator.ErrUnreachable
			}
			return false, nil
		}
		w.start(t)
		id := w.handOver(t)
		until(t, 2*time.Hour, "closed", func() bool { // and perhaps opened again by what was held
			return slices.ContainsFunc(w.alpha.store.Rows(), func(r audit.Row) bool {
				return r.Action == "transfer.device" && r.After == string(transfer.RowExpired)
			})
		})
		time.Sleep(30 * time.Minute)
		s, at := w.devices[0].state()
		if s.State != transfer.FellBack || at != w.alpha || w.alpha.states(t, id)[transfer.RowFellBack] != 1 {
			t.Errorf("the device is %s at %v; %v", s.State, at, w.alpha.states(t, id))
			w.explain(t, w.alpha, id)
		}
		w.gone(t, w.devices[0], w.beta)
	})
}

// TestUnknownAfterTheWindow loses Commit and hears nothing of the device until everything
// is over: it is in READY still, and its row ends.
func TestUnknownAfterTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.filter = func(name string, _ func() error) (bool, error) {
			if name == "execute 42771/1" {
				w.devices[0].offFor(5 * time.Hour)
				return true, coordinator.ErrUnreachable
			}
			return false, nil
		}
		w.start(t)
		id := w.handOver(t)
		time.Sleep(4 * time.Hour)
		if got := w.alpha.states(t, id)[transfer.RowUnknown]; got != 1 {
			t.Errorf("%v at Alpha, want UNKNOWN", w.alpha.states(t, id))
		}
		time.Sleep(3 * time.Hour)
		if got := w.alpha.states(t, id)[transfer.RowExpired]; got != 1 {
			t.Errorf("%v at Alpha, want EXPIRED", w.alpha.states(t, id))
			w.explain(t, w.alpha, id)
		}
	})
}
