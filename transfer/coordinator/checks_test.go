package coordinator_test

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"maps"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// handOver drafts and submits a transfer of all devices, and approves it at both
// sides as soon as each may.
func (w *world) handOver(tb testing.TB) string {
	tb.Helper()
	ids, moving := []fleet.ID{}, w.moving
	if moving == nil {
		moving = w.devices
	}
	for _, d := range moving {
		ids = append(ids, d.id(w.alpha))
	}
	draft, err := w.alpha.coordinator().Draft(tb.Context(), coordinator.Draft{
		Partner: w.alpha.partner(tb, w.beta).ID, Devices: ids, Actor: "operator:alice",
		Window: transfer.NewWindow(w.earliest, time.Now().Add(time.Hour)), Mandate: w.mandate, Attest: w.attest,
		Verifier: w.verifier,
	})
	check(tb, err)
	_, err = w.alpha.coordinator().Submit(tb.Context(), draft.ID, "operator:alice")
	check(tb, err)
	if w.submitted != nil {
		w.submitted()
	}
	w.approve(tb, w.beta, draft.ID, transfer.BatchInfoAccepted)
	w.approve(tb, w.alpha, draft.ID, transfer.BatchOffered)
	return draft.ID
}

// approve waits until a transfer may be approved and does it.
func (w *world) approve(tb testing.TB, p *provider, id string, at transfer.BatchState) {
	tb.Helper()
	for range 600 {
		got, err := p.store.Transfer(tb.Context(), id)
		if err == nil && len(got.Approvals) > 0 {
			return // the answer to the approval was lost in a crash
		}
		if err == nil && got.State == at {
			if w.gates != nil && p == w.beta {
				_, err := p.coordinator().SetGates(tb.Context(), id, "operator:bob", *w.gates)
				check(tb, err)
			}
			if _, err := p.coordinator().Approve(tb.Context(), id, "operator:bob", "as agreed"); err == nil {
				return
			} else if w.submitted == nil {
				tb.Fatal(err)
			}
		}
		time.Sleep(time.Second)
	}
	got, err := p.store.Transfer(tb.Context(), id)
	tb.Fatalf("transfer at %s is %s (%s), %v, want %s", p.name, got.State, got.Reason, err, at)
}

// states returns how many rows of a transfer are in each state at a provider.
func (p *provider) states(tb testing.TB, id string) map[transfer.RowState]int {
	tb.Helper()
	n, err := p.store.Count(tb.Context(), id)
	check(tb, err)
	return n
}

// moved checks that all devices are Beta's, and Alpha's no more.
func (w *world) moved(tb testing.TB, id string) {
	tb.Helper()
	want := map[transfer.RowState]int{transfer.RowRevokedOld: len(w.devices)}
	for _, p := range []*provider{w.alpha, w.beta} {
		if got := p.states(tb, id); !maps.Equal(got, want) {
			tb.Errorf("%s has %v, want %v", p.name, got, want)
			w.explain(tb, p, id)
		}
		if got, _ := p.store.Transfer(tb.Context(), id); got.State != transfer.BatchComplete {
			tb.Errorf("transfer at %s is %s (%s), want COMPLETE", p.name, got.State, got.Reason)
		}
	}
	for _, d := range w.devices {
		s, at := d.state()
		if s.State != transfer.Finalised || at != w.beta {
			tb.Errorf("%s is %s at %v", d.Endpoint, s.State, at)
		}
		w.gone(tb, d, w.alpha)
		if o, _ := w.beta.fleet.ByFactory(tb.Context(), fleet.Factory(d.Factory)); o.Ownership != fleet.Owned {
			tb.Errorf("%s is %s at Beta", d.Endpoint, o.Ownership)
		}
	}
}

// gone checks that neither the old nor the factory key of a device opens anything
// at p (T3).
func (w *world) gone(tb testing.TB, d *device, p *provider) {
	tb.Helper()
	if err := p.ca.Live(tb.Context(), sha256.Sum256(d.old), time.Now()); !errors.Is(err, est.ErrRevoked) &&
		p == w.alpha {
		tb.Errorf("old certificate of %s at %s: %v, want ErrRevoked", d.Endpoint, p.name, err)
	}
	if c, err := p.ca.Identify(tb.Context(), [][]byte{d.DER}); err == nil {
		tb.Errorf("factory certificate of %s is %v at %s", d.Endpoint, c, p.name)
	}
	o, err := p.fleet.ByFactory(tb.Context(), fleet.Factory(d.Factory))
	if o.Ownership != fleet.Left && !errors.Is(err, fleet.ErrUnknown) {
		tb.Errorf("%s is %s at %s", d.Endpoint, o.Ownership, p.name)
	}
}

