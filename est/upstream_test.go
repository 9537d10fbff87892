package est_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/machine"
)

// An outside is an external CA: a second one of ours, asked with a password.
type outside struct {
	ca       *est.CA
	password est.Password
	say      func(e est.Errand) ([][]byte, error) // instead; nil: what the CA says
	asked    int
}

func (o *outside) Anchors() []*x509.Certificate { return []*x509.Certificate{o.ca.Root()} }

func (o *outside) Certify(ctx context.Context, e est.Errand) ([][]byte, error) {
	o.asked++
	if o.say != nil {
		return o.say(e)
	}
	out, err := o.ca.EnrolByPassword(ctx, o.password, est.Request{CSR: e.Request})
	return append([][]byte{out.DER}, out.Chain...), err
}

// newOutside returns a world whose CA has an external one make certificates.
func newOutside(t *testing.T) (*world, *outside) {
	t.Helper()
	w := newWorld(t)
	out := &outside{ca: esttest.NewCA(t, "Permanent", &esttest.Store{}, w.clock.Now)}
	var err error
	out.password, _, err = out.ca.MakePassword(t.Context(), est.NewPassword{Name: "urn:dev:*", Uses: 100})
	if err != nil {
		t.Fatal(err)
	}
	w.ca = withUpstream(t, w, w.store, out)
	return w, out
}

// withUpstream makes the CA of w over a store anew, with an external one.
func withUpstream(t *testing.T, w *world, store est.Store, out *outside) *est.CA {
	t.Helper()
	return esttest.NewCA(t, "Alpha", store, w.clock.Now, func(o *est.Options) {
		o.Upstream = out
		o.Errands, _ = o.Store.(est.Errands)
	})
}

// forward asks the external CA for all that is due.
func (w *world) forward(t *testing.T) error {
	t.Helper()
	due, err := w.ca.DueErrands(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range due {
		err = errors.Join(err, w.ca.Forward(t.Context(), e))
	}
	return err
}

// errand returns the newest.
func (w *world) errand(t *testing.T) est.Errand {
	t.Helper()
	all, err := w.ca.ListErrands(t.Context(), est.ErrandQuery{Limit: 1})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d errands, %v", len(all), err)
	}
	return all[0]
}

func TestUpstream(t *testing.T) {
	w, out := newOutside(t)
	w.open(t, nil)
	csr := esttest.CSR(t, w.key, endpoint)
	for range 2 { // asking twice makes one errand
		if _, err := w.enrol(t.Context(), csr); !errors.Is(err, est.ErrPending) {
			t.Fatalf("Enrol = %v, want ErrPending", err)
		}
	}
	if all, err := w.ca.ListErrands(t.Context(), est.ErrandQuery{}); err != nil || len(all) != 1 {
		t.Fatalf("%d errands, %v, want one", len(all), err)
	}
	if err := w.forward(t); err != nil {
		t.Fatal(err)
	}
	if len(w.live(t)) > 0 {
		t.Error("a certificate is live before its device has it")
	}
	got, err := w.enrol(t.Context(), esttest.CSR(t, w.key, endpoint)) // signed anew
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(got.DER)
	if err != nil || cert.CheckSignatureFrom(out.ca.Certificate()) != nil || !w.key.PublicKey.Equal(cert.PublicKey) {
		t.Fatalf("issued by %v, %v, want the external CA", cert.Issuer, err)
	}
	if e := w.errand(t); e.State != est.ErrandIssued {
		t.Errorf("errand is %s", e.State)
	}
	who, err := w.ca.Identify(t.Context(), [][]byte{got.DER})
	if err != nil || who.Role != est.RoleOperational || who.Name != endpoint {
		t.Errorf("Identify = %+v, %v", who, err)
	}
	next := esttest.CSR(t, esttest.Key(t), endpoint)
	if _, err := w.renew(t.Context(), got, next); !errors.Is(err, est.ErrPending) {
		t.Fatalf("Reenrol = %v, want ErrPending", err)
	}
	out.password.Name = "" // another password is needed where the name is taken
	out.password, _, _ = out.ca.MakePassword(t.Context(), est.NewPassword{Name: endpoint})
	if err := w.forward(t); err != nil {
		t.Fatal(err)
	}
	fresh, err := w.renew(t.Context(), got, next)
	if err != nil || fresh.Hash == got.Hash {
		t.Fatalf("Reenrol = %x, %v", fresh.Hash, err)
	}
	if err := w.ca.Revoke(t.Context(), fresh.Hash, est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ca.Identify(t.Context(), [][]byte{fresh.DER}); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("Identify of a certificate revoked here = %v, want ErrRevoked", err)
	}
	if p := w.ca.Published(); len(p) != 3 || !p[2].Equal(out.ca.Root()) {
		t.Errorf("%d certificates are published, want the external CA's anchor last", len(p))
	}
}

