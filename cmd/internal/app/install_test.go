package app_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/est"
	"steward/est/esttest"
)

func encoded(certs ...*x509.Certificate) string {
	var out strings.Builder
	for _, c := range certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return out.String()
}

// TestInstallRefusals offers chains for an issuing CA that are not.
func TestInstallRefusals(t *testing.T) {
	p := newProvider(t, "Beta", set(config.HierarchySubordinate))
	var request *x509.CertificateRequest
	err := p.maintain(func(ctx context.Context, m *app.Maintenance) error {
		text, err := m.Request(ctx)
		if err != nil {
			return err
		}
		again, err := m.Request(ctx)
		if err != nil {
			return err
		}
		block, _ := pem.Decode(text)
		other, _ := pem.Decode(again)
		if request, err = x509.ParseCertificateRequest(block.Bytes); err != nil {
			return err
		}
		second, err := x509.ParseCertificateRequest(other.Bytes)
		if err == nil && string(second.RawSubjectPublicKeyInfo) != string(request.RawSubjectPublicKeyInfo) {
			t.Error("another request is for another key")
		}
		return errors.Join(err, request.CheckSignature())
	})
	if err != nil {
		t.Fatal(err)
	}
	if request.Subject.CommonName != "Beta Issuing CA" || len(request.Extensions) != 2 {
		t.Errorf("the request is for %s with %d extensions", request.Subject, len(request.Extensions))
	}
	now := time.Now()
	rootKey := esttest.Key(t)
	sign := func(change func(*x509.Certificate), parent *x509.Certificate, key any) *x509.Certificate {
		t.Helper()
		c := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "Beta Issuing CA"},
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLen: -1,
		}
		change(c)
		if parent == nil {
			parent = c
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, key, rootKey)
		if err != nil {
			t.Fatal(err)
		}
		out, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	same := func(*x509.Certificate) {}
	rootWith := func(change func(*x509.Certificate)) *x509.Certificate {
		return sign(func(c *x509.Certificate) {
			c.Subject.CommonName, c.SubjectKeyId = "Company Root", []byte{1}
			change(c)
		}, nil, rootKey.Public())
	}
	root := rootWith(same)
	leafWith := func(change func(*x509.Certificate)) *x509.Certificate { return sign(change, root, request.PublicKey) }
	identified := func(c *x509.Certificate) { c.SubjectKeyId = []byte{2} }
	leaf := leafWith(identified)
	middle := sign(func(c *x509.Certificate) {
		c.Subject.CommonName, c.SubjectKeyId = "Company CA", []byte{3}
	}, root, rootKey.Public())
	below := sign(identified, middle, request.PublicKey)
	noCABelow := func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }
	impostor := esttest.NewCA(t, "Company", &esttest.Store{}, time.Now)
	tests := map[string]string{
		"nothing": "", "text": "hello", "a request": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST"})),
		"no root":         encoded(leaf),
		"wrong order":     encoded(root, leaf),
		"something after": encoded(leaf, root) + "x",
		"too many":        encoded(leaf, root, root, root, root, root, root, root, root),
		"another root":    encoded(leaf, impostor.Root()),
		"a gap":           encoded(below, root),
		"root between":    encoded(below, middle, root, middle),
		"another key":     encoded(impostor.Chain()...),
		"no CA": encoded(leafWith(func(c *x509.Certificate) {
			c.IsCA, c.MaxPathLen, c.KeyUsage = false, 0, x509.KeyUsageDigitalSignature
		}), root),
		"no CRLs": encoded(leafWith(func(c *x509.Certificate) {
			c.SubjectKeyId, c.KeyUsage = []byte{2}, x509.KeyUsageCertSign
		}), root),
		"ended": encoded(leafWith(func(c *x509.Certificate) {
			c.SubjectKeyId, c.NotAfter = []byte{2}, now.Add(-time.Minute)
		}), root),
		"root ended": encoded(leaf, rootWith(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })),
		"not yet": encoded(leafWith(func(c *x509.Certificate) {
			c.SubjectKeyId, c.NotBefore = []byte{2}, now.Add(time.Hour)
		}), root),
		"root allows none": encoded(leaf, rootWith(noCABelow)),
		"middle allows none": encoded(below, sign(func(c *x509.Certificate) {
			c.Subject.CommonName, c.SubjectKeyId = "Company CA", []byte{3}
			noCABelow(c)
		}, root, rootKey.Public()), root),
	}
	for name, chain := range tests {
		err := p.maintain(func(ctx context.Context, m *app.Maintenance) error { return m.Install(ctx, []byte(chain)) })
		if !errors.Is(err, app.ErrPKI) {
			t.Errorf("%s: %v, want ErrPKI", name, err)
		}
	}
	if files, err := filepath.Glob(filepath.Join(p.cfg.Data, "pki", "*")); err != nil || len(files) > 0 {
		t.Errorf("refused chains left %v, %v", files, err)
	}
	if err := p.maintain(func(ctx context.Context, m *app.Maintenance) error {
		return m.Install(ctx, []byte(encoded(below, middle, root)))
	}); err != nil {
		t.Fatal(err)
	}
	p.start()
	if n := len(p.app.CA().Chain()); n != 3 {
		t.Errorf("a chain of %d, want 3", n)
	}
	p.stop()
	// What was installed is the CA now: the same again is a roll-over, for another key.
	if err := p.maintain(func(ctx context.Context, m *app.Maintenance) error {
		return m.Install(ctx, []byte(encoded(below, middle, root)))
	}); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("installed twice: %v, want ErrNoKey", err)
	}
	// Another hierarchy cannot be put in its place by a setting.
	other := p.cfg
	other.CA.Hierarchy = config.HierarchySingle
	if _, err := app.New(t.Context(), other, p.logger()); !errors.Is(err, app.ErrPKI) {
		t.Errorf("another hierarchy: %v, want ErrPKI", err)
	}
}

