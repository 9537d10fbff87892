package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestSwitchedWithTheCall has the process die when it has stored what followed from the
// first call that the announced key signed: the key before counts no more all the same.
func TestSwitchedWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		next := w.alpha.nextSigner(t)
		w.alpha.change = func(o *coordinator.Options) { o.NextSigning = next.Certificate }
		w.alpha.open(t)
		w.beta.pin(t, w.alpha)
		w.alpha.signer, w.alpha.change = next, nil
		w.alpha.open(t)
		w.beta.cut = &cutStore{Store: w.beta.store, left: 1, kept: true, crash: func() {}}
		w.beta.open(t)

		draft, err := w.alpha.c.Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleetID{w.devices[0].id(w.alpha)}, Actor: "operator:alice",
		})
		check(t, err)
		_, err = w.alpha.c.Submit(t.Context(), draft.ID, "operator:alice")
		check(t, err)
		w.alpha.start()
		defer w.alpha.stop()
		until(t, 10*time.Minute, "stored", func() bool {
			_, err := w.beta.store.Transfer(t.Context(), draft.ID)
			return err == nil
		})
		p := w.beta.partner(t, w.alpha)
		if p.SigningKey() != coordinator.SPKI(parse(t, next.Certificate)) || p.State != coordinator.Active ||
			len(p.Former) != 1 {
			t.Errorf("Alpha at Beta is %s, with the former keys of %d", p.State, len(p.Former))
		}
		switches := 0
		for _, r := range w.beta.store.Rows() {
			if r.Action == "partner.switch" {
				switches++
			}
		}
		if switches != 1 {
			t.Errorf("%d switches were audited", switches)
		}
	})
}

// nextSigner makes the transfer signer that follows that of p.
func (p *provider) nextSigner(t *testing.T) transfer.Signer {
	t.Helper()
	key := esttest.Key(t)
	issued, err := p.ca.IssueSigner(t.Context(), est.KindTransferSigner, p.name+" transfer", key.Public())
	check(t, err)
	return transfer.Signer{Key: key, Certificate: issued.DER}
}
