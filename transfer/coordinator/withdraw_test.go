package coordinator_test

import (
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// stayed checks that a device is as it was before the transfer.
func (w *world) stayed(tb testing.TB, d *device) {
	tb.Helper()
	s, at := d.state()
	_, der, _ := d.tr.Operational()
	if !s.State.AtRest() || at != w.alpha || string(der) != string(d.old) {
		tb.Errorf("%s is %s at %v", d.Endpoint, s.State, at)
	}
	if n := len(d.tr.Truststore()); n != 3 {
		tb.Errorf("%s has %d anchors, want those from before, 3", d.Endpoint, n)
	}
	w.gone(tb, d, w.beta)
	right, err := w.alpha.ca.Right(tb.Context(), d.Factory)
	if err != nil || right.State != est.RightConsumed {
		tb.Errorf("right of %s at Alpha is %s, %v", d.Endpoint, right.State, err)
	}
}

// TestWithdraw lets each side end a transfer when all devices are READY.
func TestWithdraw(t *testing.T) {
	for _, beta := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 2)
			w.earliest = time.Now().Add(30 * time.Minute)
			w.start(t)
			id := w.handOver(t)
			time.Sleep(5 * time.Minute)
			if got := w.alpha.states(t, id)[transfer.RowReady]; got != 2 {
				t.Fatalf("%d devices READY", got)
			}
			by := w.alpha
			if beta {
				by = w.beta
			}
			got, err := by.coordinator().Withdraw(t.Context(), id, "operator:bob", "changed our mind")
			if err != nil || got.State != transfer.BatchCancelled {
				t.Fatalf("Withdraw = %s, %v", got.State, err)
			}
			time.Sleep(5 * time.Minute)
			want := map[transfer.RowState]int{transfer.RowAborted: 2}
			for _, p := range []*provider{w.alpha, w.beta} {
				got, _ := p.store.Transfer(t.Context(), id)
				if n := p.states(t, id); !maps.Equal(n, want) || got.State != transfer.BatchCancelled {
					t.Errorf("%s: %v in a transfer that is %s (%s)", p.name, n, got.State, got.Reason)
					w.explain(t, p, id)
				}
			}
			for _, d := range w.devices {
				w.stayed(t, d)
			}
			// Nothing stands in the way of another attempt.
			w.earliest = time.Time{}
			again := w.handOver(t)
			time.Sleep(5 * time.Minute)
			w.moved(t, again)
		})
	}
}

// TestSleepingDevice lets the others go, and the sleeper come later, or stay when
// the window is over (transfer protocol §7, partial batch).
func TestSleepingDevice(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 3)
			sleeper := w.devices[0]
			sleeper.off = true
			w.start(t)
			id := w.handOver(t)
			time.Sleep(10 * time.Minute)
			if got := w.beta.states(t, id)[transfer.RowRevokedOld]; got != 2 {
				t.Errorf("%d devices moved while one sleeps, want 2", got)
				w.explain(t, w.alpha, id)
			}
			if late {
				time.Sleep(2 * time.Hour)
			}
			sleeper.mu.Lock()
			sleeper.off = false
			sleeper.mu.Unlock()
			w.alpha.coordinator().Registered(sleeper.id(w.alpha))
			time.Sleep(10 * time.Minute)
			if !late {
				w.moved(t, id)
				return
			}
			want := map[transfer.RowState]int{transfer.RowRevokedOld: 2, transfer.RowExpired: 1}
			for _, p := range []*provider{w.alpha, w.beta} {
				got, _ := p.store.Transfer(t.Context(), id)
				if n := p.states(t, id); got.State != transfer.BatchPartial || p == w.alpha && !maps.Equal(n, want) {
					t.Errorf("%s: %v in a transfer that is %s", p.name, n, got.State)
					w.explain(t, p, id)
				}
			}
			w.stayed(t, sleeper)
		})
	}
}

