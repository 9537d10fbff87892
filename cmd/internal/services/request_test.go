package services_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/web"
)

// TestCertificateRequests: what people see of requests that wait for them, and what
// they decide.
func TestCertificateRequests(t *testing.T) {
	w := newWorld(t)
	profile, err := est.NewProfile(est.ProfileOptions{
		Name: "asked", Kind: est.KindOperational, Validity: time.Hour, Approval: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.ca = esttest.NewCA(t, "Alpha", w.db.Inventory(), w.clock.Now, func(o *est.Options) {
		o.Requests, o.Profiles.Operational = w.db.Inventory(), profile
	})
	w.options.CA = w.ca
	w.build(t, w.options)
	device := esttest.NewDevice(t, w.factory, "urn:dev:1")
	esttest.Grant(t, w.ca, w.factory, device)
	if _, err := w.ca.OpenRight(t.Context(), device.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	ask := est.Request{Client: device.Client(), CSR: esttest.CSR(t, esttest.Key(t), "urn:dev:1")}
	if _, err := w.ca.Enrol(t.Context(), ask); !errors.Is(err, est.ErrPending) {
		t.Fatal(err)
	}
	all, err := w.Requests.ListCertificateRequests(t.Context(), "waiting", web.Page{Size: 10})
	if err != nil || len(all.Items) != 1 || all.Items[0].ID != hex.EncodeToString(device.Factory[:]) {
		t.Fatalf("ListCertificateRequests = %+v, %v", all.Items, err)
	}
	overview, err := w.Overview.Overview(t.Context(), time.Time{})
	if err != nil || !strings.Contains(overview.Notices[len(overview.Notices)-1].Text, "waits for the approval") {
		t.Errorf("notices %+v, %v", overview.Notices, err)
	}
	one := all.Items[0]
	decide := func(id, action, request string) error {
		_, err := w.Requests.DecideCertificateRequest(t.Context(), alice, id,
			web.RequestDecision{Action: web.RequestAction(action), Request: request, Reason: "seen"})
		return err
	}
	for _, tt := range []struct {
		id, action, request string
		want                error
	}{
		{one.ID, "dance", one.Request, web.ErrInvalid},
		{one.ID, "approve", "xyz", web.ErrInvalid},
		{"xyz", "approve", one.Request, web.ErrNotFound},
		{one.Request, "approve", one.Request, web.ErrNotFound},
		{one.ID, "approve", one.ID, web.ErrNotFound}, // another has taken its place
		{one.ID, "refuse", one.Request, nil},
		{one.ID, "approve", one.Request, nil},
	} {
		if err := decide(tt.id, tt.action, tt.request); !errors.Is(err, tt.want) {
			t.Errorf("%s %s of %s = %v, want %v", tt.action, tt.request, tt.id, err, tt.want)
		}
	}
	if _, err := w.ca.Enrol(t.Context(), ask); err != nil {
		t.Errorf("Enrol what was approved = %v", err)
	}
	if err := decide(one.ID, "refuse", one.Request); !errors.Is(err, web.ErrConflict) {
		t.Errorf("refuse what was used = %v, want ErrConflict", err)
	}
	if _, err := w.Requests.ListCertificateRequests(t.Context(), "dancing", web.Page{}); !errors.Is(err, web.ErrInvalid) {
		t.Errorf("list of a state that is none = %v, want ErrInvalid", err)
	}
	used, err := w.Requests.ListCertificateRequests(t.Context(), "", web.Page{Size: 10})
	if err != nil || len(used.Items) != 1 || used.Items[0].State != "used" || used.Items[0].By != alice.String() {
		t.Errorf("ListCertificateRequests = %+v, %v", used.Items, err)
	}
}
