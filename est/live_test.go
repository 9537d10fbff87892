package est_test

import (
	"errors"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// liveNow counts the valid operational certificates of a name.
func (w *world) liveNow(t *testing.T) int {
	t.Helper()
	records, err := w.store.Certificates(t.Context(), est.Query{
		Kind: est.KindOperational, Status: est.StatusValid, Name: endpoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(records)
}

// TestEnrolEndsWhatWasDelivered holds that a right leaves nothing alive that the
// device got before without it.
func TestEnrolEndsWhatWasDelivered(t *testing.T) {
	for _, factory := range []bool{true, false} {
		w := newWorld(t)
		from := w.device.Factory
		if !factory {
			from = est.Hash{}
		}
		if _, err := w.ca.Deliver(t.Context(), endpoint, from); err != nil {
			t.Fatal(err)
		}
		w.enrolled(t)
		if n := w.liveNow(t); n != 1 {
			t.Errorf("delivered with a factory certificate %v: %d live certificates, want 1", factory, n)
		}
		if _, err := w.ca.DeleteRight(t.Context(), w.device.Factory, est.CessationOfOperation); err != nil {
			t.Fatal(err)
		}
		if n := w.liveNow(t); n != 0 {
			t.Errorf("%d live certificates after the right is gone", n)
		}
	}
}

// TestDeliverKeepsToTheRight lets nobody with a copy of the factory key have a
// certificate by way of a bootstrap.
func TestDeliverKeepsToTheRight(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.enrolled(t)
	if _, err := w.ca.Deliver(ctx, endpoint, w.device.Factory); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("for a right with a key: %v, want ErrForbidden", err)
	}
	if _, err := w.ca.SuspendRight(ctx, w.device.Factory); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ca.Deliver(ctx, endpoint, w.device.Factory); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("for a suspended right: %v, want ErrForbidden", err)
	}
	if n := w.liveNow(t); n != 1 {
		t.Errorf("%d live certificates, want 1", n)
	}
}

// TestCompromiseOfAKey revokes all certificates for it.
func TestCompromiseOfAKey(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	first := w.enrolled(t)
	w.clock.Advance(time.Minute)
	second, err := w.renew(ctx, first, esttest.CSR(t, w.key, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ca.Revoke(ctx, second.Hash, est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []est.Issued{first, second} {
		if _, err := w.ca.Identify(ctx, [][]byte{c.DER}); !errors.Is(err, est.ErrRevoked) {
			t.Errorf("certificate %x: %v, want ErrRevoked", c.Hash[:4], err)
		}
	}
	if err := w.ca.Revoke(ctx, second.Hash, est.KeyCompromise, "again"); err != nil {
		t.Errorf("again: %v", err)
	}
}
