package services_test

import (
	"testing"

	"steward/cmd/internal/services"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/web"
)

// A factory certificate is of the endpoint that the provider's rule for names says,
// and so is its right to enrol.
func TestImportByRule(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	var err error
	if w.options.Naming, err = fleet.NewNaming(nil, map[string]lwm2m.Endpoint{"SN-1": "lamp-1"}); err != nil {
		t.Fatal(err)
	}
	all, err := services.New(w.options)
	if err != nil {
		t.Fatal(err)
	}
	d := esttest.NewDevice(t, w.factory, "SN-1")
	got, err := all.Factories.ImportDevice(t.Context(), alice, web.NewDevice{Certificate: d.DER})
	if err != nil || got.Endpoint != "lamp-1" {
		t.Fatalf("%+v, %v", got, err)
	}
	if right, err := w.ca.Right(t.Context(), d.Factory); err != nil || right.Endpoint != "lamp-1" {
		t.Errorf("right of %q, %v", right.Endpoint, err)
	}
	thief := esttest.NewDevice(t, w.factory, "lamp-1")
	_, err = all.Factories.ImportDevice(t.Context(), alice, web.NewDevice{Certificate: thief.DER})
	wantError(t, "a name that is given to another", err, web.ErrInvalid)
}