// TestPause stops commits when too many devices fail, until somebody resumes.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.devices[0].off = true // keeps the transfer from being over
		w.beta.closed = true
		w.start(t)
		id := w.handOver(t)
		until(t, 20*time.Minute, "paused", func() bool {
			got, _ := w.alpha.store.Transfer(t.Context(), id)
			return got.Paused
		})
		w.devices[0].mu.Lock()
		w.devices[0].off = false
		w.devices[0].mu.Unlock()
		w.alpha.coordinator().Registered(w.devices[0].id(w.alpha))
		time.Sleep(5 * time.Minute)
		if got := w.alpha.states(t, id)[transfer.RowReady]; got != 1 {
			t.Errorf("%d devices wait in READY, want 1", got)
			w.explain(t, w.alpha, id)
		}
		w.beta.mu.Lock()
		w.beta.closed = false
		w.beta.mu.Unlock()
		if _, err := w.alpha.coordinator().Resume(t.Context(), id, "operator:bob", "repaired"); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Minute)
		want := map[transfer.RowState]int{transfer.RowRevokedOld: 1, transfer.RowFellBack: 2}
		if got := w.alpha.states(t, id); !maps.Equal(got, want) {
			t.Errorf("Alpha has %v, want %v", got, want)
			w.explain(t, w.alpha, id)
		}
	})
}

// TestCommands refuses what the state does not allow, and an approval by the
// drafter where there are others.
func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alpha.change = func(o *coordinator.Options) {
			o.People = people(2)
		}
		w.alpha.open(t)
		w.start(t)
		ctx, c := t.Context(), w.alpha.coordinator()
		ours := w.devices[0].id(w.alpha)
		partner := w.alpha.partner(t, w.beta).ID
		draft := coordinator.Draft{Partner: partner, Devices: []fleetID{ours}, Actor: "operator:alice"}
		for name, bad := range map[string]struct {
			change func(*coordinator.Draft)
			want   error
		}{
			"no device":       {func(d *coordinator.Draft) { d.Devices = nil }, coordinator.ErrInvalid},
			"device twice":    {func(d *coordinator.Draft) { d.Devices = []fleetID{ours, ours} }, coordinator.ErrInvalid},
			"unknown device":  {func(d *coordinator.Draft) { d.Devices = []fleetID{"x"} }, coordinator.ErrUnknown},
			"unknown partner": {func(d *coordinator.Draft) { d.Partner = "x" }, coordinator.ErrUnknown},
			"window over": {func(d *coordinator.Draft) {
				d.Window = transfer.Window{Earliest: 1, Latest: 2}
			}, coordinator.ErrInvalid},
			"mandate": {func(d *coordinator.Draft) { d.Mandate = []byte("x") }, coordinator.ErrInvalid},
		} {
			d := draft
			bad.change(&d)
			if _, err := c.Draft(ctx, d); !errors.Is(err, bad.want) {
				t.Errorf("Draft with %s = %v, want %v", name, err, bad.want)
			}
		}
		got, err := c.Draft(ctx, draft)
		check(t, err)
		if _, err := c.Draft(ctx, draft); !errors.Is(err, coordinator.ErrBusy) {
			t.Errorf("second Draft = %v, want ErrBusy", err)
		}
		if _, err := c.Approve(ctx, got.ID, "operator:bob", ""); !errors.Is(err, coordinator.ErrState) {
			t.Errorf("Approve of a draft = %v, want ErrState", err)
		}
		_, err = c.Submit(ctx, got.ID, "operator:alice")
		check(t, err)
		if _, err := c.Submit(ctx, got.ID, "operator:alice"); !errors.Is(err, coordinator.ErrState) {
			t.Errorf("second Submit = %v, want ErrState", err)
		}
		w.approve(t, w.beta, got.ID, transfer.BatchInfoAccepted)
		until(t, time.Minute, "offered", func() bool {
			x, _ := c.Get(ctx, got.ID)
			return x.State == transfer.BatchOffered
		})
		if _, err := c.Approve(ctx, got.ID, "operator:alice", ""); !errors.Is(err, coordinator.ErrApprover) {
			t.Errorf("Approve by the drafter = %v, want ErrApprover", err)
		}
		if _, err := c.Resume(ctx, got.ID, "operator:bob", ""); !errors.Is(err, coordinator.ErrState) {
			t.Errorf("Resume = %v, want ErrState", err)
		}
		if _, err := c.Withdraw(ctx, "x", "operator:bob", ""); !errors.Is(err, coordinator.ErrUnknown) {
			t.Errorf("Withdraw of nothing = %v, want ErrUnknown", err)
		}
		_, err = c.Approve(ctx, got.ID, "operator:bob", "")
		check(t, err)
		time.Sleep(5 * time.Minute)
		w.moved(t, got.ID)
		if _, err := c.Withdraw(ctx, got.ID, "operator:bob", ""); !errors.Is(err, coordinator.ErrState) {
			t.Errorf("Withdraw of a complete one = %v, want ErrState", err)
		}
	})
}
