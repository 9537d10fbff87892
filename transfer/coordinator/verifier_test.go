package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/est/attest"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// knows tells the verifier of p what the factory says of the devices.
func (p *provider) knows(tb testing.TB) {
	tb.Helper()
	for _, d := range p.world.devices {
		check(tb, p.attest.store.PutAttester(tb.Context(), attest.Attester{
			Device: attest.Hash(d.Factory), Key: &d.ak.PublicKey,
			References: []attest.Reference{{Component: component, Digest: imageDigest(goodImage)}},
		}, audit.Row{}))
	}
}

// demanding is a world in which Alpha demands the verdict of a provider.
func demanding(t *testing.T, name string) *world {
	t.Helper()
	w := newWorld(t, 2)
	w.verifier = name
	if name == "Gamma" {
		w.gamma = newProvider(t, w, "Gamma")
		w.gamma.open(t)
		w.gamma.pin(t, w.beta)
		w.alpha.pin(t, w.gamma)
		w.beta.pin(t, w.gamma)
		w.gamma.knows(t)
	}
	w.alpha.knows(t)
	return w
}

// TestDemandedVerifier: the verdict of Alpha's own verifier, or of a third one, opens the
// right at Beta, and both providers have it.
func TestDemandedVerifier(t *testing.T) {
	for _, name := range []string{"Alpha", "Gamma", "Beta"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := demanding(t, name)
				w.start(t)
				id := w.handOver(t)
				time.Sleep(10 * time.Minute)
				w.moved(t, id)
				for _, p := range []*provider{w.alpha, w.beta} {
					rows, err := p.store.ListRows(t.Context(), id, "", 100)
					check(t, err)
					for _, r := range rows {
						v, err := attest.ParseVerdict(r.Verdict)
						if err != nil || v.Issuer != name || v.Tier != attest.TierAffirming || r.Reason != "" {
							t.Errorf("%s at %s: verdict %+v, %v, %s", r.Endpoint, p.name, v, err, r.Reason)
						}
					}
				}
				raw, err := w.alpha.coordinator().Record(t.Context(), id)
				check(t, err)
				report, err := transfer.CheckRecord(raw, nil)
				check(t, err)
				for _, s := range report.Statements {
					if strings.Contains(s.What, "attestation") && !s.Proved {
						t.Errorf("%s: %s: %s", s.Device, s.What, s.Why)
					}
				}
			})
		})
	}
}

// TestPartnersVerifier: what the partner's record demands counts where a draft says
// nothing.
func TestPartnersVerifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demanding(t, "Gamma")
		w.verifier = ""
		alpha, beta := w.alpha.coordinator(), w.alpha.partner(t, w.beta).ID
		if _, err := alpha.SetPartnerVerifier(t.Context(), beta, "Nobody", "operator:alice", ""); !errors.Is(err,
			coordinator.ErrInvalid) {
			t.Errorf("SetPartnerVerifier(Nobody) = %v", err)
		}
		if _, err := alpha.SetPartnerVerifier(t.Context(), "x", "Gamma", "operator:alice", ""); !errors.Is(err,
			coordinator.ErrUnknown) {
			t.Errorf("SetPartnerVerifier of nobody = %v", err)
		}
		p, err := alpha.SetPartnerVerifier(t.Context(), beta, "Gamma", "operator:alice", "as agreed")
		if err != nil || p.Demands != "Gamma" {
			t.Errorf("SetPartnerVerifier = %+v, %v", p.Demands, err)
		}
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		w.moved(t, id)
		for _, p := range []*provider{w.alpha, w.beta} {
			if got, err := p.store.Transfer(t.Context(), id); err != nil || got.Verifier != "Gamma" || !got.Attest {
				t.Errorf("%s: verifier %q, attest %t, %v", p.name, got.Verifier, got.Attest, err)
			}
		}
	})
}

// TestDemandedVerifierSpeaksAgainst: what Alpha's verifier finds altered Beta does not
// enrol, whatever its own would say.
func TestDemandedVerifierSpeaksAgainst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demanding(t, "Alpha")
		bad := w.devices[0]
		bad.image = "altered"
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		for _, p := range []*provider{w.alpha, w.beta} {
			row, err := p.store.Row(t.Context(), id, transfer.Hash(bad.Factory).Thumbprint().String())
			check(t, err)
			v, err := attest.ParseVerdict(row.Verdict)
			if err != nil || v.Tier != attest.TierContraindicated || v.Issuer != "Alpha" || row.State != transfer.RowFellBack {
				t.Errorf("%s: %s, verdict %+v, %v", p.name, row.State, v, err)
			}
		}
		if s, at := bad.state(); s.State != transfer.FellBack || at != w.alpha {
			t.Errorf("the altered device is %s", s.State)
		}
	})
}

// TestDemandedVerifierAway: a verdict is late while its verifier is away, or its answer
// lost; the device asks again, and arrives.
func TestDemandedVerifierAway(t *testing.T) {
	for name, trouble := range map[string]func(w *world){
		"nonces lost":   func(w *world) { w.gamma.lose[coordinator.ActionChallenge] = 2 },
		"verdicts lost": func(w *world) { w.gamma.lose[coordinator.ActionEvidence] = 2 },
		"away": func(w *world) {
			w.gamma.setAway(true)
			go func() {
				time.Sleep(testGrace / 2)
				w.gamma.setAway(false)
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := demanding(t, "Gamma")
				trouble(w)
				w.start(t)
				id := w.handOver(t)
				time.Sleep(20 * time.Minute)
				w.moved(t, id)
			})
		})
	}
}

