package services_test

import (
	"errors"
	"testing"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// revoke revokes the operational certificate of a device.
func revoke(t *testing.T, w *world, factory fleet.Factory) {
	t.Helper()
	q := est.Query{Kind: est.KindOperational, Factory: est.Hash(factory)}
	all, err := w.db.Inventory().Certificates(t.Context(), q)
	check(t, err)
	for _, c := range all {
		c.Status, c.Reason, c.RevokedAt = est.StatusRevoked, est.Superseded, w.clock.Now()
		check(t, w.db.Inventory().Commit(t.Context(), est.Change{Update: []est.Record{c}}))
	}
}

// TestLongTransferReport has more devices than are read at a time.
func TestLongTransferReport(t *testing.T) {
	w, _ := withTransfers(t)
	const devices = 1201
	rows := make([]coordinator.Row, devices)
	for i := range rows {
		f := fleet.Factory{byte(i), byte(i >> 8), 1}
		rows[i] = coordinator.Row{
			State: transfer.RowFellBack, Factory: f, Short: f.Short(), Endpoint: lwm2m.Endpoint(f.Short()), Reason: "late",
		}
	}
	w.transfer(t, coordinator.Transfer{
		ID: "ff", Partner: "partner-0", PartnerName: "Beta", State: transfer.BatchPartial,
	}, rows...)
	r, err := w.Records.TransferReport(t.Context(), "ff")
	check(t, err)
	seen := map[string]bool{}
	for _, d := range r.Devices {
		seen[d.Endpoint] = true
	}
	if len(r.Devices) != devices || len(seen) != devices || len(r.Failures) != 1 || r.Failures[0].Count != devices {
		t.Errorf("%d devices, %d of them different, failures %+v", len(r.Devices), len(seen), r.Failures)
	}
}

// TestTransferReport sums up a transfer of which one device arrived, one fell back and
// one is still out.
func TestTransferReport(t *testing.T) {
	w, _ := withTransfers(t)
	w.trust(t)
	d, _ := w.enrolled(t, "meter-1")
	ctx, now := t.Context(), w.clock.Now()
	owned, err := w.db.Devices().Device(ctx, fleet.ID(d.ID))
	check(t, err)
	row := func(n byte, state transfer.RowState, took time.Duration, reason string) coordinator.Row {
		r := coordinator.Row{
			State: state, Factory: fleet.Factory{n}, Endpoint: "x", Reason: reason, Message: make([]byte, 400),
		}
		if n == 0 {
			r.Factory, r.Device, r.Endpoint = owned.Factory, owned.ID, owned.Endpoint
		}
		r.Short, r.CommittedAt = r.Factory.Short(), now
		if took > 0 {
			r.ActiveAt = now.Add(took)
		}
		return r
	}
	out := row(3, transfer.RowCommitted, 0, "")
	out.Inferred = true
	w.transfer(t, coordinator.Transfer{
		ID: "ff", Partner: "partner-0", PartnerName: "Beta", State: transfer.BatchPartial,
		Approvals: []coordinator.Approval{{Side: "Alpha", By: "operator:bob", At: now}},
	}, row(0, transfer.RowRevokedOld, 2*time.Second, ""), row(2, transfer.RowFellBack, 90*time.Second, "no network"), out)
	var receipts []coordinator.Receipt
	for _, n := range []byte{1, 2} {
		receipts = append(receipts, coordinator.Receipt{
			Transfer: "ff", Short: out.Short, State: transfer.Committed, Hash: transfer.Hash{n}, Raw: []byte{n}, At: now,
		})
	}
	check(t, w.db.Transfers().Commit(ctx, coordinator.Change{Receipts: receipts}))
	r, err := w.Records.TransferReport(ctx, "ff")
	check(t, err)
	if r.Total != 3 || r.Done != 1 || r.Failed != 1 || r.Open != 1 || r.Closed || r.Inferred != 1 || r.To != "Beta" {
		t.Errorf("counts: %+v", r)
	}
	if r.Disruption != (web.Disruption{Known: 2, Median: 2, P95: 90, Most: 90}) || r.Bytes != 1200 {
		t.Errorf("disruption %+v, %d bytes", r.Disruption, r.Bytes)
	}
	stayed := web.TransferFailures{State: "FELL_BACK", Reason: "no network", Count: 1}
	if len(r.Failures) != 1 || r.Failures[0] != stayed {
		t.Errorf("failures: %+v", r.Failures)
	}
	if r.Receipts != len(receipts) || r.Revocations != 0 || r.Unrevoked != 1 || len(r.Approvals) != 1 {
		t.Errorf("%d revoked, %d not, approvals %+v", r.Revocations, r.Unrevoked, r.Approvals)
	}
	detail, err := w.Devices.Device(ctx, d.ID)
	check(t, err)
	if len(detail.Custody) != 1 || detail.Custody[0].From != r.From || detail.Custody[0].To != "Beta" ||
		detail.Custody[0].At != now.Add(2*time.Second) {
		t.Errorf("custody: %+v", detail.Custody)
	}
	for _, x := range r.Devices {
		want := 0
		if x.Endpoint == string(out.Endpoint) && x.Inferred {
			want = len(receipts)
		}
		if x.Receipts != want {
			t.Errorf("%s: %d receipts, want %d", x.State, x.Receipts, want)
		}
		if x.Next == "" {
			t.Errorf("%s: nobody is told what comes", x.State)
		}
	}
	revoke(t, w, owned.Factory)
	if r, err = w.Records.TransferReport(ctx, "ff"); err != nil || r.Revocations != 1 || r.Unrevoked != 0 {
		t.Errorf("%d revoked, %d not, %v", r.Revocations, r.Unrevoked, err)
	}
	if _, err := w.Records.TransferReport(ctx, "00"); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
}
