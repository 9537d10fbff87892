package coordinator_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// A counting is a Fleet and a Store that count what waking a device costs.
type counting struct {
	coordinator.Store
	coordinator.Fleet

	devices, rows atomic.Int64
}

func (c *counting) Device(ctx context.Context, id fleet.ID) (fleet.Device, error) {
	c.devices.Add(1)
	return c.Fleet.Device(ctx, id)
}

func (c *counting) OpenRows(ctx context.Context, f fleet.Factory) ([]coordinator.Row, error) {
	c.rows.Add(1)
	return c.Store.OpenRows(ctx, f)
}

// What devices do that are in no transfer, or whose transfer is over, is not looked
// up anywhere; devices in one are.
func TestOnlyDevicesInTransfers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		var n *counting
		w.alpha.change = func(o *coordinator.Options) {
			n = &counting{Store: o.Store, Fleet: o.Fleet}
			o.Store, o.Fleet = n, n
		}
		w.alpha.open(t)
		w.start(t)
		wake := func(id fleet.ID) int64 {
			t.Helper()
			synctest.Wait()
			before := n.devices.Load() + n.rows.Load()
			w.alpha.coordinator().Wake(id)
			synctest.Wait()
			return n.devices.Load() + n.rows.Load() - before
		}
		synctest.Wait()
		if got := wake("somebody"); got != 0 {
			t.Errorf("%d look-ups for a device in no transfer, want 0", got)
		}
		moving := w.devices[0].id(w.alpha)
		if got := wake(moving); got != 0 {
			t.Errorf("%d look-ups for a device before its transfer, want 0", got)
		}
		draft, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleet.ID{moving}, Actor: "operator:alice",
			Window: transfer.NewWindow(w.earliest, time.Now().Add(time.Hour)),
		})
		check(t, err)
		if got := wake(moving); got == 0 {
			t.Error("no look-up for a device that is to be handed over")
		}
		_, err = w.alpha.coordinator().Withdraw(t.Context(), draft.ID, "operator:alice", "another day")
		check(t, err)
		time.Sleep(time.Minute) // its row ends too
		id := w.handOver(t)
		synctest.Wait()
		open := 0
		check(t, w.alpha.store.EachOpenRow(t.Context(), func(r coordinator.Row) {
			if r.Device == moving {
				open++
			}
		}))
		if got := wake(moving); (got > 0) != (open > 0) {
			t.Errorf("%d look-ups for a device with %d open rows", got, open)
		}
		time.Sleep(30 * time.Minute)
		w.moved(t, id)
		w.alpha.stop()
		w.alpha.open(t) // as after a restart
		w.alpha.start()
		synctest.Wait()
		if got := wake(moving); got != 0 {
			t.Errorf("%d look-ups for a device that has left, want 0", got)
		}
	})
}
