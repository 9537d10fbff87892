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
