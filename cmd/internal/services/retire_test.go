package services_test

import (
	"errors"
	"testing"

	"steward/lwm2m/fleet"
	"steward/web"
)

func TestRetireDevice(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	d, issued := w.enrolled(t, "meter-1")
	w.online(t, fleet.Device{ID: fleet.ID(d.ID), Endpoint: "meter-1"})
	if _, err := w.Devices.RetireDevice(t.Context(), alice, d.ID, ""); !errors.Is(err, web.ErrInvalid) {
		t.Errorf("without a reason: %v", err)
	}
	got, err := w.Devices.RetireDevice(t.Context(), alice, d.ID, "broken")
	if err != nil || got.State != web.DeviceLeft {
		t.Fatalf("RetireDevice = %+v, %v", got, err)
	}
	live, err := w.Certificates.ListCertificates(t.Context(),
		web.CertificateFilter{Device: d.ID, State: web.CertificateLive}, web.Page{Size: 9})
	if err != nil || len(live.Items) != 0 {
		t.Errorf("live certificates = %+v, %v", live.Items, err)
	}
	if len(w.dropped) == 0 || w.dropped[0] != issued.Hash {
		t.Errorf("sessions dropped: %v", w.dropped)
	}
	detail, err := w.Devices.Device(t.Context(), d.ID)
	if err != nil || detail.Registration != nil {
		t.Errorf("it is still registered: %+v, %v", detail.Registration, err)
	}
	if _, err := w.Devices.RetireDevice(t.Context(), alice, d.ID, "again"); !errors.Is(err, web.ErrConflict) {
		t.Errorf("twice: %v", err)
	}
	plain := w.add(t, fleet.Device{ID: "01P", Endpoint: "plain", Ownership: fleet.Owned, NoSec: true})
	got, err = w.Devices.RetireDevice(t.Context(), alice, string(plain.ID), "x")
	if err != nil || got.State != web.DeviceLeft {
		t.Errorf("without a certificate: %+v, %v", got, err)
	}
	if _, err := w.Devices.RetireDevice(t.Context(), alice, "nobody", "x"); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}