// TestUpstreamAnswers: what comes from outside is what was asked for, or nothing.
func TestUpstreamAnswers(t *testing.T) {
	signer := esttest.Key(t)
	for _, tt := range []struct {
		name   string
		change func(*x509.Certificate)
		bytes  [][]byte // instead of a certificate
	}{
		{"another key", func(c *x509.Certificate) { c.PublicKey = signer.Public() }, nil},
		{"another name", func(c *x509.Certificate) { c.Subject.CommonName = "urn:dev:other" }, nil},
		{"no name", func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{endpoint}} }, nil},
		{"two names", func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "urn:dev:other"}}
		}, nil},
		{"a DNS name", func(c *x509.Certificate) { c.DNSNames = []string{"alpha.example"} }, nil},
		{"a mail address", func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.org"} }, nil},
		{"a CA", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, nil},
		{"expired", func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Minute) }, nil},
		{"not yet valid", func(c *x509.Certificate) { c.NotBefore = c.NotAfter.Add(-time.Minute) }, nil},
		{"valid for fifty years", func(c *x509.Certificate) { c.NotAfter = c.NotAfter.AddDate(50, 0, 0) }, nil},
		{"for servers", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, nil},
		{"a critical extension", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, nil},
		{"of another CA", func(c *x509.Certificate) { c.Issuer = pkix.Name{CommonName: "forged"} }, nil},
		{"nothing", nil, [][]byte{}},
		{"no certificate", nil, [][]byte{{0x30, 0}}},
		{"very many", nil, make([][]byte, 9)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, out := newOutside(t)
			w.open(t, nil)
			anchorKey := esttest.Key(t)
			anchor := sign(t, &x509.Certificate{
				SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Outside"}, IsCA: true, BasicConstraintsValid: true,
				NotBefore: w.clock.Now().Add(-time.Hour), NotAfter: w.clock.Now().AddDate(80, 0, 0),
				KeyUsage: x509.KeyUsageCertSign,
			}, nil, anchorKey.Public(), anchorKey)
			w.ca = esttest.NewCA(t, "Alpha", w.store, w.clock.Now, func(o *est.Options) {
				o.Upstream, o.Errands = pinned{out, anchor}, w.store
			})
			out.say = func(est.Errand) ([][]byte, error) {
				if tt.change == nil {
					return tt.bytes, nil
				}
				issuer, by := anchor, anchorKey
				c := &x509.Certificate{
					SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: endpoint}, NotBefore: w.clock.Now().Add(-time.Hour),
					NotAfter: w.clock.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
					PublicKey: w.key.Public(),
				}
				tt.change(c)
				if c.Issuer.CommonName != "" {
					by = esttest.Key(t)
					issuer = sign(t, &x509.Certificate{
						SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Outside"}, IsCA: true, BasicConstraintsValid: true,
						NotBefore: anchor.NotBefore, NotAfter: anchor.NotAfter, KeyUsage: x509.KeyUsageCertSign,
					}, nil, by.Public(), by)
				}
				return [][]byte{sign(t, c, issuer, c.PublicKey, by).Raw, issuer.Raw}, nil
			}
			csr := esttest.CSR(t, w.key, endpoint)
			if _, err := w.enrol(t.Context(), csr); !errors.Is(err, est.ErrPending) {
				t.Fatalf("Enrol = %v, want ErrPending", err)
			}
			if err := w.forward(t); err != nil {
				t.Fatal(err)
			}
			if e := w.errand(t); e.State != est.ErrandRefused || !strings.Contains(e.Reason, est.ErrUpstream.Error()) {
				t.Errorf("errand is %s: %s", e.State, e.Reason)
			}
			if _, err := w.enrol(t.Context(), csr); !errors.Is(err, est.ErrForbidden) {
				t.Errorf("Enrol = %v, want ErrForbidden", err)
			}
			if !strings.Contains(w.actions(), "upstream.ask upstream.refused certificate.enrol.refuse") || len(w.live(t)) > 0 {
				t.Errorf("audit %s, %d live certificates", w.actions(), len(w.live(t)))
			}
		})
	}
}

// A pinned external CA has another anchor.
type pinned struct {
	*outside

	anchor *x509.Certificate
}

func (p pinned) Anchors() []*x509.Certificate { return []*x509.Certificate{p.anchor} }

