package est_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// issuerKeys makes a key of each kind that an issuer may have.
func issuerKeys(t *testing.T) []crypto.Signer {
	t.Helper()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return []crypto.Signer{esttest.Key(t), p384, edwards}
}

// issued has i issue to s by p.
func issued(t *testing.T, i *est.Issuer, p *est.Profile, s est.Subject, now time.Time) *x509.Certificate {
	t.Helper()
	token, err := i.Prepare(p, s, now)
	if err != nil {
		t.Fatal(err)
	}
	c, err := i.Issue(token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLaterCertificates compares each certificate after the first of its kind, which
// is filled into the pattern of that, with what crypto/x509 makes of the same.
func TestLaterCertificates(t *testing.T) {
	now := esttest.NewClock().Now()
	forever, err := est.NewProfile(est.ProfileOptions{Name: "f", Kind: est.KindFactory, NoExpiry: true})
	if err != nil {
		t.Fatal(err)
	}
	short, err := est.NewProfile(est.ProfileOptions{
		Name: "s", Kind: est.KindOperational, Validity: time.Hour, NoRevAvail: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	profiles := []*est.Profile{est.DefaultProfiles().Operational, forever, short}
	subjects := issuerKeys(t)
	for _, signer := range issuerKeys(t) {
		root, err := est.NewRoot(est.RootOptions{Name: "R", Signer: signer, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		issuerWith := func(random io.Reader) *est.Issuer {
			i, err := est.NewIssuer(signer, root, random)
			if err != nil {
				t.Fatal(err)
			}
			return i
		}
		serials := &mathrand.ChaCha8{}
		used := issuerWith(serials)
		for n, name := range []string{
			"first", "urn:dev:os:32473-1", "R", "Zähler 7", "a*b", "a@b", "a&b", "a_b", "ABC xyz 019 '()+,-./:=?",
			string(bytes.Repeat([]byte("n"), est.MaxName)), "\u00ff",
		} {
			for k, subject := range subjects {
				for _, p := range profiles {
					seed := [32]byte{byte(n), byte(k)}
					s := est.Subject{Name: name, Key: subject.Public()}
					at := now.Add(time.Duration(n) * time.Hour)
					serials.Seed(seed)
					got := issued(t, used, p, s, at)
					want := issued(t, issuerWith(mathrand.NewChaCha8(seed)), p, s, at) // its first: by crypto/x509
					if !bytes.Equal(got.RawTBSCertificate, want.RawTBSCertificate) {
						t.Errorf("%s, %q:\n%x\nwant\n%x", p.Name(), name, got.RawTBSCertificate, want.RawTBSCertificate)
					}
					if err := got.CheckSignatureFrom(root); err != nil {
						t.Errorf("%s, %q: %v", p.Name(), name, err)
					}
				}
			}
		}
	}
}

// failing signs what it was not given, once it is told to.
type failing struct {
	crypto.Signer

	fails bool
}

func (f *failing) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if f.fails {
		digest = make([]byte, len(digest))
	}
	return f.Signer.Sign(random, digest, o)
}

// TestFailingSigner has a key that goes bad after its first certificate.
func TestFailingSigner(t *testing.T) {
	now := esttest.NewClock().Now()
	signer := &failing{Signer: esttest.Key(t)}
	root, err := est.NewRoot(est.RootOptions{Name: "R", Signer: signer, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	i, err := est.NewIssuer(signer, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []error{nil, nil, est.ErrSigner} {
		signer.fails = want != nil
		token, err := i.Prepare(est.DefaultProfiles().Operational, est.Subject{Name: "d", Key: esttest.Key(t).Public()}, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.Issue(token); !errors.Is(err, want) {
			t.Errorf("certificate %d: %v, want %v", n, err, want)
		}
	}
}

// TestSerials looks at the numbers of certificates issued one after the other: later
// ones are greater, those of one moment differ, and all but the time is random.
func TestSerials(t *testing.T) {
	now := esttest.NewClock().Now()
	i, _ := issuer(t, now)
	s := est.Subject{Name: "d", Key: esttest.Key(t).Public()}
	const later = 20 * time.Millisecond // than the unit of the clock
	before := issued(t, i, est.DefaultProfiles().Operational, s, now.Add(-later)).SerialNumber
	seen := map[byte]bool{}
	const many = 400
	for n := range many {
		got := issued(t, i, est.DefaultProfiles().Operational, s, now.Add(time.Duration(n)*later)).SerialNumber
		if b := got.Bytes(); len(b) != 16 || b[0]>>6 != 1 {
			t.Fatalf("serial number %x", b)
		}
		if got.Cmp(before) <= 0 {
			t.Fatalf("%x after %x", got, before)
		}
		seen[got.Bytes()[5]], before = true, got
	}
	if len(seen) < many/4 {
		t.Errorf("%d values of the first random byte in %d serial numbers", len(seen), many)
	}
	for _, n := range []time.Time{now, time.Date(2069, 1, 1, 0, 0, 0, 0, time.UTC)} {
		at := func() []byte {
			root, err := est.NewRoot(est.RootOptions{Name: "R", Signer: esttest.Key(t), Now: n})
			if err != nil {
				t.Fatal(err)
			}
			return root.SerialNumber.Bytes()
		}
		if a, b := at(), at(); !bytes.Equal(a[:5], b[:5]) || bytes.Equal(a[5:], b[5:]) {
			t.Errorf("at %v: %x and %x", n, a, b)
		}
	}
}
