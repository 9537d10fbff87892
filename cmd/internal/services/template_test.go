package services_test

import (
	"errors"
	"fmt"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/web"
)

func TestObservationTemplates(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	d := w.add(t, fleet.Device{Endpoint: "d", Tags: []string{"meters"}})
	battery := web.WantedObservation{Paths: []string{"/3/0/9"}, Attributes: []string{"pmin=10"}}
	both := web.WantedObservation{Paths: []string{"/3/0/9", "/4/0"}, Composite: true}
	for name, tt := range map[string]struct {
		t    web.ObservationTemplate
		want error
	}{
		"no observation": {web.ObservationTemplate{Name: "x"}, web.ErrInvalid},
		"no name":        {web.ObservationTemplate{Observations: []web.WantedObservation{battery}}, web.ErrInvalid},
		"bad path": {
			web.ObservationTemplate{Name: "x", Observations: []web.WantedObservation{{Paths: []string{"3"}}}}, web.ErrInvalid,
		},
		"bad attribute": {
			web.ObservationTemplate{Name: "x", Observations: []web.WantedObservation{
				{Paths: []string{"/3"}, Attributes: []string{"x=1"}},
			}}, web.ErrInvalid,
		},
		"control characters": {
			web.ObservationTemplate{Name: "x\x1b", Observations: []web.WantedObservation{battery}}, web.ErrInvalid,
		},
	} {
		_, err := w.Observations.PutObservationTemplate(ctx, alice, tt.t)
		wantError(t, name, err, tt.want)
	}
	for _, x := range []web.ObservationTemplate{
		{Name: "meters", Tag: "meters", Observations: []web.WantedObservation{battery, both}},
		{Name: "others", Tag: "others", Observations: []web.WantedObservation{battery}},
		{Name: "meters", Tag: "meters", Observations: []web.WantedObservation{both, battery}},
	} {
		if _, err := w.Observations.PutObservationTemplate(ctx, alice, x); err != nil {
			t.Fatal(err)
		}
	}
	if row := w.audited(t, "observation.template"); row.Actor != "operator:alice" || row.Subject != "meters" {
		t.Errorf("audit row = %+v", row.Row)
	}
	all, err := w.Observations.ObservationTemplates(ctx)
	if err != nil || len(all) != 2 || len(all[0].Observations) != 2 {
		t.Errorf("templates = %+v, %v", all, err)
	}
	got, err := w.Observations.DeviceObservations(ctx, string(d.ID))
	if text := fmt.Sprint(got); err != nil || text != "[/3/0/9, /4/0 /3/0/9 pmin=10]" || !got[0].Drift ||
		got[0].Template != "meters" || !got[0].Composite || got[1].Composite {
		t.Errorf("observations of the device = %v, %+v, %v", text, got, err)
	}
	_, err = w.Operations.Do(ctx, alice, string(d.ID), web.Operation{
		Kind: web.OpCancelObserve, Path: lwm2m.NewPath(3, 0, 9),
	})
	wantError(t, "cancel of what a template wants", err, web.ErrConflict)
	wantError(t, "remove", w.Observations.RemoveObservationTemplate(ctx, alice, "meters"), nil)
	wantError(t, "remove again", w.Observations.RemoveObservationTemplate(ctx, alice, "meters"), web.ErrNotFound)
	if got, err = w.Observations.DeviceObservations(ctx, string(d.ID)); err != nil || len(got) != 0 {
		t.Errorf("observations of the device = %+v, %v", got, err)
	}
	_, err = w.Observations.DeviceObservations(ctx, "nobody")
	wantError(t, "of nobody", err, web.ErrNotFound)
}

// TestReconcile asks for a device that is known only, and by a bulk action.
func TestReconcile(t *testing.T) {
	w := newGroupWorld(t)
	if err := w.Observations.ReconcileObservations(t.Context(), alice, "nobody"); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("Reconcile(nobody): %v", err)
	}
	b := newBulk(t, w)
	runBulk(t, b)
	_, results := finish(t, b, web.NewBulk{Action: web.BulkReconcile, Filter: "tag=meter"})
	if results != "01A done ; 01B done " {
		t.Errorf("results = %q", results)
	}
	rows, err := w.Activity.ListAudit(t.Context(), web.AuditFilter{Subject: "01A"}, web.Page{Size: 9})
	if err != nil || len(rows.Items) == 0 || rows.Items[0].Action != "observation.reconcile" {
		t.Errorf("audit = %+v, %v", rows.Items, err)
	}
}
