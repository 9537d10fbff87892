package transfer_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"testing"

	"steward/transfer"
)

// renew gets a certificate for the next key and puts it into use.
func renew(tb testing.TB, w *world, d *transfer.Device) []byte {
	tb.Helper()
	key := must(d.EnrolmentKey())(tb)
	der := certify(tb, d.Subject(), key.Public(), &w.ca1, nil).Raw
	check(tb, d.SetRenewed(der))
	return der
}

func TestFormerIsKeptUntilProven(t *testing.T) {
	w := newWorld(t)
	d, j := w.device(t)
	firstKey, first, _ := d.Operational()
	second := renew(t, w, d)
	d = must(transfer.OpenDevice(w.options(j)))(t)
	_, now, _ := d.Operational()
	key, former, ok := d.Former()
	if !bytes.Equal(now, second) || !ok || !bytes.Equal(former, first) || !same(key, firstKey) {
		t.Fatalf("after a renewal: in use the new one %v, the former kept %v", bytes.Equal(now, second), ok)
	}
	third := renew(t, w, d) // the second never served: the first stays the way back
	if _, former, _ := d.Former(); !bytes.Equal(former, first) {
		t.Error("a second renewal took the one that works away")
	}
	check(t, d.Prove())
	check(t, d.Prove())
	if _, _, ok := d.Former(); ok || bytes.Contains(j.Record(), first) {
		t.Error("the former is still there after the new one has served")
	}
	if _, now, _ := d.Operational(); !bytes.Equal(now, third) {
		t.Error("Prove changed the certificate in use")
	}
}

func TestRevert(t *testing.T) {
	w := newWorld(t)
	d, _ := w.device(t)
	_, first, _ := d.Operational()
	renew(t, w, d)
	fresh, _, _ := d.Operational()
	check(t, d.Revert())
	check(t, d.Revert())
	if _, now, _ := d.Operational(); !bytes.Equal(now, first) {
		t.Error("Revert did not put the former into use")
	}
	if next := must(d.EnrolmentKey())(t); !same(next, fresh) {
		t.Error("the key that the right may be bound to is lost")
	}
}

func same(a, b crypto.Signer) bool {
	public, ok := a.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.Public())
}

// TestKeysAfterExpiry: by its factory certificate a device may ask with any key that
// its right may be bound to, the likely one first.
func TestKeysAfterExpiry(t *testing.T) {
	w := newWorld(t)
	d, _ := w.device(t)
	first, _, _ := d.Operational()
	if keys := must(d.EnrolmentKeys(false))(t); len(keys) != 1 || !same(keys[0], first) {
		t.Errorf("%d keys, want that of the certificate", len(keys))
	}
	next := must(d.EnrolmentKey())(t)
	if keys := must(d.EnrolmentKeys(true))(t); len(keys) != 2 || !same(keys[0], next) || !same(keys[1], first) {
		t.Errorf("%d keys, want the next and that of the certificate", len(keys))
	}
	other := certify(t, d.Subject(), mustKey(t).Public(), &w.ca1, nil).Raw
	if err := d.SetOperational(other); !errors.Is(err, transfer.ErrCertificate) {
		t.Errorf("SetOperational for another key = %v, want ErrCertificate", err)
	}
	again := certify(t, d.Subject(), first.Public(), &w.ca1, nil).Raw
	check(t, d.SetOperational(again))
	if key, now, _ := d.Operational(); !bytes.Equal(now, again) || !same(key, first) {
		t.Error("the certificate for the old key is not in use")
	}
	if fresh := must(d.EnrolmentKey())(t); same(fresh, next) || same(fresh, first) {
		t.Error("the next renewal has no new key")
	}
}

// TestFormerIsWiped: nothing of an unproven renewal outlives a hand-over.
func TestFormerIsWiped(t *testing.T) {
	w := newWorld(t)
	d, j := w.device(t)
	oldKey, old, _ := d.Operational()
	secret := must(x509.MarshalPKCS8PrivateKey(oldKey))(t)
	renew(t, w, d)
	check(t, d.WriteMessage(w.signed(t, w.message(t, 1)), noon))
	drain(t, d, nil)
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	if bytes.Contains(j.Record(), secret) || bytes.Contains(j.Record(), old) {
		t.Error("the former key or certificate is in the journal after the wipe")
	}
	if err := d.SetOperational(old); !errors.Is(err, transfer.ErrState) {
		t.Errorf("SetOperational while enrolling = %v, want ErrState", err)
	}
}

// TestRenewalSurvivesAPowerCutAtEveryWrite: after each, the device has a working
// certificate with its key.
func TestRenewalSurvivesAPowerCutAtEveryWrite(t *testing.T) {
	for n := 1; ; n++ {
		for _, lost := range []bool{false, true} {
			w := newWorld(t)
			d, j := w.device(t)
			j.Cut(n, lost)
			cut := func() error {
				key, err := d.EnrolmentKey()
				if err != nil {
					return err
				}
				if err := d.SetRenewed(certify(t, d.Subject(), key.Public(), &w.ca1, nil).Raw); err != nil {
					return err
				}
				return d.Prove()
			}()
			writes := j.Writes()
			j.Cut(0, false)
			d = must(transfer.OpenDevice(w.options(j)))(t)
			key, der, ok := d.Operational()
			if !ok || parse(t, der).Subject.CommonName != d.Subject() {
				t.Fatalf("write %d, lost %v: no working certificate", n, lost)
			}
			public, _ := parse(t, der).PublicKey.(interface{ Equal(crypto.PublicKey) bool })
			if !public.Equal(key.Public()) {
				t.Fatalf("write %d, lost %v: key and certificate do not belong together", n, lost)
			}
			if cut == nil && lost {
				t.Logf("a renewal takes %d writes", writes)
				return
			}
		}
	}
}
