package transfer_test

import (
	"errors"
	"testing"
	"time"

	"steward/transfer"
)

// toRegister brings a device that was updated first to REGISTER, with the key of READY.
func toRegister(t *testing.T, w *world) (
	*transfer.Device, *transfer.MemoryJournal, *transfer.Signed[transfer.Receipt],
) {
	t.Helper()
	w.destination.UpdateFirst = true
	d, j := toReady(t, w)
	ready := must(transfer.ParseReceipt(d.Status().Receipt))(t)
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	if _, err := d.FreshKey(); !errors.Is(err, transfer.ErrState) {
		t.Errorf("FreshKey in %s = %v, want ErrState", d.Status().State, err)
	}
	check(t, d.Updated())
	check(t, d.Enrolled(issue(t, d, &w.ca2)))
	drain(t, d, nil)
	wantState(t, d, transfer.Register)
	return d, j, ready
}

// takeFresh renews the certificate with the fresh key and returns the key's hash.
func takeFresh(t *testing.T, w *world, d *transfer.Device) transfer.Hash {
	t.Helper()
	key := must(d.FreshKey())(t)
	check(t, d.Renewed(certify(t, d.Subject(), key.Public(), &w.ca2, nil).Raw))
	return must(transfer.SPKIHash(key.Public()))(t)
}

// TestFreshKey: after an update the device registers with another key than it came
// with; its receipts still name the one of READY, and prove what they did before.
func TestFreshKey(t *testing.T) {
	w := newWorld(t)
	d, j, ready := toRegister(t, w)
	if e, _ := d.Next(); e.Do != transfer.DoRegister || !e.Renew {
		t.Fatalf("Next = %+v, want a renewal before the registration", e)
	}
	first := must(d.FreshKey())(t)
	other := certify(t, d.Subject(), mustKey(t).Public(), &w.ca2, nil).Raw
	if err := d.Renewed(other); !errors.Is(err, transfer.ErrCertificate) {
		t.Errorf("Renewed with a certificate of another key = %v, want ErrCertificate", err)
	}
	d = must(transfer.OpenDevice(w.options(j)))(t) // the key outlives a power cut
	again := must(d.FreshKey())(t)
	if must(transfer.SPKIHash(again.Public()))(t) != must(transfer.SPKIHash(first.Public()))(t) {
		t.Error("another fresh key after a restart")
	}
	fresh := takeFresh(t, w, d)
	if e, _ := d.Next(); e.Do != transfer.DoRegister || e.Renew || fresh == ready.Body.SPKI {
		t.Errorf("Next = %+v, want the registration with another key", e)
	}
	if _, err := d.FreshKey(); !errors.Is(err, transfer.ErrState) {
		t.Errorf("FreshKey twice = %v, want ErrState", err)
	}
	check(t, d.Registered())
	drain(t, d, nil)
	_, der, _ := d.Operational()
	done := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, parse(t, der)))(t)
	check(t, transfer.CompareDone(ready, done))
	check(t, d.Finalise(order(d)))
	drain(t, d, nil)
	final := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, parse(t, der)))(t)
	offer := w.offer(t, transfer.Hash{1}, transfer.Hash{2})
	check(t, transfer.CompareFinalised(done, final, &offer, w.permanents))
	key, _, _ := d.Operational()
	if got := must(transfer.SPKIHash(key.Public()))(t); got != fresh {
		t.Error("the key in use is not the fresh one")
	}
}

// TestNoFreshKey: where nothing was attested or updated the key of READY stays.
func TestNoFreshKey(t *testing.T) {
	w := newWorld(t)
	d, _ := toReady(t, w)
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	check(t, d.Enrolled(issue(t, d, &w.ca2)))
	drain(t, d, nil)
	if e, _ := d.Next(); e.Do != transfer.DoRegister || e.Renew {
		t.Errorf("Next = %+v, want the registration", e)
	}
}

// TestFreshKeyAfterFallback: a device that fell back and tries again enrols with the
// key that its right is bound to, whether the renewal reached the CA or not.
func TestFreshKeyAfterFallback(t *testing.T) {
	w := newWorld(t)
	d, _, ready := toRegister(t, w)
	fresh := must(transfer.SPKIHash(must(d.FreshKey())(t).Public()))(t)
	check(t, d.Tick(time.Hour, noon))
	drain(t, d, nil)
	wantState(t, d, transfer.InFall)
	check(t, d.Tick(time.Hour, noon))
	drain(t, d, nil)
	wantState(t, d, transfer.Enrolling)
	asks := func() transfer.Hash {
		t.Helper()
		e, _ := d.Next()
		return must(transfer.SPKIHash(e.Key.Public()))(t)
	}
	if asks() != fresh {
		t.Error("the device does not try the fresh key first")
	}
	check(t, d.Refused(4<<5|3)) // the renewal was lost on its way there
	wantState(t, d, transfer.Enrolling)
	if asks() != ready.Body.SPKI {
		t.Error("the device does not try the key of READY next")
	}
	check(t, d.Enrolled(issue(t, d, &w.ca2)))
	drain(t, d, nil)
	takeFresh(t, w, d)
	check(t, d.Registered())
	drain(t, d, nil)
	wantState(t, d, transfer.Done)
}

// TestFreshKeyRefused: if both keys are refused, the new domain is closed for good.
func TestFreshKeyRefused(t *testing.T) {
	w := newWorld(t)
	d, _, _ := toRegister(t, w)
	takeFresh(t, w, d)
	for range 2 {
		check(t, d.Tick(time.Hour, noon))
		drain(t, d, nil)
	}
	wantState(t, d, transfer.Enrolling)
	check(t, d.Refused(4<<5|3))
	wantState(t, d, transfer.Enrolling)
	check(t, d.Refused(4<<5|3))
	drain(t, d, nil)
	wantState(t, d, transfer.InFall)
	check(t, d.Tick(100*time.Hour, noon))
	wantState(t, d, transfer.InFall)
}
