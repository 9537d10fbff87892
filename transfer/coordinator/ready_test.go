package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/transfer"
)

// restart is what a loss of power, or an order to restart, does to a device.
func (d *device) restart(tb testing.TB) {
	tb.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	tr, err := transfer.OpenDevice(d.memory)
	check(tb, err)
	d.tr, d.at, d.asked = tr, nil, nil
}

// enrolAnew asks p for a certificate by the factory certificate and the key that the
// right is bound to, as a device does whose certificate ended or was given up.
func (d *device) enrolAnew(tb testing.TB, p *provider) {
	tb.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	keys, err := d.tr.EnrolmentKeys(false)
	check(tb, err)
	issued, err := p.ca.Enrol(tb.Context(), est.Request{
		Client: d.Client(), CSR: esttest.CSR(tb, keys[0], d.Endpoint),
	})
	check(tb, err)
	check(tb, d.tr.SetOperational(issued.DER))
	d.at = nil
}

// TestReadyIsSurvived: what happens to a device in READY, before the window begins, does
// not take it out: its operational certificate ends and it enrols anew at CA1, it restarts,
// it is reset to the state of delivery. The row stays, and ends at the new provider; or it
// is aborted, and the device is Alpha's as before.
func TestReadyIsSurvived(t *testing.T) {
	const life = 20 * time.Minute
	events := map[string]func(t *testing.T, w *world){
		"restart": func(t *testing.T, w *world) { t.Helper(); w.devices[0].restart(t) },
		"factory reset": func(t *testing.T, w *world) {
			t.Helper()
			d := w.devices[0]
			d.mu.Lock()
			err := d.tr.FactoryReset()
			d.mu.Unlock()
			check(t, err)
			d.restart(t)
			time.Sleep(time.Minute)
			if _, at := d.state(); at != nil {
				t.Error("registered without a certificate")
			}
			d.enrolAnew(t, w.alpha)
		},
		"the certificate ends": func(t *testing.T, w *world) {
			t.Helper()
			d := w.devices[0]
			time.Sleep(life)
			d.mu.Lock()
			d.at = nil // it comes back after a while
			d.mu.Unlock()
			time.Sleep(time.Minute)
			if _, at := d.state(); at != nil {
				t.Error("registered with a certificate that has ended")
			}
			d.enrolAnew(t, w.alpha)
		},
	}
	for name, happen := range events {
		for _, aborts := range []bool{false, true} {
			ending := map[bool]string{false: "moves", true: "is withdrawn"}[aborts]
			t.Run(name+", "+ending, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					short, err := est.NewProfile(est.ProfileOptions{
						Name: "operational", Kind: est.KindOperational, Validity: life,
					})
					check(t, err)
					w := newWorld(t, 1, func(o *est.Options) { o.Profiles.Operational = short })
					w.earliest = time.Now().Add(50 * time.Minute)
					w.start(t)
					id := w.handOver(t)
					until(t, 10*time.Minute, "ready", func() bool { return w.alpha.states(t, id)[transfer.RowReady] == 1 })
					before, _ := w.devices[0].state()
					happen(t, w)
					time.Sleep(time.Minute)
					after, at := w.devices[0].state()
					if after.State != transfer.Ready || after.Epoch != before.Epoch || after.Message != before.Message ||
						at != w.alpha {
						t.Errorf("afterwards the device is %s at epoch %d, at %v", after.State, after.Epoch, at)
					}
					if n := w.alpha.states(t, id)[transfer.RowReady]; n != 1 {
						t.Errorf("afterwards the row is %v", w.alpha.states(t, id))
					}
					if aborts {
						_, err := w.alpha.coordinator().Withdraw(t.Context(), id, "operator:alice", "as agreed")
						check(t, err)
						time.Sleep(10 * time.Minute)
						s, at := w.devices[0].state()
						if s.State != transfer.Expired && s.State != transfer.Idle || at != w.alpha || s.Epoch != before.Epoch {
							t.Errorf("after the withdrawal the device is %s at epoch %d, at %v", s.State, s.Epoch, at)
						}
						return
					}
					time.Sleep(time.Hour)
					w.moved(t, id)
				})
			})
		}
	}
}
