package est_test

import (
	"crypto/x509"
	"errors"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

// newAuthority makes an issuing CA under a root of its own.
func newAuthority(t *testing.T, name string, clock *esttest.Clock) est.Authority {
	t.Helper()
	rootKey, key := esttest.Key(t), esttest.Key(t)
	root, err := est.NewRoot(est.RootOptions{Name: name + " root", Signer: rootKey, Now: clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	above, err := est.NewIssuer(rootKey, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := est.NewIssuing(above, name, key.Public(), nil, clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return est.Authority{Signer: key, Certificate: cert, Parents: []*x509.Certificate{root}}
}

func options(w *world, current est.Authority, previous ...est.Authority) est.Options {
	return est.Options{
		Store: w.store, Now: w.clock.Now, Previous: previous,
		Signer: current.Signer, Issuer: current.Certificate, Parents: current.Parents,
	}
}

// TestAuthorities checks that what is issued names the current authority, and that
// what an earlier one issued is still answered with its chain.
func TestAuthorities(t *testing.T) {
	w := newWorld(t)
	before := w.enrolled(t)
	first := w.ca.Authorities()[0]
	second := newAuthority(t, "Alpha CA 2", w.clock)
	o := options(w, second, first)
	o.Published = first.Chain()
	ca, err := est.NewCA(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Adopt(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := ca.Authorities()
	if len(all) != 2 || all[0].Hash() != second.Hash() || all[1].Hash() != first.Hash() {
		t.Errorf("Authorities = %d, want the second, then the first", len(all))
	}
	for _, c := range append(first.Chain(), second.Chain()...) {
		if _, err := ca.Lookup(t.Context(), (est.Authority{Certificate: c}).Hash()); err != nil {
			t.Errorf("Adopt left out %s: %v", c.Subject, err)
		}
	}
	if got := ca.Published(); len(got) != 4 || !got[0].Equal(second.Certificate) || !got[2].Equal(first.Certificate) {
		t.Errorf("Published has %d certificates, want both chains, the current first", len(got))
	}
	w.ca = ca
	after, err := w.renew(t.Context(), before, esttest.CSR(t, w.key, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ca.Lookup(t.Context(), after.Hash); err != nil || r.Issuer != second.Hash() {
		t.Errorf("renewed by %x, %v, want the second authority", r.Issuer, err)
	}
	again, err := w.enrol(t.Context(), esttest.CSR(t, w.key, endpoint)) // another request, the same key
	if err != nil || string(again.Chain[0]) != string(second.Certificate.Raw) {
		t.Errorf("enrolled again: %v, want the second authority's chain", err)
	}
	leaf, err := x509.ParseCertificate(before.DER)
	if err != nil {
		t.Fatal(err)
	}
	if err := leaf.CheckSignatureFrom(first.Certificate); err != nil {
		t.Error(err)
	}
}

// TestStoredAnswerOfPreviousAuthority checks that a repeated request gets the chain
// of the authority that signed, not of that which signs now.
func TestStoredAnswerOfPreviousAuthority(t *testing.T) {
	w := newWorld(t)
	w.open(t, nil)
	csr := esttest.CSR(t, w.key, endpoint)
	before, err := w.enrol(t.Context(), csr)
	if err != nil {
		t.Fatal(err)
	}
	first := w.ca.Authorities()[0]
	if w.ca, err = est.NewCA(options(w, newAuthority(t, "Alpha CA 2", w.clock), first)); err != nil {
		t.Fatal(err)
	}
	after, err := w.enrol(t.Context(), csr)
	if err != nil || after.Hash != before.Hash || string(after.Chain[0]) != string(first.Certificate.Raw) {
		t.Errorf("the same request: %x, %v, want the stored answer under the first authority", after.Hash, err)
	}
}

func TestAuthorityRefusals(t *testing.T) {
	w := newWorld(t)
	good, other := newAuthority(t, "A", w.clock), newAuthority(t, "B", w.clock)
	for name, previous := range map[string]est.Authority{
		"the same key":     good,
		"another key":      {Signer: good.Signer, Certificate: other.Certificate, Parents: other.Parents},
		"parents of other": {Signer: other.Signer, Certificate: other.Certificate, Parents: good.Parents},
		"nothing":          {},
	} {
		if _, err := est.NewCA(options(w, good, previous)); !errors.Is(err, est.ErrOptions) {
			t.Errorf("%s: %v, want ErrOptions", name, err)
		}
	}
}
