package services_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/enrol"
	"steward/est/esttest"
	"steward/lwm2m/fleet"
	"steward/web"
)

// noRenewals is a fleet in which nobody listens.
type noRenewals struct{ enrol.Devices }

// TestEnrolments: what people see of renewals, and what they can order.
func TestEnrolments(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Enrolments.DeviceEnrolment(t.Context(), "x"); !errors.Is(err, web.ErrNotBuilt) {
		t.Errorf("DeviceEnrolment without a runner = %v, want ErrNotBuilt", err)
	}
	runner, err := enrol.NewRunner(enrol.RunnerOptions{
		Store: w.db.Enrolments(), Devices: noRenewals{}, Fleet: w.db.Devices(), Inventory: w.ca, Object: 42770,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.options.Enrolment = runner
	w.build(t, w.options)
	made := esttest.NewDevice(t, w.factory, "urn:dev:1")
	esttest.Grant(t, w.ca, w.factory, made)
	device := w.add(t, fleet.Device{Endpoint: "urn:dev:1", Factory: fleet.Factory(made.Factory)})
	if e, err := w.Enrolments.DeviceEnrolment(t.Context(), "ep:urn:dev:1"); err != nil || e.State != "none" ||
		e.Device != string(device.ID) {
		t.Errorf("DeviceEnrolment = %+v, %v, want none", e, err)
	}
	order := func(action string) (web.DeviceEnrolment, error) {
		return w.Enrolments.OrderEnrolment(t.Context(), alice, string(device.ID), web.EnrolmentOrder{Action: action})
	}
	if _, err := order("renew"); !errors.Is(err, web.ErrConflict) {
		t.Errorf("renewal of no certificate = %v, want ErrConflict", err)
	}
	if _, err := order("dance"); !errors.Is(err, web.ErrInvalid) {
		t.Errorf("order to dance = %v, want ErrInvalid", err)
	}
	if _, err := w.Enrolments.DeviceEnrolment(t.Context(), "nobody"); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("DeviceEnrolment of nobody = %v, want ErrNotFound", err)
	}
	put := func(state enrol.State, version int64) {
		t.Helper()
		err := w.db.Enrolments().Commit(t.Context(), enrol.Change{Enrolments: []enrol.Enrolment{{
			Device: device.ID, State: state, Certificate: est.Hash{7}, NotAfter: time.Now().Add(time.Hour), Proven: true,
			Want: enrol.Renewal, Why: "no answer\x1b", Tries: 8, Version: version, ChangedAt: time.Now(),
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(enrol.Failed, 0)
	e, err := w.Enrolments.DeviceEnrolment(t.Context(), string(device.ID))
	if err != nil || e.State != "failed" || e.Tries != 8 || !strings.HasPrefix(e.Certificate, "0700") || !e.InUse ||
		strings.Contains(e.Reason, "\x1b") {
		t.Errorf("DeviceEnrolment = %+v, %v", e, err)
	}
	list, err := w.Enrolments.ListEnrolments(t.Context(), "failed", web.Page{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Endpoint != "urn:dev:1" || list.Next != "" {
		t.Errorf("ListEnrolments = %+v, %v", list, err)
	}
	if _, err := w.Enrolments.ListEnrolments(t.Context(), "good", web.Page{}); !errors.Is(err, web.ErrInvalid) {
		t.Errorf("ListEnrolments of those in use = %v, want ErrInvalid", err)
	}
	o, err := w.Overview.Overview(t.Context(), w.clock.Now())
	if err != nil || o.RenewalsFailed != 1 || o.RenewalsMissed != 0 || !told(o, "1 renewal fails") {
		t.Errorf("Overview = %+v, %v", o, err)
	}
	if e, err := order("renew"); err != nil || e.State != "due" || e.Tries != 0 {
		t.Errorf("OrderEnrolment = %+v, %v, want due", e, err)
	}
	rows, err := w.Activity.ListAudit(t.Context(), web.AuditFilter{Action: "enrolment.order"}, web.Page{Size: 5})
	if err != nil || len(rows.Items) != 1 || rows.Items[0].Actor != alice.String() || rows.Items[0].Reason == "" {
		t.Errorf("audit = %+v, %v", rows.Items, err)
	}
	put(enrol.Expired, 2)
	o, err = w.Overview.Overview(t.Context(), w.clock.Now())
	if err != nil || o.RenewalsMissed != 1 || !told(o, "ended without renewal") {
		t.Errorf("Overview = %+v, %v", o, err)
	}
	if _, err := order("renew"); !errors.Is(err, web.ErrConflict) {
		t.Errorf("renewal of what ended = %v, want ErrConflict", err)
	}
}

// told reports whether a notice says text.
func told(o web.Overview, text string) bool {
	for _, n := range o.Notices {
		if strings.Contains(n.Text, text) && n.Link != "" {
			return true
		}
	}
	return false
}
