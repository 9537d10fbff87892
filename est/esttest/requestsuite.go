package esttest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"steward/est"
)

func testSealedKeys(t *testing.T, b Backend) {
	t.Helper()
	k := est.SealedKey{
		Client: hash("client"), CSR: hash("csr"), Certificate: hash("c"), Sealed: []byte("sealed"),
		Until: start.Add(time.Hour),
	}
	stale := k
	stale.Client, stale.Until = hash("other"), start
	commit(t, b.Store, est.Change{Key: &stale})
	commit(t, b.Store, est.Change{Key: &k})
	if got, err := b.Requests.SealedKey(t.Context(), k.Client, k.CSR); err != nil || !reflect.DeepEqual(got, k) {
		t.Errorf("SealedKey = %+v, %v\nwant %+v", got, err, k)
	}
	k.Certificate, k.Sealed = hash("d"), []byte("another")
	commit(t, b.Store, est.Change{Key: &k})
	if got, err := b.Requests.SealedKey(t.Context(), k.Client, k.CSR); err != nil || !reflect.DeepEqual(got, k) {
		t.Errorf("SealedKey in place of another = %+v, %v\nwant %+v", got, err, k)
	}
	if err := b.Requests.ForgetKeys(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	for _, id := range [][2]est.Hash{{stale.Client, stale.CSR}, {k.Client, hash("?")}, {k.CSR, k.Client}} {
		if _, err := b.Requests.SealedKey(t.Context(), id[0], id[1]); !errors.Is(err, est.ErrUnknown) {
			t.Errorf("SealedKey(%x) = %v, want ErrUnknown", id[0][:4], err)
		}
	}
	if _, err := b.Requests.SealedKey(t.Context(), k.Client, k.CSR); err != nil {
		t.Errorf("a key that is kept was forgotten: %v", err)
	}
}

func testApprovals(t *testing.T, b Backend) {
	t.Helper()
	want := make([]est.Approval, 0, 3) //nolint:mnd // below
	for _, name := range []string{"a", "b", "c"} {
		a := est.Approval{
			Client: hash(name), CSR: hash("csr " + name), SPKI: hash("key " + name), Endpoint: "urn:" + name,
			Profile: "operational", State: est.ApprovalWaiting, AskedAt: start,
		}
		commit(t, b.Store, est.Change{Approval: &a})
		if err := b.Store.Commit(t.Context(), est.Change{Approval: &a}); !errors.Is(err, est.ErrConflict) {
			t.Errorf("second insert = %v, want ErrConflict", err)
		}
		a.Version = 1
		want = append(want, a)
	}
	decided := want[0]
	decided.State, decided.SPKI, decided.DecidedAt = est.ApprovalApproved, est.Hash{}, start.Add(time.Second)
	decided.By, decided.Why = "operator:1", "known"
	commit(t, b.Store, est.Change{Approval: &decided})
	if err := b.Store.Commit(t.Context(), est.Change{Approval: &decided}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("stale update = %v, want ErrConflict", err)
	}
	decided.Version, want[0] = 2, decided
	want[0].Version = 2
	for _, a := range want {
		if got, err := b.Requests.Approval(t.Context(), a.Client); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("Approval = %+v, %v\nwant %+v", got, err, a)
		}
	}
	if _, err := b.Requests.Approval(t.Context(), hash("?")); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("Approval of nobody = %v, want ErrUnknown", err)
	}
	slices.SortFunc(want, func(a, b est.Approval) int { return slices.Compare(a.Client[:], b.Client[:]) })
	first, err := b.Requests.Approvals(t.Context(), "", est.Hash{}, 2)
	if err != nil || !reflect.DeepEqual(first, want[:2]) {
		t.Errorf("Approvals = %+v, %v", first, err)
	}
	rest, err := b.Requests.Approvals(t.Context(), "", want[1].Client, 2)
	if err != nil || !reflect.DeepEqual(rest, want[2:]) {
		t.Errorf("Approvals after = %+v, %v", rest, err)
	}
	only, err := b.Requests.Approvals(t.Context(), est.ApprovalApproved, est.Hash{}, 9)
	if err != nil || len(only) != 1 || only[0].Client != decided.Client {
		t.Errorf("Approvals(approved) = %+v, %v", only, err)
	}
}
