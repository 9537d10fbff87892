package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// TestComesBackRekeyed hands a device to a provider that had it before the device got
// another factory key: it is known by its name and the CA of both certificates.
func TestComesBackRekeyed(t *testing.T) {
	for name, tt := range map[string]struct {
		owner   fleet.Ownership
		deleted bool // the right of the certificate before
		other   bool // which another factory CA had issued
		want    transfer.RowState
	}{
		"it had left":                     {fleet.Left, true, false, transfer.RowRevokedOld},
		"a device of that name is there":  {fleet.Owned, true, false, transfer.RowRejected},
		"a device of that name may enrol": {fleet.Left, false, false, transfer.RowRejected},
		"of another factory":              {fleet.Left, true, true, transfer.RowRejected},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const endpoint = "urn:dev:os:32473-rekeyed"
				w := newWorld(t, 1)
				factory := w.factory
				if tt.other {
					factory = esttest.NewFactory(t, time.Now)
				}
				before := esttest.NewDevice(t, factory, endpoint)
				esttest.Grant(t, w.beta.ca, factory, before)
				if tt.deleted {
					_, err := w.beta.ca.DeleteRight(t.Context(), before.Factory, est.CessationOfOperation)
					check(t, err)
				}
				check(t, w.beta.fleet.Put(t.Context(), fleet.Device{
					ID: "former", Endpoint: lwm2m.Endpoint(endpoint), Factory: fleet.Factory(before.Factory), Ownership: tt.owner,
				}, "test", ""))
				check(t, factory.Revoke(t.Context(), before.Factory, est.Superseded, "re-key"))
				w.devices = append(w.devices, newDevice(t, w, w.alpha, endpoint))
				again := fleet.Factory(w.devices[1].Factory)
				w.start(t)
				id := w.handOver(t)
				time.Sleep(10 * time.Minute)
				row, err := w.beta.store.Row(t.Context(), id, again.Short())
				if err != nil || row.State != tt.want {
					t.Errorf("Beta: %s, %s, %v, want %s", row.State, row.Reason, err, tt.want)
				}
				d, err := w.beta.fleet.Device(t.Context(), "former")
				if came := d.Factory == again && d.Ownership == fleet.Owned; err != nil ||
					came != (tt.want == transfer.RowRevokedOld) {
					t.Errorf("the device at Beta: %+v, %v", d, err)
				}
			})
		})
	}
}
