package sim_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/objects"
	"steward/transfer"
)

// cutter cuts the power at the nth write after it was armed.
type cutter struct{ left atomic.Int64 }

func (c *cutter) cut() bool { return c.left.Load() > 0 && c.left.Add(-1) == 0 }

// keepRunning runs a device and starts it again after each power cut.
func keepRunning(t *testing.T, b *bundle.Bundle, o sim.Options) (cuts *atomic.Int64) {
	t.Helper()
	cuts = &atomic.Int64{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			d, err := sim.New(b, o)
			if err != nil {
				t.Error(err)
				return
			}
			err = d.Run(ctx)
			if errors.Is(err, sim.ErrPowerCut) {
				cuts.Add(1)
				continue
			}
			if err != nil {
				t.Errorf("Run = %v", err)
			}
			return
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return cuts
}

func TestEnrolmentSurvivesAPowerCutAtEveryWrite(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	for n := int64(1); ; n++ {
		name := endpoint + "-" + string(rune('a'+n))
		c := &cutter{}
		c.left.Store(n)
		o := options(t.TempDir())
		o.PowerCut = c.cut
		cuts := keepRunning(t, f.device(name, alpha), o)
		for alpha.await(server.Registered, lwm2m.Path{}).Device != fleet.ID(name) { // one from before, once more
		}
		if cuts.Load() == 0 {
			t.Logf("an enrolment takes %d writes", n-1)
			break
		}
	}
}

// TestT17PowerCutAtEveryWrite is T17 of the transfer protocol (§9): the power is cut at
// each write of a whole device's memory, from the commit to FINALISED. It arrives all the
// same, and nothing of its former provider is left in the memory. TestT17PowerCut in
// transfer is the same of the machine alone, by either way.
func TestT17PowerCutAtEveryWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("a transfer for each write of one")
	}
	t.Parallel()
	for n := int64(1); ; n++ {
		m, c := newMove(t, 3600), &cutter{}
		o := options(m.dir)
		o.PowerCut = c.cut
		cuts := keepRunning(t, m.b, o)
		m.alpha.await(server.Registered, lwm2m.Path{})
		m.plant()
		m.prepare()
		m.open()
		c.left.Store(n)
		m.insist(m.alpha, objects.TransferCommit, transfer.Ready)
		m.awaitState(m.beta, transfer.Done)
		m.insist(m.beta, objects.TransferFinalise, transfer.Done)
		m.awaitState(m.beta, transfer.Finalised)
		final := m.receipt(m.beta, m.beta.read(endpoint, transferReceipt).Bytes())
		if final.Body.State != transfer.Finalised || final.Body.SPKI != m.ready.Body.SPKI {
			t.Fatalf("write %d: receipt of %s", n, final.Body.State)
		}
		m.checkWiped(nil)
		if cuts.Load() == 0 {
			t.Logf("a transfer takes %d writes", n-1)
			break
		}
	}
}

// insist executes a resource until it was answered or the device has left state.
func (m *move) insist(p *provider, resource uint16, state transfer.DeviceState) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; p.pause() {
		err := p.srv.Execute(m.t.Context(), endpoint, transferBase.Child(resource), m.order())
		if err == nil || time.Now().After(deadline) {
			return
		}
		s, err := sim.Inspect(m.dir, m.b)
		if err == nil && s.State != state {
			return
		}
	}
}

func TestUpdateSurvivesAPowerCutAtEveryWrite(t *testing.T) {
	t.Parallel()
	for n := int64(1); ; n++ {
		alpha, f, c := newProvider(t, "alpha"), newFactory(t), &cutter{}
		dir, b := t.TempDir(), f.device(endpoint, alpha)
		o := options(dir)
		o.PowerCut = c.cut
		cuts := keepRunning(t, b, o)
		alpha.await(server.Registered, lwm2m.Path{})
		package2 := lwm2m.Opaque(manifest(t, alpha.suit, "2.0.0", 2, ""))
		c.left.Store(n)
		for { // as a campaign does: by what the device says of itself
			state, _ := alpha.read(endpoint, firmwareState).Int()
			result, _ := alpha.read(endpoint, firmwareResult).Int()
			if state == int64(objects.FirmwareIdle) && result == int64(objects.FirmwareSuccess) {
				break
			}
			switch objects.FirmwareState(state) {
			case objects.FirmwareIdle:
				_ = alpha.write(firmwarePackage, package2) // the answer may be lost
			case objects.FirmwareDownloaded:
				_ = alpha.srv.Execute(t.Context(), endpoint, firmwareUpdate, "") // likewise
			case objects.FirmwareDownloading, objects.FirmwareUpdating:
				alpha.pause()
			}
		}
		checkUpdated(t, alpha, dir, b, "2.0.0")
		if cuts.Load() == 0 {
			t.Logf("an update takes %d writes", n-1)
			break
		}
	}
}
