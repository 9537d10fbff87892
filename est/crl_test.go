package est_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// need ends the test unless err is nil, and returns v.
func need[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// issuer names the only issuing certificate of the world's CA.
func (w *world) issuer() est.Hash { return w.ca.Authorities()[0].Hash() }

// issueMany issues n certificates and revokes each, for reasons in turn.
func (w *world) issueMany(t *testing.T, n int) []est.Issued {
	t.Helper()
	reasons := []est.Reason{est.Unspecified, est.KeyCompromise, est.Superseded, est.PrivilegeWithdrawn}
	key := esttest.Key(t).Public()
	var out []est.Issued
	for i := range n {
		issued := need(w.ca.IssueServer(t.Context(), fmt.Sprintf("host%d.example", i), key))(t)
		if err := w.ca.Revoke(t.Context(), issued.Hash, reasons[i%len(reasons)], "test"); err != nil {
			t.Fatal(err)
		}
		out = append(out, issued)
	}
	return out
}

// TestCRLParts checks that each certificate stands on the full list, and on that
// part alone which its serial number names.
func TestCRLParts(t *testing.T) {
	w := newWorld(t)
	const parts = 4
	issued := w.issueMany(t, 24)
	full := need(w.ca.CRL(t.Context(), est.CRLScope{Issuer: w.issuer()}, time.Hour))(t)
	if got := parseCRL(t, w, full.DER); len(got.RevokedCertificateEntries) != len(issued) || full.Entries != len(issued) {
		t.Errorf("full CRL of %d entries, %d, want %d", len(got.RevokedCertificateEntries), full.Entries, len(issued))
	}
	seen := 0
	for i := range parts {
		scope := est.CRLScope{Issuer: w.issuer(), Shard: i, Shards: parts, URL: fmt.Sprintf("http://ca.example/crl/%d", i)}
		crl := parseCRL(t, w, need(w.ca.CRL(t.Context(), scope, time.Hour))(t).DER)
		for _, e := range crl.RevokedCertificateEntries {
			if b := e.SerialNumber.Bytes(); int(b[len(b)-1])%parts != i {
				t.Errorf("serial %x on part %d", e.SerialNumber, i)
			}
			seen++
		}
		critical := func(oid string) bool {
			return slices.ContainsFunc(crl.Extensions, func(e pkix.Extension) bool { return e.Id.String() == oid && e.Critical })
		}
		if !critical("2.5.29.28") {
			t.Errorf("part %d has no critical issuingDistributionPoint", i)
		}
	}
	if seen != len(issued) {
		t.Errorf("%d entries on all parts, want %d", seen, len(issued))
	}
}

func parseCRL(t *testing.T, w *world, der []byte) *x509.RevocationList {
	t.Helper()
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := crl.CheckSignatureFrom(w.ca.Certificate()); err != nil {
		t.Error(err)
	}
	return crl
}

func TestCRLRefusals(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		scope est.CRLScope
		err   error
	}{
		"another issuer":         {est.CRLScope{Issuer: est.Hash{1}}, est.ErrUnknown},
		"no such part":           {est.CRLScope{Issuer: w.issuer(), Shard: 4, Shards: 4, URL: "x"}, est.ErrOptions},
		"a part that is nowhere": {est.CRLScope{Issuer: w.issuer(), Shards: 4}, est.ErrOptions},
		"too many parts":         {est.CRLScope{Issuer: w.issuer(), Shards: 512, URL: "x"}, est.ErrOptions},
	} {
		if _, err := w.ca.CRL(t.Context(), tt.scope, time.Hour); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", name, err, tt.err)
		}
	}
}

// TestCRLs checks when a list is made anew: not for who asks, but for what was
// revoked, and in time.
func TestCRLs(t *testing.T) {
	w := newWorld(t)
	crls := est.NewCRLs(w.ca, est.CRLOptions{})
	scope := est.CRLScope{Issuer: w.issuer()}
	get := func() est.CRL { return need(crls.Get(t.Context(), scope))(t) }
	first := get()
	w.clock.Advance(time.Hour)
	if again := get(); again.Number != first.Number {
		t.Errorf("made again though nothing changed: %d, want %d", again.Number, first.Number)
	}
	w.issueMany(t, 1)
	w.clock.Advance(est.DefaultCRLDelay)
	second := get()
	if second.Entries != 1 || second.Number <= first.Number {
		t.Errorf("%d entries, number %d, want 1 and more than %d", second.Entries, second.Number, first.Number)
	}
	w.issueMany(t, 1)
	if soon := get(); soon.Number != second.Number || !crls.State()[0].Pending {
		t.Errorf("signed at will: number %d, want %d; state %+v", soon.Number, second.Number, crls.State())
	}
	w.clock.Advance(est.DefaultCRLDelay)
	if third := get(); third.Entries != 2 {
		t.Errorf("%d entries, want 2", third.Entries)
	}
	w.clock.Advance(est.DefaultCRLValidity / 4)
	if late := get(); !late.NextUpdate.Equal(w.clock.Now().Add(est.DefaultCRLValidity).Truncate(time.Second)) {
		t.Errorf("next update %v, want a day from %v", late.NextUpdate, w.clock.Now())
	}
	if _, err := crls.Get(t.Context(), est.CRLScope{Issuer: est.Hash{1}}); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("Get = %v, want ErrUnknown", err)
	}
}