// explain logs the rows of a transfer.
func (w *world) explain(tb testing.TB, p *provider, id string) {
	tb.Helper()
	rows, _ := p.store.ListRows(tb.Context(), id, "", 100)
	for _, r := range rows {
		tb.Logf("%s %s: %s %v %q tries %d due %v", p.name, r.Endpoint, r.State, r.Pending, r.Reason, r.Tries, r.Due)
	}
}

// fellBack checks that all devices are Alpha's again, with new keys, and that
// nothing opens anything at Beta.
func (w *world) fellBack(tb testing.TB, id string) {
	tb.Helper()
	want := map[transfer.RowState]int{transfer.RowFellBack: len(w.devices)}
	for _, p := range []*provider{w.alpha, w.beta} {
		if got := p.states(tb, id); !maps.Equal(got, want) {
			tb.Errorf("%s has %v, want %v", p.name, got, want)
			w.explain(tb, p, id)
		}
		if got, _ := p.store.Transfer(tb.Context(), id); got.State != transfer.BatchPartial {
			tb.Errorf("transfer at %s is %s (%s), want PARTIAL", p.name, got.State, got.Reason)
		}
	}
	for _, d := range w.devices {
		s, at := d.state()
		_, der, ok := d.tr.Operational()
		if s.State != transfer.FellBack || at != w.alpha || !ok || string(der) == string(d.old) {
			tb.Errorf("%s is %s at %v", d.Endpoint, s.State, at)
		}
		w.gone(tb, d, w.beta)
		if err := w.alpha.ca.Live(tb.Context(), sha256.Sum256(d.old), time.Now()); !errors.Is(err, est.ErrRevoked) {
			tb.Errorf("certificate of %s before the transfer: %v, want ErrRevoked", d.Endpoint, err)
		}
		if o, _ := w.alpha.fleet.ByFactory(tb.Context(), fleet.Factory(d.Factory)); o.Ownership != fleet.Owned {
			tb.Errorf("%s is %s at Alpha", d.Endpoint, o.Ownership)
		}
		live, err := w.beta.ca.List(tb.Context(), est.Query{Kind: est.KindOperational, Status: est.StatusValid})
		if err != nil || len(live) > 0 {
			tb.Errorf("Beta has %d live certificates, %v", len(live), err)
		}
	}
}

// until waits for a condition.
func until(tb testing.TB, limit time.Duration, what string, is func() bool) {
	tb.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("after %v still not: %s", limit, what)
		}
	}
}

type fleetID = fleet.ID

func people(n int) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return n, nil }
}

func fleetFactory(d *device) fleet.Factory { return fleet.Factory(d.Factory) }

// drive waits until a transfer is over.
func (w *world) drive(tb testing.TB, id string) {
	tb.Helper()
	until(tb, 10*time.Minute, "over at both", func() bool {
		a, _ := w.alpha.store.Transfer(tb.Context(), id)
		b, _ := w.beta.store.Transfer(tb.Context(), id)
		return a.Over() && b.Over()
	})
}

// A user is a service user with its key and identity file.
type user struct {
	signer transfer.Signer
	file   []byte
}

func newUser(tb testing.TB, w *world) user {
	tb.Helper()
	key := esttest.Key(tb)
	issued, err := w.alpha.ca.IssueSigner(tb.Context(), est.KindTransferSigner, "User", key.Public())
	check(tb, err)
	file, err := coordinator.SignIdentity(coordinator.Identity{
		Name: "User", Kind: coordinator.ServiceUser,
		Signing: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.DER})),
	}, key)
	check(tb, err)
	return user{transfer.Signer{Key: key, Certificate: issued.DER}, file}
}

// mandate orders the move of all devices, signed by somebody.
func (u user) mandate(tb testing.TB, w *world, by transfer.Signer) []byte {
	tb.Helper()
	now := time.Now()
	m := transfer.Mandate{
		Issuer: "User", Expires: transfer.SecondsOf(now.Add(48 * time.Hour)), IssuedAt: transfer.SecondsOf(now),
		ID: []byte("mandate"), MandateTerms: transfer.MandateTerms{
			From: "Alpha", To: "Beta", Window: transfer.NewWindow(now.Add(-time.Hour), now.Add(48*time.Hour)),
		},
	}
	for _, d := range w.devices {
		m.Devices.Factory = append(m.Devices.Factory, transfer.Hash(d.Factory))
	}
	raw, err := m.Sign(by)
	check(tb, err)
	return raw
}
