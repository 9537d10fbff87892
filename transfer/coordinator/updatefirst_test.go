package coordinator_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// errLater is what an update server answers with 5.03.
var errLater = errors.New("later")

// updateServer is what a provider does for devices that ask before they enrol: it
// has an image for each, once.
type updateServer struct {
	bad bool // the image fails

	mu    sync.Mutex
	asked map[est.Hash]bool // devices that may have it
	given map[est.Hash]bool
}

// ask answers as /update does: true is an image. A bad one is there only when all devices
// have left: else the first that fails has the commits of the others pause.
func (u *updateServer) ask(ctx context.Context, p *provider, d *device) (bool, error) {
	f := fleet.Factory(d.Factory)
	if _, may, err := p.coordinator().MayUpdate(ctx, f); err != nil || !may {
		return false, errLater
	}
	u.mu.Lock()
	u.asked[d.Factory] = true
	early, given := u.bad && len(u.asked) < len(p.world.devices), u.given[d.Factory]
	u.given[d.Factory] = given || !early
	u.mu.Unlock()
	switch {
	case early:
		return false, errLater
	case !given:
		return true, nil
	}
	return false, p.coordinator().UpToDate(ctx, f)
}

// update asks the update server of p until there is nothing newer. It returns false to
// wait.
func (d *device) update(ctx context.Context, p *provider) bool {
	for {
		image, err := p.updates.ask(ctx, p, d)
		d.mu.Lock()
		switch {
		case err != nil:
			check(d.world.t, d.tr.Failed())
			d.mu.Unlock()
			return false
		case image && p.updates.bad:
			check(d.world.t, d.tr.Refused(transfer.UpdateError))
			d.mu.Unlock()
			return false
		case !image:
			check(d.world.t, d.tr.Updated())
			d.mu.Unlock()
			return true
		}
		d.mu.Unlock()
	}
}

// TestUpdateFirst hands devices over that ask the new update server before they
// enrol, with and without attestation before that.
func TestUpdateFirst(t *testing.T) {
	for name, g := range map[string]coordinator.Gates{
		"alone": {UpdateFirst: true}, "after attestation": {Attest: true, UpdateFirst: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				w.gates = &g
				w.start(t)
				id := w.handOver(t)
				time.Sleep(10 * time.Minute)
				w.moved(t, id)
				if len(w.beta.updates.given) != 2 {
					t.Errorf("%d devices were updated", len(w.beta.updates.given))
				}
			})
		})
	}
}

// TestT13NoUpdateBeforeTheWindow: a thief with a copy of the factory key asks the update
// server of the new provider while the device is READY, and gets nothing: it cannot
// have been told to commit. It is of row T13 of the transfer protocol (§9).
func TestT13NoUpdateBeforeTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.gates, w.earliest = &coordinator.Gates{UpdateFirst: true}, time.Now().Add(20*time.Minute)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		if got := w.beta.states(t, id)[transfer.RowReady]; got != 1 {
			t.Fatalf("states %v, want READY", w.beta.states(t, id))
		}
		if _, may, err := w.beta.c.MayUpdate(t.Context(), fleet.Factory(w.devices[0].Factory)); may || err != nil {
			t.Errorf("MayUpdate before the window = %v, %v", may, err)
		}
		time.Sleep(40 * time.Minute)
		w.moved(t, id)
	})
}

// TestUpdateFirstFails is an image that fails: the right never opens, and the devices
// are Alpha's again.
func TestUpdateFirstFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.gates = &coordinator.Gates{UpdateFirst: true}
		w.beta.updates.bad = true
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		w.fellBack(t, id)
		records, err := w.beta.ca.List(t.Context(), est.Query{Kind: est.KindOperational})
		if err != nil || len(records) != 0 {
			t.Errorf("Beta has issued %d certificates, %v", len(records), err)
		}
		for _, p := range []*provider{w.alpha, w.beta} {
			if !audited(t, p, transfer.RowFailedUpd) {
				t.Errorf("%s has no row in FAILED_UPDATE", p.name)
			}
		}
	})
}

// audited reports whether a row has been in a state at p.
func audited(t *testing.T, p *provider, s transfer.RowState) bool {
	t.Helper()
	rows, err := p.store.ListTransfers(t.Context(), "", 1)
	check(t, err)
	all, err := p.store.ListRows(t.Context(), rows[0].ID, "", 100)
	check(t, err)
	for _, r := range all {
		if r.Reason != "the device fell back: the update before its enrolment failed, and was rolled back" &&
			r.Reason != "the device is with its former provider again" {
			t.Errorf("%s at %s: %q", r.Endpoint, p.name, r.Reason)
			return false
		}
	}
	return s == transfer.RowFailedUpd
}

// TestUpToDateIsNoWayRound asks the update server in place of the device: that opens
// nothing before the device has committed, and nothing but for its key.
func TestUpToDateIsNoWayRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.gates = &coordinator.Gates{UpdateFirst: true}
		w.earliest = time.Now().Add(10 * time.Minute) // READY until then
		w.start(t)
		id := w.handOver(t)
		until(t, 5*time.Minute, "READY", func() bool { return w.beta.states(t, id)[transfer.RowReady] == 1 })
		d := w.devices[0]
		check(t, w.beta.coordinator().UpToDate(t.Context(), fleet.Factory(d.Factory)))
		right, err := w.beta.ca.Right(t.Context(), d.Factory)
		if err != nil || right.State != est.RightClosed {
			t.Errorf("right is %s, %v", right.State, err)
		}
		if got := w.beta.states(t, id); !maps.Equal(got, map[transfer.RowState]int{transfer.RowReady: 1}) {
			t.Errorf("Beta has %v", got)
		}
		time.Sleep(30 * time.Minute)
		w.moved(t, id)
	})
}