// TestCRLExpiry: who expired stays listed for one regular list more (RFC 5280 §3.3).
func TestCRLExpiry(t *testing.T) {
	w := newWorld(t)
	issued := w.issueMany(t, 3)[0]
	crls := est.NewCRLs(w.ca, est.CRLOptions{})
	scope := est.CRLScope{Issuer: w.issuer()}
	need(crls.Get(t.Context(), scope))(t)
	w.clock.Advance(issued.NotAfter.Sub(w.clock.Now()) + time.Hour)
	if crl := need(crls.Get(t.Context(), scope))(t); crl.Entries != 3 {
		t.Errorf("an hour after their end: %d entries, want 3", crl.Entries)
	}
	w.clock.Advance(24 * time.Hour)
	if crl := need(crls.Get(t.Context(), scope))(t); crl.Entries != 0 {
		t.Errorf("a day after their end: %d entries", crl.Entries)
	}
}

// TestCRLOfPrevious: each issuing certificate has a list of its own.
func TestCRLOfPrevious(t *testing.T) {
	w := newWorld(t)
	old := w.issueMany(t, 2)
	first := w.ca.Authorities()[0]
	second := newAuthority(t, "Alpha CA 2", w.clock)
	w.ca = need(est.NewCA(options(w, second, first)))(t)
	w.issueMany(t, 1)
	crls := est.NewCRLs(w.ca, est.CRLOptions{})
	for a, want := range map[int]int{0: 1, 1: len(old)} {
		authority := w.ca.Authorities()[a]
		got := need(crls.Get(t.Context(), est.CRLScope{Issuer: authority.Hash()}))(t)
		list, err := x509.ParseRevocationList(got.DER)
		if err != nil {
			t.Fatal(err)
		}
		if err := list.CheckSignatureFrom(authority.Certificate); err != nil || got.Entries != want {
			t.Errorf("authority %d: %d entries, %v, want %d", a, got.Entries, err, want)
		}
	}
}

// TestOpenSSLReadsCRLs has openssl verify every kind of CRL that we make.
func TestOpenSSLReadsCRLs(t *testing.T) {
	w := newWorld(t)
	scope := est.CRLScope{Issuer: w.issuer()}
	for _, n := range []int{0, 5} {
		w.issueMany(t, n)
		for name, s := range map[string]est.CRLScope{
			"full": scope, "part": {Issuer: scope.Issuer, Shard: 1, Shards: 2, URL: "http://ca.example/crl/1-2"},
		} {
			crl := need(w.ca.CRL(t.Context(), s, time.Hour))(t)
			dir := t.TempDir()
			der, ca := filepath.Join(dir, "crl.der"), filepath.Join(dir, "ca.pem")
			write(t, der, crl.DER)
			write(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.Certificate().Raw}))
			out := openssl(t, "crl", "-inform", "DER", "-in", der, "-noout", "-text", "-CAfile", ca, "-verify")
			if want := "verify OK"; !bytes.Contains(out, []byte(want)) {
				t.Errorf("%s of %d: openssl says %s, want %s", name, n, out, want)
			}
		}
	}
}

// TestCRLNumber: a clock that goes back repeats no number.
func TestCRLNumber(t *testing.T) {
	w := newWorld(t)
	scope := est.CRLScope{Issuer: w.issuer()}
	last := int64(0)
	for _, by := range []time.Duration{0, -time.Hour, 0, 3 * time.Hour, -2 * time.Hour} {
		w.clock.Advance(by)
		crl := need(w.ca.CRL(t.Context(), scope, time.Hour))(t)
		if got := parseCRL(t, w, crl.DER).Number; got.Cmp(big.NewInt(crl.Number)) != 0 || crl.Number <= last {
			t.Errorf("after %v: number %v, want more than %d", by, got, last)
		}
		last = crl.Number
	}
}

// manyRevoked is a store that holds n revoked certificates and nothing else.
type manyRevoked struct {
	esttest.Store

	n int
}

func (s *manyRevoked) Revoked(_ context.Context, issuer est.Hash, end time.Time, fn func(est.Revocation) error) error {
	for i := range s.n {
		h := sha256.Sum256(fmt.Append(nil, i))
		err := fn(est.Revocation{
			Hash: h, Issuer: issuer, Serial: fmt.Sprintf("4%x", h[:15]), NotAfter: end.Add(1000 * time.Hour), At: end,
			Reason: est.Superseded,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkCRL makes a CRL of 100,000 entries: from nothing, and after one more
// revocation.
func BenchmarkCRL(b *testing.B) {
	clock := esttest.NewClock()
	scope := func(ca *est.CA) est.CRLScope { return est.CRLScope{Issuer: ca.Authorities()[0].Hash()} }
	b.Run("load", func(b *testing.B) {
		for range b.N {
			ca := esttest.NewCA(b, "Alpha", &manyRevoked{n: 100_000}, clock.Now)
			crl, err := ca.CRL(b.Context(), scope(ca), time.Hour)
			if err != nil || crl.Entries != 100_000 {
				b.Fatal(crl.Entries, err)
			}
			b.ReportMetric(float64(len(crl.DER)), "bytes")
		}
	})
	b.Run("next", func(b *testing.B) {
		ca := esttest.NewCA(b, "Alpha", &manyRevoked{n: 100_000}, clock.Now)
		for range b.N {
			if _, err := ca.CRL(b.Context(), scope(ca), time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// openssl runs the tool and returns what it says.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return out
}