// sign makes a certificate of a template; a nil issuer is its own.
func sign(t *testing.T, c, issuer *x509.Certificate, key crypto.PublicKey, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if issuer == nil {
		issuer = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, key, by)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestUpstreamWaits: an external CA that takes its time, or cannot be reached, is
// asked again, later each time; one that declines is not.
func TestUpstreamWaits(t *testing.T) {
	w, out := newOutside(t)
	w.open(t, nil)
	csr := esttest.CSR(t, w.key, endpoint)
	_, _ = w.enrol(t.Context(), csr)
	var say error
	out.say = func(est.Errand) ([][]byte, error) { return nil, say }
	for i, tt := range []struct {
		say  error
		wait time.Duration
	}{
		{&est.PendingError{Retry: 5 * time.Minute}, 5 * time.Minute},
		{&est.PendingError{Retry: 24 * time.Hour}, time.Hour},
		{errors.New("connection refused"), 2 * time.Minute},
		{errors.New("connection refused"), 4 * time.Minute},
	} {
		say = tt.say
		if err := w.forward(t); err != nil || out.asked != i+1 {
			t.Fatalf("asked %d times, %v, want %d", out.asked, err, i+1)
		}
		if err := w.forward(t); err != nil || out.asked != i+1 {
			t.Errorf("asked again at once, %v", err)
		}
		e := w.errand(t)
		if got := e.NextAt.Sub(w.clock.Now()); e.State != est.ErrandWaiting || got != tt.wait {
			t.Errorf("after %v: %s, asked again in %v, want %v", tt.say, e.State, got, tt.wait)
		}
		if _, err := w.enrol(t.Context(), csr); !errors.Is(err, est.ErrPending) {
			t.Errorf("Enrol = %v, want ErrPending", err)
		}
		w.clock.Advance(tt.wait)
	}
	say = est.ErrDeclined
	if err := w.forward(t); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enrol(t.Context(), csr); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("declined: Enrol = %v, want ErrForbidden", err)
	}
	out.say = nil
	if _, err := w.ca.DecideErrand(t.Context(), w.errand(t).ID, est.ErrandRetry, "the CA was told"); err != nil {
		t.Fatal(err)
	}
	if err := w.forward(t); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enrol(t.Context(), csr); err != nil {
		t.Errorf("asked again: Enrol = %v", err)
	}
}