// TestVerifierRefusesOthers: nobody gets a verdict that was not asked for, on another
// receipt than the known one, or in a transfer of others.
func TestVerifierRefusesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demanding(t, "Beta") // so Alpha's is not asked for
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		d := w.devices[0]
		short := transfer.Hash(d.Factory).Thumbprint().String()
		receipts, err := w.beta.store.Receipts(t.Context(), id, short)
		check(t, err)
		ready := receipts[slices.IndexFunc(receipts, func(r coordinator.Receipt) bool { return r.State == transfer.Ready })]
		done := receipts[slices.IndexFunc(receipts, func(r coordinator.Receipt) bool { return r.State == transfer.Done })]
		known, err := w.alpha.store.Transfer(t.Context(), id)
		check(t, err)
		ask := func(receipt []byte, transferID []byte, at string) error {
			raw, err := transfer.Appraisal{Transfer: transferID, Factory: transfer.Hash(d.Factory), Ready: receipt}.Encode()
			check(t, err)
			_, err = w.alpha.coordinator().Receive(t.Context(), w.alpha.partner(t, w.beta), coordinator.Call{
				Action: coordinator.ActionChallenge, Transfer: at, Device: short, Key: at + string(receipt[:20]), Body: raw,
			})
			return err
		}
		if err := ask(ready.Raw, known.Key(), id); !errors.Is(err, coordinator.ErrState) {
			t.Errorf("a verdict that was not asked for: %v", err)
		}
		if err := ask(done.Raw, known.Key(), id); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("by another receipt: %v", err)
		}
		if err := ask(ready.Raw, make([]byte, 16), id); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("by the id of another transfer: %v", err)
		}
		_, err = w.alpha.coordinator().Receive(t.Context(), w.alpha.partner(t, w.beta), coordinator.Call{
			Action: coordinator.ActionEvidence, Transfer: id, Device: short, Key: "k", Body: []byte{0xff},
		})
		if !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("no appraisal: %v", err)
		}
	})
}

// TestUnknownVerifier: one that Alpha does not know is refused at once, one that Beta
// does not know when it judges the devices.
func TestUnknownVerifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		_, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Actor: "operator:alice", Verifier: "Nobody",
			Devices: []fleet.ID{w.devices[0].id(w.alpha)},
		})
		if !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("Draft with an unknown verifier = %v", err)
		}
		w.gamma = newProvider(t, w, "Gamma")
		w.gamma.open(t)
		w.alpha.pin(t, w.gamma)
		w.start(t)
		draft, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Actor: "operator:alice", Verifier: "Gamma",
			Devices: []fleet.ID{w.devices[0].id(w.alpha)},
		})
		check(t, err)
		_, err = w.alpha.coordinator().Submit(t.Context(), draft.ID, "operator:alice")
		check(t, err)
		until(t, time.Minute, "answered", func() bool { return w.alpha.states(t, draft.ID)[transfer.RowRejected] == 1 })
		rows, err := w.alpha.store.ListRows(t.Context(), draft.ID, "", 9)
		check(t, err)
		if !strings.Contains(rows[0].Reason, "verifier that is demanded is not known") {
			t.Errorf("rejected because %q", rows[0].Reason)
		}
	})
}

// TestVerifierOfAnotherName: nobody is pinned under the address of another partner, by
// which that partner's verifier is named.
func TestVerifierOfAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demanding(t, "Gamma")
		for want, uri := range map[error]string{
			coordinator.ErrPinned:  w.beta.partner(t, w.gamma).PeerURI,
			coordinator.ErrInvalid: w.alpha.partner(t, w.beta).PeerURI,
		} {
			mallory := newProvider(t, w, "Aaron") // whom a list has first
			mallory.change = func(o *coordinator.Options) { o.PeerURI = uri }
			mallory.open(t)
			file, err := mallory.c.Identity()
			check(t, err)
			if _, err := w.beta.c.AddPartner(t.Context(), file, "", "operator:carol"); !errors.Is(err, want) {
				t.Errorf("Aaron at %s: %v, want %v", uri, err, want)
			}
		}
	})
}

// lyingPeers show a verdict that the verifier has not signed.
type lyingPeers struct {
	coordinator.Peers

	by transfer.Signer
}

func (p lyingPeers) Post(ctx context.Context, to coordinator.Partner, call coordinator.Call) ([]byte, error) {
	raw, err := p.Peers.Post(ctx, to, call)
	if err != nil || call.Action != coordinator.ActionEvidence {
		return raw, err
	}
	v, err := attest.ParseVerdict(raw)
	if err != nil {
		return nil, err
	}
	return v.Sign(attest.Signer{Key: p.by.Key, Certificate: p.by.Certificate})
}

// TestForgedVerdictIsNotKept: what the demanded verifier has not signed does not stand
// among the results of a device.
func TestForgedVerdictIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demanding(t, "Gamma")
		w.beta.change = func(o *coordinator.Options) { o.Peers = lyingPeers{o.Peers, w.beta.signer} }
		w.beta.open(t)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		for _, d := range w.devices {
			results, err := w.beta.attest.store.Results(t.Context(), attest.Hash(d.Factory), 9)
			if err != nil || len(results) > 0 {
				t.Errorf("%d results of forged verdicts, %v", len(results), err)
			}
		}
		if n := w.beta.states(t, id); n[transfer.RowEnrolled]+n[transfer.RowActive]+n[transfer.RowFinalised] > 0 {
			t.Errorf("Beta took devices by a forged verdict: %v", n)
		}
	})
}
