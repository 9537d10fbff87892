package coordinator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestT11Inventory: a READY receipt counts only if its second signature is by a
// certificate of this very device in the inventory, and one that is good.
// It is of row T11 of the transfer protocol (§9).
func TestT11Inventory(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, w *world){
		"revoked": func(t *testing.T, w *world) {
			t.Helper()
			check(t, w.alpha.ca.Revoke(t.Context(), transfer.HashOf(w.devices[0].old), est.KeyCompromise, "test"))
		},
		"another device's": func(t *testing.T, w *world) {
			t.Helper()
			d, other := w.devices[0], w.devices[1]
			_, err := w.alpha.ca.ReopenRight(t.Context(), other.Factory, est.Hash{})
			check(t, err)
			key, err := d.tr.EnrolmentKey()
			check(t, err)
			issued, err := w.alpha.ca.Enrol(t.Context(), est.Request{
				Client: other.Client(), CSR: esttest.CSR(t, key, other.Endpoint),
			})
			check(t, err)
			check(t, d.tr.SetOperational(issued.DER))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				spoil(t, w)
				w.start(t)
				w.moving = w.devices[:1]
				id := w.handOver(t)
				time.Sleep(30 * time.Minute)
				if got := w.alpha.states(t, id); got[transfer.RowAborted] != 1 {
					t.Errorf("%v at Alpha, want ABORTED", got)
				}
				if s, _ := w.devices[0].state(); s.State != transfer.Expired && s.State != transfer.Idle {
					t.Errorf("the device is %s", s.State)
				}
			})
		})
	}
}

// TestT7OldFallback: the FALLBACK receipt of a transfer before does not close the right
// of the present one. It is of row T7 of the transfer protocol (§9).
func TestT7OldFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.beta.noDM = true
		w.start(t)
		id := w.handOver(t)
		time.Sleep(30 * time.Minute)
		w.fellBack(t, id)
		call := w.beta.call(t, coordinator.ActionClose)
		w.beta.mu.Lock()
		w.beta.noDM, w.beta.closed = false, true
		w.beta.mu.Unlock()
		id = w.handOver(t)
		until(t, 10*time.Minute, "committed", func() bool { return w.beta.states(t, id)[transfer.RowCommitted] == 1 })
		old, err := transfer.ParseCompletion(call.Body)
		check(t, err)
		now, err := w.beta.store.Transfer(t.Context(), id)
		check(t, err)
		old.Transfer = now.Key()
		call.Body, err = old.Encode()
		check(t, err)
		call.Transfer, call.Key = id, "old"
		_, err = w.beta.c.Receive(t.Context(), w.beta.partner(t, w.alpha), call)
		if !errors.Is(err, coordinator.ErrInvalid) && !errors.Is(err, transfer.ErrChain) {
			t.Errorf("close with the receipt of a transfer before = %v, want ErrInvalid", err)
		}
		right, err := w.beta.ca.Right(t.Context(), w.devices[0].Factory)
		if err != nil || right.State != est.RightOpen {
			t.Errorf("the right is %s, %v", right.State, err)
		}
		w.beta.mu.Lock()
		w.beta.closed = false
		w.beta.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if got := w.beta.states(t, id)[transfer.RowRevokedOld]; got != 1 {
			t.Errorf("%v at Beta", w.beta.states(t, id))
			w.explain(t, w.beta, id)
		}
	})
}