// TestUpstreamSkew: a certificate of a CA whose clock is ahead waits until it is valid.
func TestUpstreamSkew(t *testing.T) {
	w, out := newOutside(t)
	w.open(t, nil)
	ahead := esttest.NewClock()
	ahead.Advance(5 * time.Minute)
	profile, err := est.NewProfile(est.ProfileOptions{
		Name: "exact", Kind: est.KindOperational, Validity: time.Hour, Backdate: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	out.ca = esttest.NewCA(t, "Permanent", &esttest.Store{}, ahead.Now, func(o *est.Options) {
		o.Profiles.Operational = profile
	})
	out.password, _, err = out.ca.MakePassword(t.Context(), est.NewPassword{Name: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	csr := esttest.CSR(t, w.key, endpoint)
	_, _ = w.enrol(t.Context(), csr)
	if err := w.forward(t); err != nil {
		t.Fatal(err)
	}
	if e := w.errand(t); e.State != est.ErrandWaiting || !strings.Contains(e.Reason, "not valid yet") {
		t.Errorf("errand is %s: %s", e.State, e.Reason)
	}
	w.clock.Advance(5 * time.Minute)
	if err := w.forward(t); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enrol(t.Context(), csr); err != nil {
		t.Errorf("Enrol = %v", err)
	}
}

// TestUpstreamOneKey: while the external CA has not answered, a device may come with
// another key, for it may have lost the first; then it may not.
func TestUpstreamOneKey(t *testing.T) {
	w, out := newOutside(t)
	w.open(t, nil)
	lost, csr := esttest.CSR(t, esttest.Key(t), endpoint), esttest.CSR(t, w.key, endpoint)
	_, _ = w.enrol(t.Context(), lost)
	first := w.errand(t)
	if _, err := w.enrol(t.Context(), csr); !errors.Is(err, est.ErrPending) {
		t.Fatalf("another key = %v, want ErrPending", err)
	}
	if e, err := w.ca.Errand(t.Context(), first.ID); err != nil || e.State != est.ErrandWithdrawn {
		t.Errorf("the first errand is %s, %v", e.State, err)
	}
	out.say = func(est.Errand) ([][]byte, error) { return nil, est.ErrDeclined }
	if err := w.ca.Forward(t.Context(), first); err != nil || w.errand(t).State != est.ErrandWaiting {
		t.Errorf("Forward of a stale errand = %v, the new one is %s", err, w.errand(t).State)
	}
	out.say = nil
	if err := w.forward(t); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enrol(t.Context(), lost); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("the first key while a certificate waits = %v, want ErrWrongKey", err)
	}
	if _, err := w.enrol(t.Context(), csr); err != nil {
		t.Errorf("the second key = %v", err)
	}
	if len(w.live(t)) != 1 {
		t.Errorf("%d live certificates, want 1", len(w.live(t)))
	}
}

func TestImportAnswer(t *testing.T) {
	w, out := newOutside(t)
	w.open(t, nil)
	csr := esttest.CSR(t, w.key, endpoint)
	_, _ = w.enrol(t.Context(), csr)
	e := w.errand(t)
	chain, err := out.Certify(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	var certs []*x509.Certificate
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs = append([]*x509.Certificate{c}, certs...) // the leaf last, as people bring it
	}
	if _, err := w.ca.ImportAnswer(t.Context(), e.ID, certs[:2]); !errors.Is(err, est.ErrUpstream) {
		t.Errorf("without the certificate = %v, want ErrUpstream", err)
	}
	if got := w.errand(t); got.State != est.ErrandWaiting || !strings.HasSuffix(w.actions(), "upstream.import.refuse") {
		t.Errorf("after an answer that is no good: %s, audit %s", got.State, w.actions())
	}
	if _, err := w.ca.ImportAnswer(t.Context(), "nothing", certs); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("unknown errand = %v, want ErrUnknown", err)
	}
	if got, err := w.ca.ImportAnswer(t.Context(), e.ID, certs); err != nil || got.State != est.ErrandReady {
		t.Fatalf("ImportAnswer = %s, %v", got.State, err)
	}
	if _, err := w.ca.ImportAnswer(t.Context(), e.ID, certs); !errors.Is(err, machine.ErrNoRow) {
		t.Errorf("again = %v, want ErrNoRow", err)
	}
	if _, err := w.enrol(t.Context(), csr); err != nil {
		t.Errorf("Enrol = %v", err)
	}
	alone := esttest.NewCA(t, "Alpha", w.store, w.clock.Now, func(o *est.Options) { o.Errands = w.store })
	if _, err := alone.ImportAnswer(t.Context(), e.ID, certs); !errors.Is(err, est.ErrUpstream) {
		t.Errorf("without an external CA = %v, want ErrUpstream", err)
	}
	if due, err := alone.DueErrands(t.Context(), 1); len(due) > 0 || err != nil {
		t.Errorf("without an external CA %d errands are due, %v", len(due), err)
	}
	if _, err := w.ca.DecideErrand(t.Context(), e.ID, est.ErrandIssue, ""); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("an operator issues = %v, want ErrForbidden", err)
	}
}

// TestUpstreamExpiredAnswer: an answer that nobody fetched in time is asked for anew.
func TestUpstreamExpiredAnswer(t *testing.T) {
	w, out := newOutside(t)
	w.open(t, nil)
	csr := esttest.CSR(t, w.key, endpoint)
	_, _ = w.enrol(t.Context(), csr)
	if err := w.forward(t); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(366 * 24 * time.Hour)
	if _, err := w.enrol(t.Context(), csr); !errors.Is(err, est.ErrPending) {
		t.Fatalf("Enrol = %v, want ErrPending", err)
	}
	if err := w.forward(t); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enrol(t.Context(), csr); err != nil || out.asked != 2 {
		t.Errorf("Enrol = %v, asked %d times", err, out.asked)
	}
}

// TestUpstreamCrash cuts power around each transaction. Who asks again by the same
// request ends with one live certificate, whatever the external CA made.
func TestUpstreamCrash(t *testing.T) {
	for _, after := range []bool{false, true} {
		for fail := range 3 {
			w, out := newOutside(t)
			store := &cut{Store: w.store, fail: -1, after: after}
			w.ca = withUpstream(t, w, store, out)
			w.open(t, nil)
			store.fail, store.n = fail, 0
			csr := esttest.CSR(t, w.key, endpoint)
			var err error
			for range 6 {
				if _, err = w.enrol(t.Context(), csr); err == nil {
					break
				}
				if err := w.forward(t); err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
			}
			if err != nil || store.n <= fail {
				t.Errorf("cut at %d, after it %v: Enrol = %v, %d commits", fail, after, err, store.n)
			}
			if len(w.live(t)) != 1 {
				t.Errorf("cut at %d, after it %v: %d live certificates, want 1", fail, after, len(w.live(t)))
			}
		}
	}
}
