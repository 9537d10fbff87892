package sim_test

import (
	"bytes"
	"testing"

	"steward/cmd/internal/sim"
	"steward/est"
	"steward/lwm2m"
	"steward/objects"
	"steward/transfer"
)

// reset has a device reset itself, and waits until it is registered again.
func (m *move) reset(p *provider, r *run) {
	m.t.Helper()
	path := lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceFactoryReset)
	if err := p.srv.Execute(m.t.Context(), endpoint, path, ""); err != nil {
		m.t.Fatalf("factory reset at %s: %v", p.name, err)
	}
	r.await(sim.Started)
	r.await(sim.Enrolled)
	r.await(sim.Registered)
}

// TestT7ResetAndReplay is T7 at a whole device: reset to the state of delivery at rest,
// in READY and at the new provider, it takes no message that it had before, stays whose
// it was, and goes on with what it was about to do.
func TestT7ResetAndReplay(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.plant()
	m.prepare()
	first := m.raw
	abort := transferBase.Child(objects.TransferAbort)
	if err := m.alpha.srv.Execute(t.Context(), endpoint, abort, m.order()); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Expired)
	m.reset(m.alpha, r)
	m.checkWiped(nil)
	m.stage()
	refuses(t, m.alpha, endpoint, m.dir, "the message from before the reset", first, 5)

	m.prepare()
	second, before, receipt := m.raw, inUse(t, m.dir, m.b), m.alpha.read(endpoint, transferReceipt).Bytes()
	m.reset(m.alpha, r)
	m.awaitState(m.alpha, transfer.Ready)
	if got := m.alpha.read(endpoint, transferReceipt).Bytes(); !bytes.Equal(got, receipt) {
		t.Error("the reset has changed the READY receipt")
	}
	if record, err := m.alpha.ca.Lookup(t.Context(), before); err != nil || record.Status != est.StatusValid {
		t.Errorf("the certificate of the READY receipt is %s, %v", record.Status, err)
	}
	if err := m.alpha.write(transferMessage, lwm2m.Opaque(second)); err != nil {
		t.Errorf("the identical message in READY: %v", err)
	}
	m.open()
	m.commit()
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)
	m.reset(m.beta, r)
	m.awaitState(m.beta, transfer.Finalised)
	if epoch, _ := m.beta.read(endpoint, transferEpoch).Uint(); epoch != 2 {
		t.Errorf("epoch %d after the reset at the new provider, want 2", epoch)
	}
	for what, raw := range map[string][]byte{"first": first, "second": second} {
		refuses(t, m.beta, endpoint, m.dir, "the former provider's "+what+" message", raw, 2)
	}
}

// TestResetSurvivesAPowerCutAtEveryWrite: however far it came, the device enrols again,
// and can be reset.
func TestResetSurvivesAPowerCutAtEveryWrite(t *testing.T) {
	t.Parallel()
	path := lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceFactoryReset)
	for n := int64(1); ; n++ {
		m, c := newMove(t, 60), &cutter{}
		o := options(m.dir)
		o.PowerCut = c.cut
		cuts := keepRunning(t, m.b, o)
		m.alpha.read(endpoint, battery)
		m.plant()
		m.prepare()
		c.left.Store(n)
		_ = m.alpha.srv.Execute(t.Context(), endpoint, path, "") // its answer may be lost
		m.awaitState(m.alpha, transfer.Ready)
		for zone := lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceTimezone); ; m.alpha.pause() {
			if m.alpha.read(endpoint, zone).Text() != canary {
				break
			}
			_ = m.alpha.srv.Execute(t.Context(), endpoint, path, "")
		}
		m.alpha.read(endpoint, battery)
		if cuts.Load() == 0 {
			t.Logf("a reset takes %d writes", n-1)
			break
		}
	}
}
