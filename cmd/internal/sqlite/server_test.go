package sqlite

import (
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

// withDevices returns a database in which devices exist.
func withDevices(t *testing.T, devices ...fleet.ID) *DB {
	t.Helper()
	db := open(t)
	for _, id := range devices {
		d := fleet.Device{ID: id, Endpoint: lwm2m.Endpoint("ep-" + string(id)), Ownership: fleet.Owned, CreatedAt: time.Now()}
		if err := db.Devices().Put(t.Context(), d, "test", ""); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func TestServerStore(t *testing.T) {
	servertest.TestStore(t, func(t *testing.T, devices ...fleet.ID) server.Store {
		t.Helper()
		return withDevices(t, devices...).Server()
	})
}

func TestValues(t *testing.T) {
	s := withDevices(t, "a").Server()
	want := []lwm2m.Entry{
		{Path: lwm2m.NewPath(3, 0, 9), Value: lwm2m.Integer(7)},
		{Path: lwm2m.NewPath(3, 0, 13), Value: lwm2m.Time(1e9)},
		{Path: lwm2m.NewPath(3, 0, 100), Value: lwm2m.Float(0.1)},
		{Path: lwm2m.NewPath(5, 0, 0), Value: lwm2m.Opaque([]byte{0, 1})},
	}
	now := time.Now()
	var reports []server.Report
	for _, e := range want {
		late := lwm2m.Entry{Path: e.Path, Value: lwm2m.Integer(99)}
		reports = append(reports, server.Report{Device: "a", From: server.FromRead, Entry: e, At: now},
			server.Report{Device: "a", From: server.FromNotify, Entry: late, At: now.Add(-time.Second)})
	}
	if err := s.Record(t.Context(), reports); err != nil {
		t.Fatal(err)
	}
	got, err := s.Values(t.Context(), "a")
	if err != nil || len(got) != len(want) {
		t.Fatalf("Values = %v, %v", got, err)
	}
	for i := range want {
		if got[i].Entry != want[i] || got[i].From != server.FromRead {
			t.Errorf("value %d = %+v, want %+v", i, got[i], want[i])
		}
	}
}
