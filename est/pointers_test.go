package est_test

import (
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// published is a CA that says where the state of its certificates is.
func (w *world) published(t *testing.T, p est.Profiles) {
	t.Helper()
	o := options(w, w.ca.Authorities()[0])
	o.Profiles = p
	o.Pointers = est.Pointers{
		CRL: func(_ est.Hash, serial *big.Int) string {
			return fmt.Sprintf("http://ca.example/crl/%d", new(big.Int).Mod(serial, big.NewInt(4)))
		},
		Issuer: func(est.Hash) string { return "http://ca.example/issuer/1.cer" }, OCSP: "http://ca.example/ocsp",
	}
	w.ca = need(est.NewCA(o))(t)
}

// TestPointers: servers and signers name where their state is, devices only if the
// profile has it so.
func TestPointers(t *testing.T) {
	w := newWorld(t)
	w.published(t, est.Profiles{})
	pointing := func(der []byte) bool {
		c := parsed(t, der)
		list := fmt.Sprintf("http://ca.example/crl/%d", new(big.Int).Mod(c.SerialNumber, big.NewInt(4)))
		all := slices.Equal(c.CRLDistributionPoints, []string{list}) &&
			slices.Equal(c.OCSPServer, []string{"http://ca.example/ocsp"}) &&
			slices.Equal(c.IssuingCertificateURL, []string{"http://ca.example/issuer/1.cer"})
		if !all && len(c.CRLDistributionPoints)+len(c.OCSPServer)+len(c.IssuingCertificateURL) > 0 {
			t.Errorf("%s names some of it: %v", c.Subject, c.CRLDistributionPoints)
		}
		return all
	}
	key := esttest.Key(t).Public()
	for name, der := range map[string][]byte{
		"server": w.issue(t, "a.example").DER,
		"peer":   need(w.ca.IssuePeer(t.Context(), "Alpha", "a.example", key))(t).DER,
		"signer": need(w.ca.IssueSigner(t.Context(), est.KindSUITSigner, "Alpha", key))(t).DER,
	} {
		if !pointing(der) {
			t.Errorf("%s certificate names nothing", name)
		}
	}
	device := w.enrolled(t)
	if pointing(device.DER) || len(device.DER) > 400 {
		t.Errorf("a device's certificate of %d bytes names where its state is", len(device.DER))
	}
	always := est.ProfileOptions{
		Name: "named", Kind: est.KindOperational, Validity: time.Hour, Pointers: est.PointersAlways,
	}
	never := est.ProfileOptions{Name: "bare", Kind: est.KindServer, Validity: time.Hour, Pointers: est.PointersNever}
	w.published(t, est.Profiles{Operational: need(est.NewProfile(always))(t), Server: need(est.NewProfile(never))(t)})
	if fresh := need(w.renew(t.Context(), device, esttest.CSR(t, w.key, endpoint)))(t); !pointing(fresh.DER) {
		t.Error("the profile says that a device's certificate names it")
	}
	if pointing(w.issue(t, "b.example").DER) {
		t.Error("the profile says that a server's certificate names nothing")
	}
}

// TestNoRevAvail: a certificate of hours says that nobody publishes its revocation
// (RFC 9608), and is refused all the same once revoked.
func TestNoRevAvail(t *testing.T) {
	w := newWorld(t)
	short := est.ProfileOptions{Name: "short", Kind: est.KindOperational, Validity: 8 * time.Hour, NoRevAvail: true}
	w.published(t, est.Profiles{Operational: need(est.NewProfile(short))(t)})
	issued := w.enrolled(t)
	c := parsed(t, issued.DER)
	has := slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool {
		return e.Id.String() == "2.5.29.56" && !e.Critical && string(e.Value) == "\x05\x00"
	})
	if !has || c.CRLDistributionPoints != nil || c.OCSPServer != nil || c.NotAfter.Sub(w.clock.Now()) > 8*time.Hour {
		t.Errorf("noRevAvail %v, until %v, with %v", has, c.NotAfter, c.CRLDistributionPoints)
	}
	if err := w.ca.Revoke(t.Context(), issued.Hash, est.KeyCompromise, ""); err != nil {
		t.Fatal(err)
	}
	if err := w.ca.Live(t.Context(), issued.Hash, w.clock.Now()); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("Live = %v, want ErrRevoked", err)
	}
	crls, scope := est.NewCRLs(w.ca, est.CRLOptions{}), est.CRLScope{Issuer: w.issuer()}
	if crl := need(crls.Get(t.Context(), scope))(t); crl.Entries != 1 {
		t.Errorf("%d entries while it would be valid, want 1", crl.Entries)
	}
	w.clock.Advance(24 * time.Hour)
	if crl := need(crls.Get(t.Context(), scope))(t); crl.Entries != 0 {
		t.Errorf("%d entries after it expired", crl.Entries)
	}
	for name, o := range map[string]est.ProfileOptions{
		"too long":            {Kind: est.KindOperational, Validity: est.MaxNoRevAvail + time.Second, NoRevAvail: true},
		"without end":         {Kind: est.KindOperational, NoExpiry: true, NoRevAvail: true},
		"a CA":                {Kind: est.KindIssuing, Validity: time.Hour, NoRevAvail: true},
		"with pointers":       {Kind: est.KindServer, Validity: time.Hour, NoRevAvail: true, Pointers: est.PointersAlways},
		"responder with them": {Kind: est.KindOCSPSigner, Validity: time.Hour, Pointers: est.PointersAlways},
		"a rule that is none": {Kind: est.KindServer, Validity: time.Hour, Pointers: 9},
	} {
		o.Name = name
		if _, err := est.NewProfile(o); !errors.Is(err, est.ErrProfile) {
			t.Errorf("%s: %v, want ErrProfile", name, err)
		}
	}
}
