package sqlite

import (
	"errors"
	"slices"
	"testing"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestRenameFactory: device, right and certificates of a device get the name of its
// new factory certificate together, but not while it is being handed over.
func TestRenameFactory(t *testing.T) {
	db, ctx := open(t), t.Context()
	var told []fleet.ID
	db.WatchDevices(func(id fleet.ID) { told = append(told, id) })
	clock := esttest.NewClock()
	store := db.Inventory()
	ca := esttest.NewCA(t, "Alpha", store, clock.Now, func(o *est.Options) { o.Origins = store })
	factory := esttest.NewFactory(t, clock.Now)
	made := esttest.NewDevice(t, factory, "urn:dev:1")
	esttest.Grant(t, ca, factory, made)
	if _, err := ca.OpenRight(ctx, made.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	d := fleet.Device{
		ID: "d1", Factory: fleet.Factory(made.Factory), Endpoint: "urn:dev:1", Ownership: fleet.Owned, CreatedAt: clock.Now(),
	}
	if err := db.Devices().Put(ctx, d, "test", "test"); err != nil {
		t.Fatal(err)
	}
	csr, err := est.NewRekeyCSR(esttest.Key(t), made.Key, made.DER, nil)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := factory.RekeyFactory(ctx, est.FactoryRekey{
		Client: est.Client{Role: est.RoleOperational, Certificate: est.Hash{1}, Name: made.Endpoint}, CSR: csr,
	})
	if err != nil {
		t.Fatal(err)
	}
	beta := coordinator.Partner{
		ID: "p1", Name: "Beta", Kind: coordinator.Provider, State: coordinator.Active, PeerURI: "https://beta",
		TLS: ca.Certificate().Raw, Signing: ca.Certificate().Raw, Issuing: ca.Certificate().Raw, AddedAt: clock.Now(),
	}
	if err := db.Transfers().PutPartner(ctx, beta, audit.Row{Action: "partner.add", Subject: "p1"}); err != nil {
		t.Fatal(err)
	}
	move := coordinator.Transfer{ID: "t1", Partner: beta.ID, State: transfer.BatchDraft}
	row := coordinator.Row{
		Transfer: "t1", Factory: d.Factory, Short: d.Factory.Short(), Device: d.ID, Endpoint: d.Endpoint,
		State: transfer.RowListed, Pair: []byte{1},
	}
	if err := db.Transfers().Commit(ctx, coordinator.Change{Transfer: &move, Rows: []coordinator.Row{row}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ca.FollowFactory(ctx, made.Factory, fresh.DER, nil); !errors.Is(err, est.ErrMoving) {
		t.Fatalf("while it is being handed over = %v, want ErrMoving", err)
	}
	if _, err := db.Devices().ByFactory(ctx, d.Factory); err != nil {
		t.Fatalf("after it was refused: %v", err)
	}
	row.Version, row.State = 1, transfer.RowAborted
	if err := db.Transfers().Commit(ctx, coordinator.Change{Rows: []coordinator.Row{row}}); err != nil {
		t.Fatal(err)
	}
	told = nil
	if _, moved, err := ca.FollowFactory(ctx, made.Factory, fresh.DER, nil); err != nil || !moved {
		t.Fatalf("FollowFactory = %v, %v", moved, err)
	}
	got, err := db.Devices().ByFactory(ctx, fleet.Factory(fresh.Hash))
	if err != nil || got.ID != d.ID || got.Endpoint != d.Endpoint || !got.CreatedAt.Equal(d.CreatedAt) {
		t.Errorf("device by its new certificate = %+v, %v", got, err)
	}
	if _, err := db.Devices().ByFactory(ctx, d.Factory); !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("device by its old certificate = %v, want ErrUnknown", err)
	}
	if o, err := ca.KeyOrigin(ctx, fresh.Hash); err != nil || o != est.OriginDevice {
		t.Errorf("origin = %q, %v, want device", o, err)
	}
	if len(told) != 1 || told[0] != d.ID {
		t.Errorf("the watcher was told of %v, want %v once", told, d.ID)
	}
	rows, err := db.AuditBefore(ctx, "", 0, 4)
	if err != nil || !hasAction(rows, "right.follow") || !hasAction(rows, "device.put") {
		t.Errorf("audit %+v, %v, want right.follow and device.put", rows, err)
	}
}

func hasAction(rows []audit.Record, action string) bool {
	return slices.ContainsFunc(rows, func(r audit.Record) bool { return r.Action == action })
}
