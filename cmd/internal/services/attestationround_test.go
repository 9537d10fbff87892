package services_test

import (
	"context"
	"fmt"
	"testing"

	"steward/est/attest"
	"steward/est/attest/rounds"
	"steward/est/esttest"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/web"
)

// withRounds builds the services anew with a runner, which nobody runs.
func (w *world) withRounds(t *testing.T) *rounds.Runner {
	t.Helper()
	runner, err := rounds.New(rounds.Options{
		Store: w.db.Rounds(), Listens: func(fleet.ID) bool { return false },
		Ask: func(context.Context, fleet.ID) error { return nil },
		Find: func(ctx context.Context, f fleet.Factory) (fleet.ID, error) {
			d, err := w.db.Devices().ByFactory(ctx, f)
			return d.ID, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := w.options
	o.Rounds = runner
	w.build(t, o)
	return runner
}

func TestAttestationRules(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	day := web.AttestationRule{Tag: web.OtherTags, Seconds: 86400}
	_, err := w.Rounds.PutAttestationRule(ctx, alice, day)
	wantError(t, "without the objects of the hand-over", err, web.ErrConflict)
	w.withRounds(t)
	for _, r := range []web.AttestationRule{day, {Tag: "lamp", Seconds: 600}, {Tag: "lamp"}} {
		if got, err := w.Rounds.PutAttestationRule(ctx, alice, r); err != nil || got != r {
			t.Errorf("PutAttestationRule(%+v) = %+v, %v", r, got, err)
		}
	}
	row := w.audited(t, "attestation.rule")
	if row.Before != "10m0s" || row.After != "0s" || row.Actor != "operator:alice" {
		t.Errorf("audit row = %+v", row.Row)
	}
	all, err := w.Rounds.AttestationRules(ctx)
	if err != nil || len(all) != 2 || all[0] != day || all[1] != (web.AttestationRule{Tag: "lamp"}) {
		t.Errorf("AttestationRules = %+v, %v", all, err)
	}
	for _, bad := range []web.AttestationRule{
		{Seconds: 600},
		{Tag: "lamp", Seconds: 599},
		{Tag: "lamp", Seconds: 31622401},
		{Tag: "lamp", Seconds: -1},
		{Tag: "a\x00b", Seconds: 600},
	} {
		_, err := w.Rounds.PutAttestationRule(ctx, alice, bad)
		wantError(t, fmt.Sprintf("%+v", bad), err, web.ErrInvalid)
	}
	if err := w.Rounds.RemoveAttestationRule(ctx, alice, "lamp"); err != nil {
		t.Error(err)
	}
	wantError(t, "removed twice", w.Rounds.RemoveAttestationRule(ctx, alice, "lamp"), web.ErrNotFound)
	for n := range 63 {
		if _, err := w.Rounds.PutAttestationRule(ctx, alice, web.AttestationRule{Tag: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.Rounds.PutAttestationRule(ctx, alice, web.AttestationRule{Tag: "one more"})
	wantError(t, "65 rules", err, web.ErrConflict)
	if _, err := w.Rounds.PutAttestationRule(ctx, alice, day); err != nil {
		t.Errorf("in place of one of 64: %v", err)
	}
}

// TestAttestationRounds: a bad verdict stands in the list, on the device and on the
// first page.
func TestAttestationRounds(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	runner := w.withRounds(t)
	ctx := t.Context()
	device := esttest.NewDevice(t, w.factory, "urn:dev:1")
	made, err := w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: device.DER})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := w.Attestations.Attestation(ctx, made.ID); err != nil || a.Round != nil {
		t.Errorf("before any verdict: %+v, %v", a.Round, err)
	}
	err = runner.Judged(ctx, attest.Result{
		Device: attest.Hash(device.Factory), At: w.clock.Now(), Tier: attest.TierContraindicated, Reason: "altered",
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.Rounds.ListAttestations(ctx, "bad", web.Page{Size: 9})
	if err != nil || len(list.Items) != 1 || list.Items[0].Endpoint != "urn:dev:1" || list.Items[0].Reason != "altered" {
		t.Errorf("ListAttestations(bad) = %+v, %v", list, err)
	}
	if list, err = w.Rounds.ListAttestations(ctx, "good", web.Page{Size: 9}); err != nil || len(list.Items) != 0 {
		t.Errorf("ListAttestations(good) = %+v, %v", list, err)
	}
	_, err = w.Rounds.ListAttestations(ctx, "ugly", web.Page{Size: 9})
	wantError(t, "unknown state", err, web.ErrInvalid)
	o, err := w.Overview.Overview(ctx, w.clock.Now())
	if err != nil || o.AttestationBad != 1 || o.AttestationMute != 0 || o.Notices[0].Link != "/attestation?state=bad" {
		t.Errorf("Overview = %+v, %v", o, err)
	}
	w.audited(t, "attestation.bad")
	made, err = w.Factories.ImportDevice(ctx, alice, web.NewDevice{Endpoint: "urn:dev:2", NoSec: true})
	if err != nil {
		t.Fatal(err)
	}
	mute := rounds.Round{Device: fleet.ID(made.ID), State: rounds.Mute, Why: "4.04"}
	if err := w.db.Rounds().Commit(ctx, mute, audit.Row{}); err != nil {
		t.Fatal(err)
	}
	if o, err = w.Overview.Overview(ctx, w.clock.Now()); err != nil || o.AttestationMute != 1 {
		t.Errorf("Overview = %+v, %v", o, err)
	}
}

// TestBulkAttest: a verdict that speaks against a device is told, and no failure.
func TestBulkAttest(t *testing.T) {
	w := newGroupWorld(t)
	o := w.options
	asked := 0
	o.Attest = func(_ context.Context, id fleet.ID, _ fleet.Factory) error {
		asked++
		if id == "01B" {
			return attest.ErrUnknown
		}
		return nil
	}
	w.build(t, o)
	b := newBulk(t, w)
	runBulk(t, b)
	_, results := finish(t, b, web.NewBulk{Action: web.BulkAttest, Devices: []string{"01A"}})
	if results != "01A done " || asked != 1 {
		t.Errorf("results = %q after %d questions", results, asked)
	}
	_, results = finish(t, b, web.NewBulk{Action: web.BulkAttest, Devices: []string{"01B"}})
	if results != "01B failed the present state does not allow this: no attestation key of this device is known" {
		t.Errorf("results = %q", results)
	}
}
