package coordinator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"steward/est/attest"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestAttestationOfEveryKind: the gate is the same for devices without a clock and for
// those that sleep: who runs what it should moves, by an affirming verdict; who does not
// is never enrolled, and comes back.
func TestAttestationOfEveryKind(t *testing.T) {
	for name, kind := range map[string]func(*device){
		"without a clock": func(d *device) { d.noClock = true },
		"asleep":          func(d *device) { d.naps = true },
		"both":            func(d *device) { d.noClock, d.naps = true, true },
	} {
		for _, altered := range []bool{false, true} {
			runs := map[bool]string{false: "as it should", true: "altered"}[altered]
			t.Run(name+", "+runs, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, 1)
					w.attest = true
					d := w.devices[0]
					kind(d)
					if altered {
						d.image = "altered"
					}
					w.start(t)
					id := w.handOver(t)
					time.Sleep(40 * time.Minute)
					if !altered {
						w.moved(t, id)
						wantVerdicts(t, w.alpha, id, attest.TierAffirming)
						return
					}
					if s, at := d.state(); s.State != transfer.FellBack || at != w.alpha {
						t.Errorf("the device is %s at %v", s.State, at)
						w.explain(t, w.alpha, id)
					}
					w.gone(t, d, w.beta)
				})
			})
		}
	}
}

// TestExtensionUnderAMandate: a service user's mandate bounds the window. A later end
// within it is asked for and agreed to; one beyond it is refused at the outgoing provider,
// and at the incoming one whatever the outgoing one asks, unless the same service user
// signs another mandate.
func TestExtensionUnderAMandate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		user := newUser(t, w)
		for _, p := range []*provider{w.alpha, w.beta} {
			_, err := p.c.AddPartner(t.Context(), user.file, "", "operator:carol")
			check(t, err)
		}
		w.earliest = time.Now().Add(50 * time.Minute)
		w.mandate = user.mandate(t, w, user.signer)
		w.start(t)
		id := w.handOver(t)
		m, err := transfer.ParseMandate(w.mandate)
		check(t, err)
		end := m.Body.Window.Latest.Time()
		ask := func(latest time.Time, mandate []byte) error {
			_, err := w.alpha.coordinator().Extend(t.Context(), coordinator.Extension{
				Transfer: id, Latest: latest, Mandate: mandate, Actor: "operator:alice", Reason: "it sleeps",
			})
			return err
		}
		wider := func(by transfer.Signer) []byte {
			t.Helper()
			m := m.Body
			m.Window.Latest, m.Expires = m.Window.Latest+48*3600, m.Expires+96*3600
			raw, err := m.Sign(by)
			check(t, err)
			return raw
		}
		for name, err := range map[string]error{
			"beyond the mandate":                                       ask(end.Add(time.Second), nil),
			"beyond it, by a mandate of the provider's own":            ask(end.Add(time.Hour), wider(w.alpha.signer)),
			"beyond it, by a mandate signed for the user by a partner": ask(end.Add(time.Hour), wider(w.beta.signer)),
		} {
			if !errors.Is(err, coordinator.ErrInvalid) {
				t.Errorf("%s: %v, want ErrInvalid", name, err)
			}
		}
		got, err := w.beta.store.Transfer(t.Context(), id)
		check(t, err)
		x := transfer.Extension{Mandate: m.Hash, Transfer: got.Key(), Window: transfer.Window{
			Earliest: got.Window.Earliest, Latest: transfer.SecondsOf(end.Add(time.Hour)),
		}}
		raw, err := x.Encode()
		check(t, err)
		_, err = w.beta.coordinator().Receive(t.Context(), w.beta.partner(t, w.alpha), coordinator.Call{
			Action: coordinator.ActionExtend, Transfer: id, Key: "beyond", Body: raw,
		})
		if !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("Beta is asked for more than the mandate has: %v, want ErrInvalid", err)
		}
		w.mandate = nil // that with which it began
		w.extend(t, id, end.Add(-time.Hour))
		w.mandate = wider(user.signer)
		w.extend(t, id, end.Add(24*time.Hour))
		for _, p := range []*provider{w.alpha, w.beta} {
			if latest := window(t, p, id).Latest.Time(); !latest.Equal(end.Add(24 * time.Hour)) {
				t.Errorf("the window at %s ends %s", p.name, latest)
			}
		}
		time.Sleep(2 * time.Hour)
		w.moved(t, id)
	})
}
