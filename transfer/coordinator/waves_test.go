package coordinator_test

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"steward/transfer"
)

// TestWaves lets a tenth of the devices go first; the others follow when those have
// arrived, and not at all if they have not.
func TestWaves(t *testing.T) {
	const devices, first = 30, 3
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, devices)
			w.beta.closed = closed
			w.start(t)
			id := w.handOver(t)
			time.Sleep(time.Minute)
			most, arrived := 0, 0
			for _, row := range w.alpha.store.Rows() {
				switch {
				case row.Action != "transfer.device":
				case row.After == string(transfer.RowCommitted) && arrived < first:
					most++
				case row.After == string(transfer.RowRevokedOld):
					arrived++
				}
			}
			if most != first {
				t.Errorf("%d devices were told before the first %d had arrived", most, first)
			}
			if !closed {
				time.Sleep(5 * time.Minute)
				w.moved(t, id)
				return
			}
			until(t, 20*time.Minute, "paused", func() bool {
				got, _ := w.alpha.store.Transfer(t.Context(), id)
				return got.Paused
			})
			time.Sleep(5 * time.Minute)
			want := map[transfer.RowState]int{transfer.RowReady: devices - first, transfer.RowFellBack: first}
			if got := w.alpha.states(t, id); !maps.Equal(got, want) {
				t.Errorf("Alpha has %v, want %v", got, want)
				w.explain(t, w.alpha, id)
			}
		})
	}
}

// TestSilentWave has the first devices lose their power when they have committed: the
// others wait for a person, and then no longer.
func TestSilentWave(t *testing.T) {
	const devices, first = 30, 3
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, devices)
		for _, d := range w.devices {
			d.offIn = transfer.Committed
		}
		w.start(t)
		id := w.handOver(t)
		until(t, 5*time.Minute, "gone", func() bool {
			gone := 0
			for _, d := range w.devices {
				if d.powerless() {
					gone++
				}
			}
			return gone == first && w.alpha.states(t, id)[transfer.RowCommitted] == first
		})
		for _, d := range w.devices {
			d.mu.Lock()
			d.offIn = ""
			d.mu.Unlock()
		}
		// Who resumes accepts what has failed by then: the first that is unheard of pauses,
		// and so would the others after that, although all are due at the same moment.
		until(t, 5*time.Minute, "paused, all given up", func() bool {
			got, _ := w.alpha.store.Transfer(t.Context(), id)
			return got.Paused && w.alpha.states(t, id)[transfer.RowOrphanRisk] == first
		})
		if got := w.alpha.states(t, id); got[transfer.RowReady] != devices-first {
			t.Errorf("before the first are heard of: %v", got)
		}
		_, err := w.alpha.coordinator().Resume(t.Context(), id, "operator:alice", "they are in a store")
		check(t, err)
		until(t, 3*testGrace/4, "the others have moved", func() bool {
			return w.alpha.states(t, id)[transfer.RowRevokedOld] == devices-first
		})
		if got := w.alpha.states(t, id)[transfer.RowOrphanRisk]; got != first {
			t.Errorf("%v at Alpha: the test has waited for the first", w.alpha.states(t, id))
		}
		time.Sleep(10 * time.Minute)
		w.moved(t, id)
	})
}
