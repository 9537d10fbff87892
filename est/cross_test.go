package est_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

// TestCross checks with a program that shares no code that devices which trust one
// root only accept what is below the other.
func TestCross(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	clock := esttest.NewClock()
	root := func() *est.Issuer {
		key := esttest.Key(t)
		cert, err := est.NewRoot(est.RootOptions{Name: "Alpha Root CA", Signer: key, Now: clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		i, err := est.NewIssuer(key, cert, nil)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	issuing := func(by *est.Issuer, name string) *x509.Certificate {
		c, err := est.NewIssuing(by, name, esttest.Key(t).Public(), nil, clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	older, newer := root(), root()
	oldWithNew, newWithOld, err := est.Cross(older, newer)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, c *x509.Certificate) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	oldRoot, newRoot := file("old.pem", older.Certificate()), file("new.pem", newer.Certificate())
	before, after := file("1.pem", issuing(older, "CA 1")), file("2.pem", issuing(newer, "CA 2"))
	toNew, toOld := file("own.pem", oldWithNew), file("nwo.pem", newWithOld)
	for _, tt := range []struct {
		name, anchor, between, leaf string
		good                        bool
	}{
		{"old root, new CA", oldRoot, toOld, after, true},
		{"new root, old CA", newRoot, toNew, before, true},
		{"old root, new CA, wrong way", oldRoot, toNew, after, false},
		{"new root, old CA, wrong way", newRoot, toOld, before, false},
	} {
		out, err := exec.CommandContext(t.Context(), "openssl", "verify", "-x509_strict", "-attime", "1795348800",
			"-CAfile", tt.anchor, "-untrusted", tt.between, tt.leaf).CombinedOutput()
		if (err == nil) != tt.good {
			t.Errorf("%s: %v: %s", tt.name, err, out)
		}
	}
}
