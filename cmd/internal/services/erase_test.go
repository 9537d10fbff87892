package services_test

import (
	"errors"
	"testing"

	"steward/lwm2m/fleet"
	"steward/web"
)

func TestEraseDevice(t *testing.T) {
	w := newWorld(t)
	d := fleet.Device{ID: "d1", Endpoint: "lamp-1", Ownership: fleet.Owned}
	if err := w.db.Devices().Put(t.Context(), d, "test", ""); err != nil {
		t.Fatal(err)
	}
	erase := func(id, name, why string) error { return w.Devices.EraseDevice(t.Context(), alice, id, name, why) }
	if err := erase("d1", "lamp-1", "scrapped"); !errors.Is(err, web.ErrConflict) {
		t.Errorf("one that is ours: %v, want ErrConflict", err)
	}
	if _, err := w.Devices.RetireDevice(t.Context(), alice, "d1", web.Retirement{Reason: "scrapped"}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, id, endpoint, why string
		want                    error
	}{
		{"without a reason", "d1", "lamp-1", "", web.ErrInvalid},
		{"with another name", "d1", "lamp-2", "scrapped", web.ErrInvalid},
		{"without a name", "d1", "", "scrapped", web.ErrInvalid},
		{"an unknown one", "d2", "lamp-1", "scrapped", web.ErrNotFound},
		{"as it should be", "ep:lamp-1", "lamp-1", "scrapped", nil},
		{"again", "d1", "lamp-1", "scrapped", web.ErrNotFound},
	} {
		if err := erase(row.id, row.endpoint, row.why); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
	again := fleet.Device{ID: "d3", Endpoint: "lamp-1", Ownership: fleet.Expected}
	if err := w.db.Devices().Put(t.Context(), again, "test", ""); err != nil {
		t.Errorf("another of the same name: %v", err)
	}
	erased := web.AuditFilter{Subject: "d1", Action: "device.erase"}
	rows, err := w.Activity.ListAudit(t.Context(), erased, web.Page{Size: 9})
	if err != nil || len(rows.Items) != 1 || rows.Items[0].Actor != "operator:alice" ||
		rows.Items[0].Before != "lamp-1 left" {
		t.Errorf("audit rows %+v, %v", rows.Items, err)
	}
}
