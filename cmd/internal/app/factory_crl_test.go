package app_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
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

// TestPermanentCAUnreachable: what a permanent CA has revoked cannot be read any more, or
// is out of date. The device's handshake is as before, but it gets no certificate, only
// 5.03 and when to ask again, until there is a list; then what was revoked meanwhile gets
// none by the association that it has (transfer protocol §4 step 10, §7).
func TestPermanentCAUnreachable(t *testing.T) {
	ctx := t.Context()
	w := newRekeyWorld(t)
	_, factory := w.made("urn:dev:a")
	_, other := w.made("urn:dev:b")
	file := filepath.Join(t.TempDir(), "permanent.crl")
	write := func(text []byte, err error) {
		t.Helper()
		if err == nil {
			err = keys.WriteFile(file, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const look = 1100 * time.Millisecond // it is looked at once a second
	write(w.permanent.CRL(ctx))
	gamma := newProvider(t, "Gamma", func(o *config.Options) { o.FactoryCRLs = []string{file} })
	gamma.start()
	ca := gamma.app.CA()
	w.trust(ca)
	key := esttest.Key(t)
	enrol := func(by *tls.Certificate) error {
		t.Helper()
		client, err := ca.Identify(ctx, by.Certificate)
		if err != nil {
			return err
		}
		_, err = ca.Enrol(ctx, est.Request{Client: client, CSR: esttest.CSR(t, key, client.Name)})
		return err
	}
	for _, c := range []*tls.Certificate{factory, other} {
		if _, err := ca.GrantRight(ctx, est.Grant{FactoryDER: c.Certificate[0]}); err != nil {
			t.Fatal(err)
		}
		if _, err := ca.OpenRight(ctx, sha256.Sum256(c.Certificate[0]), est.Hash{}); err != nil {
			t.Fatal(err)
		}
	}
	stale, err := w.permanent.CA().CRL(ctx, est.CRLScope{
		Issuer: sha256.Sum256(w.permanent.CA().Certificate().Raw),
	}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string][]byte{"damaged": []byte("x"), "out of date": stale.DER} {
		write(text, nil)
		<-time.After(look)
		pending, ok := errors.AsType[*est.PendingError](enrol(factory))
		if !ok || pending.Retry <= 0 || pending.What == "" {
			t.Errorf("%s: %v, want ErrPending that says why", what, pending)
		}
	}
	client, err := ca.Identify(ctx, other.Certificate) // and stays
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := w.permanent.CA().Revoke(ctx, sha256.Sum256(other.Certificate[0]), est.KeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
	write(w.permanent.CRL(ctx))
	<-time.After(look)
	if err := enrol(factory); err != nil {
		t.Errorf("with a list again: %v", err)
	}
	_, err = ca.Enrol(ctx, est.Request{Client: client, CSR: esttest.CSR(t, key, client.Name)})
	if !errors.Is(err, est.ErrRevoked) {
		t.Errorf("revoked while it was connected: %v, want ErrRevoked", err)
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
