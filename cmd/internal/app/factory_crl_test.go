package app_test

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/est"
	"steward/est/esttest"
)

// TestFactoryCRL: what a permanent CA has superseded opens no provider that reads its
// CRL, whoever registers it; a list that nobody listed has signed says nothing.
func TestFactoryCRL(t *testing.T) {
	ctx := t.Context()
	w := newRekeyWorld(t)
	b, factory := w.made("urn:dev:crl")
	file := filepath.Join(t.TempDir(), "permanent.crl")
	write := func(ca *app.Permanent, at time.Time) {
		t.Helper()
		crl, err := ca.CRL(ctx)
		if err == nil {
			err = os.WriteFile(file, crl, 0o600)
		}
		if err == nil {
			err = os.Chtimes(file, at, at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(w.permanent, time.Now().Add(-time.Hour))
	gamma := newProvider(t, "Gamma", func(o *config.Options) { o.FactoryCRLs = []string{file} })
	gamma.start()
	ca := gamma.app.CA()
	w.operational(ca, b) // it is let in
	if err := ca.VerifyFactory(ctx, leaf(t, factory.Certificate[0]), nil); err != nil {
		t.Fatal(err)
	}

	key := esttest.Key(t)
	next, err := w.permanent.CA().RekeyFactory(ctx, est.FactoryRekey{
		Client: est.Client{Role: est.RoleOperational, Certificate: est.Hash{1}, Name: b.Endpoint},
		CSR:    rekeyRequest(t, key, factory, nil),
	})
	if err == nil {
		_, err = w.permanent.CA().UseFactory(ctx, next.Hash)
	}
	if err != nil {
		t.Fatal(err)
	}
	write(w.permanent, time.Now())
	for deadline := time.Now().Add(time.Minute); ; pause(t) {
		_, err := ca.Identify(ctx, factory.Certificate)
		if errors.Is(err, est.ErrRevoked) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the superseded certificate at the door: %v, want ErrRevoked", err)
		}
	}
	if _, err := ca.GrantRight(ctx, est.Grant{FactoryDER: factory.Certificate[0]}); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("a right for the superseded certificate: %v, want ErrRevoked", err)
	}
	if err := ca.VerifyFactory(ctx, leaf(t, next.DER), nil); err != nil {
		t.Errorf("the new certificate: %v", err)
	}

	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := ca.VerifyFactory(ctx, leaf(t, factory.Certificate[0]), nil); !errors.Is(err, est.ErrRevoked) {
			t.Errorf("after the file was damaged: %v, want ErrRevoked", err)
		}
		<-time.After(1100 * time.Millisecond) // it is looked at once a second
	}
	bad := newProvider(t, "Delta", func(o *config.Options) { o.FactoryCRLs = []string{file} })
	if _, err := app.New(ctx, bad.cfg, bad.logger()); !errors.Is(err, app.ErrPKI) {
		t.Errorf("a start with a damaged file: %v, want ErrPKI", err)
	}
}

// TestForgedFactoryCRL: another CA of the same name cannot revoke.
func TestForgedFactoryCRL(t *testing.T) {
	ctx := t.Context()
	w := newRekeyWorld(t)
	_, factory := w.made("urn:dev:crl")
	issued := leaf(t, factory.Certificate[0])
	file := filepath.Join(t.TempDir(), "forged.crl")
	signer := esttest.Key(t)
	forged, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{
			SerialNumber: issued.SerialNumber, RevocationTime: time.Now(),
		}},
	}, &x509.Certificate{
		RawSubject: issued.RawIssuer, SubjectKeyId: issued.AuthorityKeyId, KeyUsage: x509.KeyUsageCRLSign,
	}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, forged, 0o600); err != nil {
		t.Fatal(err)
	}
	gamma := newProvider(t, "Gamma", func(o *config.Options) { o.FactoryCRLs = []string{file} })
	gamma.start()
	w.trust(gamma.app.CA())
	if err := gamma.app.CA().VerifyFactory(ctx, issued, nil); err != nil {
		t.Errorf("a certificate on a forged list: %v", err)
	}
}
