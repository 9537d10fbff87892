package app_test

import (
	"errors"
	"path/filepath"
	"testing"

	"steward/cmd/internal/app"
	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// A certificate stands for the device that it was issued to, by whatever name the
// rule finds, and never for another.
func TestNamesOfCertificates(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "steward.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	clock := esttest.NewClock()
	ca, factory := esttest.NewCA(t, "Alpha", db.Inventory(), clock.Now), esttest.NewFactory(t, clock.Now)
	chains := map[string][][]byte{}
	for _, serial := range []string{"SN-1", "SN-2"} {
		d := esttest.NewDevice(t, factory, serial)
		esttest.Grant(t, ca, factory, d)
		if _, err := ca.OpenRight(t.Context(), d.Factory, est.Hash{}); err != nil {
			t.Fatal(err)
		}
		issued, err := ca.Enrol(t.Context(), est.Request{
			Client: d.Client(), CSR: esttest.CSR(t, esttest.Key(t), serial),
		})
		if err != nil {
			t.Fatal(err)
		}
		chains[serial] = [][]byte{issued.DER}
		chains["factory of "+serial] = [][]byte{d.DER}
		if err := db.Devices().Put(t.Context(), fleet.Device{
			ID: fleet.ID(serial), Endpoint: lwm2m.Endpoint("urn:dev:" + serial), Factory: fleet.Factory(d.Factory),
			Ownership: fleet.Owned, CreatedAt: clock.Now(),
		}, "test", "test"); err != nil {
			t.Fatal(err)
		}
	}
	naming := func(table map[string]lwm2m.Endpoint) fleet.Naming {
		n, err := fleet.NewNaming(nil, table)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, c := range map[string]struct {
		naming fleet.Naming
		chain  string
		want   string // "": refused
		role   coap.Role
	}{
		"by the common name": {naming(nil), "SN-1", "SN-1", coap.RoleOperational},
		"by the table": {
			naming(map[string]lwm2m.Endpoint{"SN-1": "urn:dev:SN-1"}), "SN-1", "urn:dev:SN-1", coap.RoleOperational,
		},
		"the table has others": {
			naming(map[string]lwm2m.Endpoint{"SN-9": "urn:dev:SN-9"}), "SN-1", "SN-1", coap.RoleOperational,
		},
		"another device's name":   {naming(map[string]lwm2m.Endpoint{"SN-1": "urn:dev:SN-2"}), "SN-1", "", ""},
		"nobody's name":           {naming(map[string]lwm2m.Endpoint{"SN-1": "urn:dev:nobody"}), "SN-1", "", ""},
		"a name given to another": {naming(map[string]lwm2m.Endpoint{"SN-9": "SN-2"}), "SN-2", "", ""},
		"a factory certificate": {
			naming(map[string]lwm2m.Endpoint{"SN-1": "urn:dev:SN-1"}), "factory of SN-1", "SN-1", coap.RoleFactory,
		},
	} {
		t.Run(name, func(t *testing.T) {
			who, err := app.IdentifyBy(t.Context(), ca, db.Devices(), c.naming, chains[c.chain])
			if c.want == "" {
				if !errors.Is(err, fleet.ErrNameless) || who.Name != "" {
					t.Errorf("identified as %q, %v", who.Name, err)
				}
				return
			}
			if err != nil || who.Name != c.want || who.Role != c.role {
				t.Errorf("identified as %q (%s), %v, want %q", who.Name, who.Role, err, c.want)
			}
			if c.role != coap.RoleOperational {
				return
			}
			// An association that is kept over a restart stands and falls with the name.
			if err := app.Stands(t.Context(), ca, db.Devices(), c.naming, who, clock.Now()); err != nil {
				t.Errorf("after a restart: %v", err)
			}
			other := naming(map[string]lwm2m.Endpoint{"SN-1": "urn:dev:SN-1"})
			if who.Name != "SN-1" {
				other = naming(nil)
			}
			if err := app.Stands(t.Context(), ca, db.Devices(), other, who, clock.Now()); !errors.Is(err, fleet.ErrNameless) {
				t.Errorf("after a restart by another rule: %v", err)
			}
		})
	}
}
