package app_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/keys/keystest"
	"steward/est"
	"steward/est/esttest"
	"steward/transfer"
)

// TestToken runs a provider whose keys are all in a token: it is made there, serves,
// enrols a device over DTLS, renews, lists what is revoked, signs for a hand-over and
// is rolled over. Then the token goes away and comes back.
func TestToken(t *testing.T) {
	folder, uri := keystest.SoftToken(t)
	p := newProvider(t, "Alpha", func(o *config.Options) { o.Keys.Place = map[string]string{"default": uri} })
	f := newFleet(t, p)
	f.start()
	f.add("sensor")
	f.all()
	crl := func(a est.Authority) error {
		made, err := p.app.CA().CRL(t.Context(), est.CRLScope{Issuer: a.Hash()}, time.Hour)
		if err != nil {
			return err
		}
		parsed, err := x509.ParseRevocationList(made.DER)
		if err != nil {
			return err
		}
		return parsed.CheckSignatureFrom(a.Certificate)
	}
	if err := crl(p.app.CA().Authorities()[0]); err != nil {
		t.Errorf("CRL: %v", err)
	}
	raw, err := transfer.RightStatus{
		Issuer: "Alpha", IssuedAt: 1, RightStatusTerms: transfer.RightStatusTerms{Factory: transfer.Hash{1}},
	}.Sign(p.app.TransferSigner())
	if err != nil {
		t.Fatalf("signing for a hand-over: %v", err)
	}
	by, err := x509.ParseCertificate(p.app.TransferSigner().Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.VerifyRightStatus(raw, by); err != nil {
		t.Errorf("signed for a hand-over: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(p.cfg.Data, "keys", "*.pem"))
	if err != nil || len(files) != 0 {
		t.Errorf("keys in files beside the token: %v, %v", files, err)
	}
	f.step(keys.Issuing, (*app.Maintenance).Begin)
	f.all()
	f.step(keys.Issuing, (*app.Maintenance).Finish)
	f.all()

	away := folder + ".away"
	if err := os.Rename(folder, away); err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		b := f.factory.device(p, "late")
		p.own(b)
		block, _ := pem.Decode([]byte(b.Factory.Chain[0]))
		_, err := p.app.CA().Enrol(context.Background(), est.Request{
			Client: est.Client{Role: est.RoleFactory, Certificate: est.Hash(transfer.HashOf(block.Bytes)), Name: "late"},
			CSR:    esttest.CSR(t, esttest.Key(t), "late"),
		})
		return err
	}
	if err := ask(); !errors.Is(err, est.ErrSigner) || !strings.Contains(err.Error(), "token=steward") ||
		strings.Contains(err.Error(), keystest.PIN) {
		t.Errorf("enrolment without the token: %v, want ErrSigner that names it, without the PIN", err)
	}
	if err := crl(p.app.CA().Authorities()[0]); err == nil {
		t.Error("a CRL was signed without the token")
	}
	if err := os.Rename(away, folder); err != nil {
		t.Fatal(err)
	}
	f.all()
	if err := crl(p.app.CA().Authorities()[1]); err != nil {
		t.Errorf("CRL of the CA before, with the token back: %v", err)
	}
	p.stop()
	if err := os.Rename(folder, away); err != nil {
		t.Fatal(err)
	}
	_, err = app.New(t.Context(), p.cfg, slog.New(slog.DiscardHandler))
	if !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("a start without the token: %v, want ErrUnavailable", err)
	}
}
