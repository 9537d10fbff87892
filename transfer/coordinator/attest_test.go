package coordinator_test

import (
	"crypto/ecdsa"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/attest"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestAttestation hands devices over that must attest, because the mandate demands
// it or the incoming provider does.
func TestAttestation(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"by the mandate":               func(w *world) { w.attest = true },
		"by the offer":                 func(w *world) { w.gates = &coordinator.Gates{Attest: true} },
		"by both":                      func(w *world) { w.attest, w.gates = true, &coordinator.Gates{Attest: true} },
		"verdict lost":                 func(w *world) { w.attest, w.beta.attest.lost = true, 2 },
		"the answer to Commit is lost": func(w *world) { w.attest = true; w.alpha.deaf["Execute"] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				prepare(w)
				w.start(t)
				id := w.handOver(t)
				time.Sleep(10 * time.Minute)
				w.moved(t, id)
				for _, p := range []*provider{w.alpha, w.beta} {
					wantVerdicts(t, p, id, attest.TierAffirming)
				}
			})
		})
	}
}

// TestFreshKey: Finalise waits until a device that attested has taken a fresh key.
func TestFreshKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.attest = true
		d := w.devices[0]
		d.stale = true
		w.start(t)
		id := w.handOver(t)
		until(t, time.Minute, "enrolled", func() bool { return w.beta.states(t, id)[transfer.RowEnrolled] == 1 })
		time.Sleep(5 * time.Minute)
		row, err := w.beta.store.Row(t.Context(), id, transfer.Hash(d.Factory).Thumbprint().String())
		check(t, err)
		if row.State != transfer.RowEnrolled || !strings.Contains(row.Reason, "keeps the key with which it came") {
			t.Errorf("Beta: %s, %q", row.State, row.Reason)
		}
		if s, at := d.state(); s.State != transfer.Done || at != w.beta {
			t.Errorf("the device is %s: it was finalised with the old key", s.State)
		}
	})
}

// wantVerdicts checks that every row has a verdict of that tier by Beta's verifier,
// and no complaint.
func wantVerdicts(t *testing.T, p *provider, id string, tier attest.Tier) {
	t.Helper()
	rows, err := p.store.ListRows(t.Context(), id, "", 100)
	check(t, err)
	for _, r := range rows {
		v, err := attest.ParseVerdict(r.Verdict)
		if err != nil || v.Tier != tier || v.Issuer != "Beta" || v.Message != attest.Hash(r.Hash) {
			t.Errorf("%s at %s: verdict %+v, %v", r.Endpoint, p.name, v, err)
		}
		if tier == attest.TierAffirming && r.Reason != "" {
			t.Errorf("%s at %s: %s", r.Endpoint, p.name, r.Reason)
		}
	}
}

// TestT14 is altered firmware before the verifier, and an emulator with a copy of
// the factory key: neither is enrolled, the right never opens, and the one device
// is Alpha's again. It is of row T14 of the transfer protocol (§9).
func TestT14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.attest = true
		bad := w.devices[0]
		bad.image = "altered"
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		row, err := w.alpha.store.Row(t.Context(), id, transfer.Hash(bad.Factory).Thumbprint().String())
		check(t, err)
		v, err := attest.ParseVerdict(row.Verdict)
		if err != nil || v.Tier != attest.TierContraindicated || row.State != transfer.RowFellBack {
			t.Errorf("Alpha: %s, verdict %+v, %v", row.State, v, err)
		}
		if s, at := bad.state(); s.State != transfer.FellBack || at != w.alpha {
			t.Errorf("the altered device is %s", s.State)
		}
		records, err := w.beta.ca.List(t.Context(), est.Query{Kind: est.KindOperational})
		if err != nil || len(records) != 2 { // with the key of READY, and with a fresh one
			t.Errorf("Beta has issued %d certificates, %v", len(records), err)
		}
		for _, p := range []*provider{w.alpha, w.beta} {
			if p.states(t, id)[transfer.RowRevokedOld] != 1 {
				t.Errorf("%s: %v", p.name, p.states(t, id))
				w.explain(t, p, id)
			}
		}
	})
	synctest.Test(t, emulator)
}

