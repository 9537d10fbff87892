package sqlite

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/audit"
)

func TestInventory(t *testing.T) {
	esttest.TestStore(t, func(t *testing.T) esttest.Backend {
		t.Helper()
		db := open(t)
		all := db.Inventory()
		return esttest.Backend{Store: all, Requests: all, Audit: func(ctx context.Context) ([]audit.Row, error) {
			records, err := db.AuditBefore(ctx, "", 0, 1000)
			var out []audit.Row
			for _, r := range slices.Backward(records) {
				r.At = r.At.UTC()
				out = append(out, r.Row)
			}
			return out, err
		}}
	})
}

// TestEnrolmentRace lets two keys race for one right, on disk.
func TestEnrolmentRace(t *testing.T) {
	db := open(t)
	clock := esttest.NewClock()
	ca, factory := esttest.NewCA(t, "Alpha", db.Inventory(), clock.Now), esttest.NewFactory(t, clock.Now)
	device := esttest.NewDevice(t, factory, "urn:dev:1")
	esttest.Grant(t, ca, factory, device)
	if _, err := ca.OpenRight(t.Context(), device.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	var answers [2]est.Issued
	var errs [2]error
	var wg sync.WaitGroup
	for i := range answers {
		csr := esttest.CSR(t, esttest.Key(t), device.Endpoint)
		wg.Go(func() { answers[i], errs[i] = ca.Enrol(t.Context(), est.Request{Client: device.Client(), CSR: csr}) })
	}
	wg.Wait()
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	if errs[winner] != nil || !errors.Is(errs[1-winner], est.ErrWrongKey) {
		t.Fatalf("Enrol = %v and %v, want one certificate and ErrWrongKey", errs[0], errs[1])
	}
	records, err := ca.List(t.Context(), est.Query{Kind: est.KindOperational})
	if err != nil || len(records) != 1 || records[0].Hash != answers[winner].Hash {
		t.Errorf("%d certificates, %v, want the winner's", len(records), err)
	}
}

// TestHistoryOfRight finds what became of a right in rows of its own, and in those of
// the certificates issued by it.
func TestHistoryOfRight(t *testing.T) {
	db := open(t)
	clock := esttest.NewClock()
	ca, factory := esttest.NewCA(t, "Alpha", db.Inventory(), clock.Now), esttest.NewFactory(t, clock.Now)
	var first string
	for _, endpoint := range []string{"urn:dev:1", "urn:dev:2"} {
		device := esttest.NewDevice(t, factory, endpoint)
		esttest.Grant(t, ca, factory, device)
		if _, err := ca.OpenRight(t.Context(), device.Factory, est.Hash{}); err != nil {
			t.Fatal(err)
		}
		csr := esttest.CSR(t, esttest.Key(t), device.Endpoint)
		if _, err := ca.Enrol(t.Context(), est.Request{Client: device.Client(), CSR: csr}); err != nil {
			t.Fatal(err)
		}
		first = cmp.Or(first, hex.EncodeToString(device.Factory[:]))
	}
	for _, row := range []struct {
		query AuditQuery
		want  string
	}{
		{AuditQuery{Subject: first, Limit: 10}, "certificate.issue right.open right.grant"},
		{AuditQuery{Subject: first, Limit: 2}, "certificate.issue right.open"},
		{AuditQuery{Subject: first, Action: "right.", Limit: 10}, "right.open right.grant"},
		{AuditQuery{Subject: first, Action: "certificate.", Limit: 10}, "certificate.issue"},
		{AuditQuery{Subject: first, Actor: "device:urn:dev:1", Limit: 10}, "certificate.issue"},
		{AuditQuery{Subject: first, Actor: "system", Limit: 10}, "right.open right.grant"},
		{AuditQuery{Subject: "urn:dev:1", Limit: 10}, ""},
	} {
		rows, err := db.View().AuditRows(t.Context(), row.query)
		var got []string
		for _, r := range rows {
			got = append(got, r.Action)
		}
		if text := strings.Join(got, " "); err != nil || text != row.want {
			t.Errorf("%+v: %s, %v, want %s", row.query, text, err, row.want)
		}
	}
}

// TestRevokedStays asks the database itself, past all Go code.
func TestRevokedStays(t *testing.T) {
	db := open(t)
	clock := esttest.NewClock()
	ca := esttest.NewCA(t, "Alpha", db.Inventory(), clock.Now)
	out, err := ca.IssueServer(t.Context(), "alpha.example", esttest.Key(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Revoke(t.Context(), out.Hash, est.KeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.w.conn.ExecContext(t.Context(), "UPDATE certificate SET status = 'valid'")
		return err
	})
	if err == nil {
		t.Error("a revoked certificate became valid by SQL")
	}
}