// TestFilesExchanged puts the files of one CA in place of another's.
func TestFilesExchanged(t *testing.T) {
	a, b := newProvider(t, "Alpha"), newProvider(t, "Beta")
	for _, p := range []*provider{a, b} {
		p.start()
		p.stop()
	}
	for _, tt := range []struct {
		name string
		want error
	}{
		{"pki/issuing.pem", est.ErrOptions},
		{"pki/server.pem", app.ErrPKI},
		{"keys/issuing.pem", keys.ErrFile},
		{"keys/vault", keys.ErrLocked},
	} {
		path := filepath.Join(a.cfg.Data, tt.name)
		own, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		foreign, err := os.ReadFile(filepath.Join(b.cfg.Data, tt.name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, foreign, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := app.New(t.Context(), a.cfg, a.logger()); err == nil {
			t.Errorf("%s of another provider was taken", tt.name)
		} else if !errors.Is(err, tt.want) && !errors.Is(err, app.ErrPKI) {
			t.Errorf("%s of another provider: %v, want %v", tt.name, err, tt.want)
		}
		if err := os.WriteFile(path, own, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.start()
}

// TestKeysElsewhere takes keys away: that of the root is missed only when it is
// needed, others at once; none is made anew in their place.
func TestKeysElsewhere(t *testing.T) {
	p := newProvider(t, "Alpha")
	p.start()
	p.stop()
	begin := func(ctx context.Context, m *app.Maintenance) error { return m.Begin(ctx, keys.Issuing) }
	hide := func(name string) func() {
		path := filepath.Join(p.cfg.Data, "keys", name+".pem")
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
		}
	}
	back := hide("root")
	p.start()
	p.stop()
	if err := p.maintain(begin); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("a roll-over without the root's key: %v, want ErrNoKey", err)
	}
	back()
	if err := p.maintain(begin); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"issuing", "issuing-2", "server", "transfer", "ocsp", "report"} {
		back := hide(name)
		if _, err := app.New(t.Context(), p.cfg, p.logger()); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("without the key %s: %v, want ErrNoKey", name, err)
		}
		if _, err := os.Stat(filepath.Join(p.cfg.Data, "keys", name+".pem")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("another key %s was made: %v", name, err)
		}
		back()
	}
	p.start()
	p.stop()
	// Of a CA before, only the CRL is missed.
	finish := func(ctx context.Context, m *app.Maintenance) error { return m.Finish(ctx, keys.Issuing) }
	if err := p.maintain(finish); err != nil {
		t.Fatal(err)
	}
	hide("issuing")
	p.start()
	if n := len(p.app.CA().Authorities()); n != 1 {
		t.Errorf("%d authorities, want the one whose key there is", n)
	}
}

// TestInstallAfterCrash leaves the files of an installation that ended before it was
// recorded: a roll-over below the own root is not led astray by them.
func TestInstallAfterCrash(t *testing.T) {
	p, f := newProvider(t, "Alpha"), factory{t, t.TempDir()}
	p.start()
	p.stop()
	power := errors.New("power cut")
	err := p.maintain(func(ctx context.Context, m *app.Maintenance) error {
		request, err := m.Request(ctx)
		if err != nil {
			return err
		}
		var chain string
		f.open(func(ca *app.Permanent) {
			if chain, err = ca.Certify(ctx, request); err != nil {
				t.Fatal(err)
			}
		})
		m.BreakKeys(power)
		return m.Install(ctx, []byte(chain))
	})
	if !errors.Is(err, power) {
		t.Fatal(err)
	}
	p.start()
	p.stop()
	begin := func(ctx context.Context, m *app.Maintenance) error { return m.Begin(ctx, keys.Issuing) }
	if err := p.maintain(begin); err != nil {
		t.Fatal(err)
	}
	p.start()
	if root := p.app.CA().Root(); root.Subject.CommonName != "Alpha Root CA" {
		t.Errorf("the next CA is below %s", root.Subject)
	}
}
