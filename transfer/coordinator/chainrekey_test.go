package coordinator_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// rekey gives a device at rest a factory key of its own, and its provider the proof, if it
// is to have it.
func (d *device) rekey(t *testing.T, at *provider, shown bool) {
	t.Helper()
	ctx := t.Context()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	key := esttest.Key(t)
	csr, err := est.NewRekeyCSR(key, d.Key, d.DER, nil)
	check(t, err)
	issued, err := d.world.factory.RekeyFactory(ctx, est.FactoryRekey{
		Client: est.Client{Role: est.RoleOperational, Certificate: est.Hash{1}, Name: d.Endpoint}, CSR: csr,
	})
	check(t, err)
	proof, err := est.RekeyProof(csr)
	check(t, err)
	if !shown {
		proof = nil
	}
	known, err := at.fleet.ByFactory(ctx, fleet.Factory(d.Factory))
	check(t, err)
	_, _, err = at.ca.FollowFactory(ctx, d.Factory, issued.DER, proof)
	check(t, err)
	known.Factory = fleet.Factory(issued.Hash)
	check(t, at.fleet.Put(ctx, known, "test", ""))
	_, err = d.world.factory.UseFactory(ctx, issued.Hash)
	check(t, err)
	check(t, d.tr.SetFactory(key, issued.DER))
	d.Key, d.DER, d.Factory = key, issued.DER, issued.Hash
}

// TestChainRekeyed: a device that gets other factory keys between two hand-overs stays the
// same one to an auditor by the proofs of the keys before, and by nothing less.
func TestChainRekeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.gamma = newProvider(t, w, "Gamma")
		w.gamma.open(t)
		for _, pair := range [][2]*provider{{w.beta, w.gamma}, {w.gamma, w.beta}} {
			pair[0].pin(t, pair[1])
		}
		w.start(t)
		w.gamma.start()
		t.Cleanup(w.gamma.stop)
		first := w.between(t, w.alpha, w.beta)
		w.devices[0].rekey(t, w.beta, true)
		w.devices[0].rekey(t, w.beta, true)
		w.devices[1].rekey(t, w.beta, false)
		second := w.between(t, w.beta, w.gamma)

		report, err := transfer.CheckChain([][]byte{first, second}, nil)
		check(t, err)
		if len(report.Custody) != 2 || !report.Custody[0].Proved ||
			report.Custody[0].Names() != "Alpha → Beta → Gamma" {
			t.Errorf("with the proofs: %+v", report.Custody)
		}
		if one := report.Custody[1]; one.Proved || !strings.Contains(one.Why, "no proof of its re-key") {
			t.Errorf("a device that has shown no proof: %+v", one)
		}

		made := esttest.NewDevice(t, esttest.NewFactory(t, time.Now), w.devices[0].Endpoint)
		for name, tt := range map[string]struct {
			change func(*transfer.RecordDevice)
			why    string // of the custody
			record string // statement of the record; "": it is proved
		}{
			"left out": {func(d *transfer.RecordDevice) { d.Rekeys = nil }, "no proof of its re-key", ""},
			"the first left out": {
				func(d *transfer.RecordDevice) { d.Rekeys = d.Rekeys[1:] }, "no proof of its re-key", "",
			},
			"the last left out": {
				func(d *transfer.RecordDevice) { d.Rekeys = d.Rekeys[:1] }, "no proof", "do not end at its factory",
			},
			"in another order": {
				func(d *transfer.RecordDevice) { d.Rekeys[0], d.Rekeys[1] = d.Rekeys[1], d.Rekeys[0] }, "no proof",
				"begins elsewhere",
			},
			"a proof without signature": {
				func(d *transfer.RecordDevice) { d.Rekeys[0].Proof[len(d.Rekeys[0].Proof)-1] ^= 1 }, "no proof",
				"re-key 1",
			},
			"the proof of the other": {
				func(d *transfer.RecordDevice) { d.Rekeys[0].Proof = d.Rekeys[1].Proof }, "no proof", "re-key 1",
			},
			"made up, by a key of one's own": {
				func(d *transfer.RecordDevice) {
					csr, err := est.NewRekeyCSR(esttest.Key(t), made.Key, d.Rekeys[0].Former, nil)
					check(t, err)
					d.Rekeys[0].Proof, err = est.RekeyProof(csr)
					check(t, err)
				}, "no proof", "re-key 1",
			},
			"from a certificate of another factory": {
				func(d *transfer.RecordDevice) {
					csr, err := est.NewRekeyCSR(w.devices[0].Key, made.Key, made.DER, nil)
					check(t, err)
					proof, err := est.RekeyProof(csr)
					check(t, err)
					d.Rekeys = []transfer.RecordRekey{{Former: made.DER, Next: d.Factory, Proof: proof}}
				}, "no proof", "no permanent CA",
			},
		} {
			changed, err := transfer.ParseRecord(bytes.Clone(second))
			check(t, err)
			for i := range changed.Devices {
				if d := &changed.Devices[i]; len(d.Rekeys) == 2 { //nolint:mnd // the one that shows proofs
					tt.change(d)
				}
			}
			forged, err := changed.Sign(w.beta.signer)
			check(t, err)
			report, err := transfer.CheckChain([][]byte{first, forged}, nil)
			check(t, err)
			if c := report.Custody[0]; c.Proved || !strings.Contains(c.Why, tt.why) {
				t.Errorf("%s: %+v, want %q", name, c, tt.why)
			}
			var said strings.Builder
			for _, s := range report.Records[1].Statements {
				if !s.Proved && s.Device == w.devices[0].Endpoint {
					said.WriteString(s.Why)
				}
			}
			if (said.String() == "") != (tt.record == "") || !strings.Contains(said.String(), tt.record) {
				t.Errorf("%s: the record is refuted by %q, want %q", name, said.String(), tt.record)
			}
		}
	})
}
