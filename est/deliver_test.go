package est_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"sync"
	"testing"

	"steward/est"
)

// What a Bootstrap-Server delivers is good at once; the first use of a newer one ends
// the one before, and a device has two at most.
func TestDeliver(t *testing.T) {
	w := newWorld(t)
	identify := func(k est.Keyed) error {
		t.Helper()
		who, err := w.ca.Identify(t.Context(), [][]byte{k.DER})
		if err == nil && (who.Role != est.RoleOperational || who.Name != endpoint || who.Factory != w.device.Factory) {
			t.Errorf("identified as %+v", who)
		}
		return err
	}
	deliver := func() est.Keyed {
		t.Helper()
		k, err := w.ca.Deliver(t.Context(), endpoint, w.device.Factory)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := deliver()
	key, err := x509.ParsePKCS8PrivateKey(first.Key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(first.DER)
	if err != nil {
		t.Fatal(err)
	}
	signer, ok := key.(crypto.Signer)
	if own, is := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !is || !own.Equal(signer.Public()) {
		t.Fatal("the certificate is not for the key")
	}
	if err := identify(first); err != nil {
		t.Fatal(err)
	}
	second := deliver() // the answer to its Finish was lost, say
	if err := identify(first); err != nil {
		t.Errorf("the first, before the second is used: %v", err)
	}
	third := deliver() // and once more: what the device uses is good until it has another
	if err := identify(first); err != nil {
		t.Errorf("the first, after two more: %v", err)
	}
	if err := identify(second); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("the second, after the third was made: %v", err)
	}
	if err := identify(third); err != nil {
		t.Fatal(err)
	}
	if err := identify(first); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("the first, after the third was used: %v", err)
	}
	if n := w.audited("certificate.issue"); n != 3 {
		t.Errorf("%d certificates issued, by the audit log", n)
	}
}

func TestDeliverIsRationed(t *testing.T) {
	w := limited(t, est.Limits{PerDay: 3})
	for range 3 {
		if _, err := w.ca.Deliver(t.Context(), endpoint, est.Hash{}); err != nil {
			t.Fatal(err)
		}
	}
	limit := (*est.LimitError)(nil)
	if _, err := w.ca.Deliver(t.Context(), endpoint, est.Hash{}); !errors.As(err, &limit) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := w.ca.Deliver(t.Context(), "another", est.Hash{}); err != nil {
		t.Errorf("another device: %v", err)
	}
	if _, err := w.ca.Deliver(t.Context(), "a\x00", est.Hash{}); !errors.Is(err, est.ErrName) {
		t.Errorf("a name that is none: %v", err)
	}
}

// TestDeliverRace has several bootstraps of one device at once: no more than two
// certificates are good, of which the newer one renews the other.
func TestDeliverRace(t *testing.T) {
	for _, name := range []string{endpoint, "urn:dev:no-right"} {
		w := newWorld(t)
		var factory est.Hash
		if name == endpoint {
			factory = w.device.Factory
		}
		for range 3 {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if _, err := w.ca.Deliver(t.Context(), name, factory); err != nil {
						t.Errorf("Deliver = %v", err)
					}
				})
			}
			wg.Wait()
			records, err := w.ca.List(t.Context(), est.Query{Kind: est.KindOperational, Name: name, Status: est.StatusValid})
			if err != nil || len(records) > 2 || len(records) == 2 && records[0].Supersedes != records[1].Hash {
				t.Fatalf("%s: %d certificates are live, %v", name, len(records), err)
			}
		}
	}
}
