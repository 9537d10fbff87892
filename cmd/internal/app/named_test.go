package app_test

import (
	"path/filepath"
	"testing"

	"steward/cmd/internal/app"
	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// TestNameGivenWithTheRight enrols a device whose name comes from a rule, and knows it
// by the certificate that it got: that says the name already.
func TestNameGivenWithTheRight(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "steward.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	ctx, clock := t.Context(), esttest.NewClock()
	ca, factory := esttest.NewCA(t, "Alpha", db.Inventory(), clock.Now), esttest.NewFactory(t, clock.Now)
	d := esttest.NewDevice(t, factory, "SN-1")
	if err := ca.TrustFactoryCA(ctx, factory.Root().Raw); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.GrantRight(ctx, est.Grant{FactoryDER: d.DER, Endpoint: "lamp-1", Named: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.OpenRight(ctx, d.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	if err := db.Devices().Put(ctx, fleet.Device{
		ID: "d", Endpoint: "lamp-1", Factory: fleet.Factory(d.Factory), Ownership: fleet.Owned, CreatedAt: clock.Now(),
	}, "test", "test"); err != nil {
		t.Fatal(err)
	}
	client := d.Client()
	client.Name = "lamp-1"
	issued, err := ca.Enrol(ctx, est.Request{Client: client, CSR: esttest.CSR(t, esttest.Key(t), "lamp-1")})
	if err != nil {
		t.Fatal(err)
	}
	for name, rule := range map[string]struct {
		sources []fleet.NameSource
		table   map[string]lwm2m.Endpoint
	}{
		"table":    {nil, map[string]lwm2m.Endpoint{"SN-1": "lamp-1"}},
		"hardware": {[]fleet.NameSource{fleet.NameHardware}, nil},
	} {
		naming, err := fleet.NewNaming(rule.sources, rule.table)
		if err != nil {
			t.Fatal(err)
		}
		who, err := app.IdentifyBy(ctx, ca, db.Devices(), naming, [][]byte{issued.DER})
		if err != nil || who.Name != "lamp-1" {
			t.Errorf("%s: identified as %q, %v", name, who.Name, err)
		}
	}
}