func emulator(t *testing.T) {
	w := newWorld(t, 1)
	w.attest = true
	d := w.devices[0]
	w.beta.closed = true // for the device, not for the thief
	w.start(t)
	id := w.handOver(t)
	until(t, 10*time.Minute, "committed", func() bool { return w.beta.states(t, id)[transfer.RowCommitted] == 1 })
	thief, err := newKey()
	check(t, err)
	if err := d.attestBy(t.Context(), w.beta, thief.(*ecdsa.PrivateKey)); !errors.Is(err, attest.ErrSignature) {
		t.Errorf("the emulator attests: %v", err)
	}
	csr, err := est.NewCSR(thief, d.Endpoint)
	check(t, err)
	var pending *est.PendingError // nobody is told more than that the right is not open
	if _, err := w.beta.ca.Enrol(t.Context(), est.Request{Client: d.Client(), CSR: csr}); !errors.As(err, &pending) {
		t.Errorf("the emulator enrols: %v", err)
	}
	right, err := w.beta.ca.Right(t.Context(), d.Factory)
	if err != nil || right.State != est.RightClosed {
		t.Errorf("committed, without a verdict: the right is %s, %v", right.State, err)
	}
	if len(w.beta.attest.refused) != 1 {
		t.Errorf("%d audit rows", len(w.beta.attest.refused))
	}
	w.beta.mu.Lock()
	w.beta.closed = false
	w.beta.mu.Unlock()
	time.Sleep(10 * time.Minute)
	w.moved(t, id) // the true device is welcome all the same
}

// TestT14FactoryKey: nobody is taken whose partner says that the factory key attests.
// It is of row T14 of the transfer protocol (§9).
func TestT14FactoryKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.attest = true
		w.devices[0].ak = w.devices[0].Key
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		want := map[transfer.RowState]int{transfer.RowRejected: 1, transfer.RowRevokedOld: 1}
		if got := w.beta.states(t, id); !maps.Equal(got, want) {
			t.Errorf("Beta has %v, want %v", got, want)
			w.explain(t, w.beta, id)
		}
	})
}

// TestRightWaitsForTheVerdict looks at the right while the verifier cannot be
// reached: it stays closed, and the device falls back at the end of its grace.
func TestRightWaitsForTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.attest = true
		w.beta.attest.lost = 1 << 20
		w.start(t)
		id := w.handOver(t)
		until(t, 10*time.Minute, "committed", func() bool { return w.beta.states(t, id)[transfer.RowCommitted] == 1 })
		time.Sleep(20 * time.Second)
		right, err := w.beta.ca.Right(t.Context(), w.devices[0].Factory)
		if err != nil || right.State != est.RightClosed {
			t.Errorf("right is %s, %v", right.State, err)
		}
		time.Sleep(30 * time.Minute)
		want := map[transfer.RowState]int{transfer.RowFellBack: 1}
		for _, p := range []*provider{w.alpha, w.beta} {
			if got := p.states(t, id); !maps.Equal(got, want) {
				t.Errorf("%s has %v", p.name, got)
				w.explain(t, p, id)
			}
		}
	})
}

// TestGatesRefuse is what cannot be asked for.
func TestGatesRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.attest = true
		w.start(t)
		w.submitted = func() {
			time.Sleep(time.Minute)
			all, err := w.beta.store.ListTransfers(t.Context(), "", 1)
			check(t, err)
			_, err = w.beta.coordinator().SetGates(t.Context(), all[0].ID, "operator:bob", coordinator.Gates{})
			if !errors.Is(err, coordinator.ErrInvalid) {
				t.Errorf("without what the mandate demands: %v", err)
			}
			_, err = w.beta.coordinator().SetGates(t.Context(), all[0].ID, "operator:bob",
				coordinator.Gates{Attest: true, Release: "R"})
			if !errors.Is(err, coordinator.ErrInvalid) {
				t.Errorf("a release for devices that do not ask: %v", err)
			}
			_, err = w.alpha.coordinator().SetGates(t.Context(), all[0].ID, "operator:bob", coordinator.Gates{Attest: true})
			if !errors.Is(err, coordinator.ErrState) {
				t.Errorf("by the outgoing provider: %v", err)
			}
		}
		w.handOver(t)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.devices[0].ak = nil
		w.start(t)
		w.submitted = func() {
			time.Sleep(time.Minute)
			all, err := w.beta.store.ListTransfers(t.Context(), "", 1)
			check(t, err)
			_, err = w.beta.coordinator().SetGates(t.Context(), all[0].ID, "operator:bob", coordinator.Gates{Attest: true})
			if !errors.Is(err, coordinator.ErrInvalid) {
				t.Errorf("for devices without attestation data: %v", err)
			}
		}
		w.handOver(t)
	})
}
