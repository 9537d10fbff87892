package est_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"sync"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

// A rekeyWorld is a permanent CA with a device that a provider knows.
type rekeyWorld struct {
	store  *esttest.Store
	ca     *est.CA
	clock  *esttest.Clock
	device esttest.Device
	client est.Client // the device as its operational certificate shows it
}

func newPermanent(t *testing.T, over func(*esttest.Store) est.Store) *rekeyWorld {
	t.Helper()
	p := &rekeyWorld{store: &esttest.Store{}, clock: esttest.NewClock()}
	p.ca = esttest.NewCA(t, "Permanent", over(p.store), p.clock.Now, func(o *est.Options) { o.Origins = p.store })
	p.device = esttest.NewDevice(t, p.ca, endpoint)
	p.client = est.Client{Role: est.RoleOperational, Certificate: est.Hash{1}, Name: endpoint}
	return p
}

func plain(s *esttest.Store) est.Store { return s }

func (p *rekeyWorld) rekey(ctx context.Context, csr []byte) (est.Issued, error) {
	return p.ca.RekeyFactory(ctx, est.FactoryRekey{Client: p.client, CSR: csr})
}

func rekeyCSR(t *testing.T, key, old *ecdsa.PrivateKey, certificate []byte) []byte {
	t.Helper()
	csr, err := est.NewRekeyCSR(key, old, certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// TestRekeyFactory leads a device to a factory key of its own: the old certificate
// lives until the new one is used, and no longer.
func TestRekeyFactory(t *testing.T) {
	p, ctx := newPermanent(t, plain), t.Context()
	key := esttest.Key(t)
	csr := rekeyCSR(t, key, p.device.Key, p.device.DER)
	first, err := p.rekey(ctx, csr)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.rekey(ctx, csr)
	if err != nil || again.Hash != first.Hash {
		t.Errorf("the same request = %x, %v, want the same certificate", again.Hash[:4], err)
	}
	other, err := p.rekey(ctx, rekeyCSR(t, key, p.device.Key, p.device.DER))
	if err != nil || other.Hash != first.Hash {
		t.Errorf("the same key in another request = %x, %v, want the same certificate", other.Hash[:4], err)
	}
	if err := p.ca.Live(ctx, p.device.Factory, p.clock.Now()); err != nil {
		t.Errorf("the old certificate before the new one is used: %v", err)
	}
	p.clock.Advance(48 * est.RekeyOverlap)
	if _, err := p.ca.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.ca.Live(ctx, p.device.Factory, p.clock.Now()); err != nil {
		t.Errorf("the old certificate long before the new one is used: %v", err)
	}
	cert, err := x509.ParseCertificate(first.DER)
	if err != nil || cert.Subject.CommonName != endpoint || !key.PublicKey.Equal(cert.PublicKey) {
		t.Errorf("certificate %v, %v", cert.Subject, err)
	}
	for range 2 {
		who, err := p.ca.UseFactory(ctx, first.Hash)
		if err != nil || who.Role != est.RoleFactory || who.Name != endpoint {
			t.Fatalf("UseFactory = %+v, %v", who, err)
		}
	}
	r, err := p.ca.Lookup(ctx, p.device.Factory)
	if err != nil || r.Status != est.StatusRevoked || r.Reason != est.Superseded || r.ReplacedBy != first.Hash {
		t.Errorf("the old certificate is %s, %s, %v, want superseded", r.Status, r.Reason, err)
	}
	if o, err := p.ca.KeyOrigin(ctx, first.Hash); err != nil || o != est.OriginDevice {
		t.Errorf("origin %q, %v", o, err)
	}
	if _, err := p.rekey(ctx, csr); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("a request with the proof of the superseded key = %v, want ErrRevoked", err)
	}
	if _, err := p.ca.UseFactory(ctx, p.device.Factory); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("the old certificate = %v, want ErrRevoked", err)
	}
	next := rekeyCSR(t, esttest.Key(t), key, first.DER) // and once more
	if out, err := p.rekey(ctx, next); err != nil || out.Hash == first.Hash {
		t.Errorf("the next re-key = %x, %v", out.Hash[:4], err)
	}
}

// TestRekeyRefuses asks for a factory certificate that nobody may have.
func TestRekeyRefuses(t *testing.T) {
	p, ctx := newPermanent(t, plain), t.Context()
	d, key := p.device, esttest.Key(t)
	good := rekeyCSR(t, key, d.Key, d.DER)
	other := esttest.NewDevice(t, p.ca, "urn:dev:other")
	revoked := esttest.NewDevice(t, p.ca, "urn:dev:revoked")
	if err := p.ca.Revoke(ctx, revoked.Factory, est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	strange := esttest.NewDevice(t, esttest.NewFactory(t, p.clock.Now), endpoint)
	ours := p.client
	as := func(c est.Client, change func(*est.Client)) est.Client { change(&c); return c }
	for _, tt := range []struct {
		name   string
		client est.Client
		csr    []byte
		want   error
	}{
		{"a factory session", as(ours, func(c *est.Client) { c.Role = est.RoleFactory }), good, est.ErrForbidden},
		{"nobody", est.Client{Role: est.RoleOperational}, good, est.ErrForbidden},
		{"another device's session", as(ours, func(c *est.Client) { c.Name = other.Endpoint }), good, est.ErrName},
		{"proof by another key", ours, rekeyCSR(t, key, esttest.Key(t), d.DER), est.ErrCSR},
		{"proof by another device", ours, rekeyCSR(t, key, other.Key, d.DER), est.ErrCSR},
		{"proof for another name", ours, rekeyCSR(t, key, other.Key, other.DER), est.ErrName},
		{"proof of another request", ours, stolenProof(t, good, esttest.Key(t), endpoint), est.ErrCSR},
		{"proof under another subject", ours, stolenProof(t, good, key, "urn:dev:other"), est.ErrName},
		{"two proofs", ours, twoProofs(t, good, key), est.ErrCSR},
		{"no proof", ours, esttest.CSR(t, key, endpoint), est.ErrCSR},
		{"the same key", ours, rekeyCSR(t, d.Key, d.Key, d.DER), est.ErrKey},
		{"a certificate of another CA", ours, rekeyCSR(t, key, strange.Key, strange.DER), est.ErrForbidden},
		{
			"a revoked certificate", as(ours, func(c *est.Client) { c.Name = revoked.Endpoint }),
			rekeyCSR(t, key, revoked.Key, revoked.DER), est.ErrRevoked,
		},
		{"a compromised key", ours, rekeyCSR(t, revoked.Key, d.Key, d.DER), est.ErrForbidden},
		{"no request", ours, []byte("x"), est.ErrCSR},
		{"a long request", ours, make([]byte, est.MaxRekeyCSR+1), est.ErrCSRSize},
		{"damaged", ours, append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), est.ErrCSR},
	} {
		_, err := p.ca.RekeyFactory(ctx, est.FactoryRekey{Client: tt.client, CSR: tt.csr})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: RekeyFactory = %v, want %v", tt.name, err, tt.want)
		}
	}
	if n := p.factories(t); n != 2 { // those of this device and of the other
		t.Errorf("%d factory certificates are valid, want 2: something was issued", n)
	}
	if _, err := p.rekey(ctx, good); err != nil {
		t.Fatalf("the good request afterwards = %v", err)
	}
	if _, err := p.rekey(ctx, rekeyCSR(t, esttest.Key(t), d.Key, d.DER)); !errors.Is(err, est.ErrWrongKey) {
		t.Errorf("another key while one waits = %v, want ErrWrongKey", err)
	}
}

func (p *rekeyWorld) factories(t *testing.T) int {
	t.Helper()
	all, err := p.ca.List(t.Context(), est.Query{Kind: est.KindFactory, Status: est.StatusValid})
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// proofOf returns the extension with the proof in a request.
func proofOf(t *testing.T, csr []byte) pkix.Extension {
	t.Helper()
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil || len(r.Extensions) != 1 {
		t.Fatalf("request: %v", err)
	}
	return r.Extensions[0]
}

// withProofs makes a request by key.
func withProofs(t *testing.T, key *ecdsa.PrivateKey, name string, proofs ...pkix.Extension) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: name}, ExtraExtensions: proofs,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// stolenProof is a request with the proof of another one.
func stolenProof(t *testing.T, from []byte, key *ecdsa.PrivateKey, name string) []byte {
	t.Helper()
	return withProofs(t, key, name, proofOf(t, from))
}

func twoProofs(t *testing.T, from []byte, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	return withProofs(t, key, endpoint, proofOf(t, from), proofOf(t, from))
}

// TestRekeyMandate: the service user's order is judged where there must be one.
func TestRekeyMandate(t *testing.T) {
	p := newPermanent(t, plain)
	errNone := errors.New("no mandate")
	judge := func(factory est.Hash, raw []byte) error {
		if factory != p.device.Factory || string(raw) != "order" {
			return errNone
		}
		return nil
	}
	for _, tt := range []struct {
		mandate string
		want    error
	}{{"", est.ErrForbidden}, {"another", errNone}, {"order", nil}} {
		csr, err := est.NewRekeyCSR(esttest.Key(t), p.device.Key, p.device.DER, []byte(tt.mandate))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.ca.RekeyFactory(t.Context(), est.FactoryRekey{Client: p.client, CSR: csr, Mandate: judge})
		if !errors.Is(err, tt.want) {
			t.Errorf("mandate %q: %v, want %v", tt.mandate, err, tt.want)
		}
	}
	_, err := est.NewRekeyCSR(esttest.Key(t), p.device.Key, p.device.DER, make([]byte, 4097))
	if !errors.Is(err, est.ErrCSR) {
		t.Errorf("a mandate of 4097 bytes: %v, want ErrCSR", err)
	}
	csr, err := est.NewRekeyCSR(esttest.Key(t), p.device.Key, p.device.DER, make([]byte, 4096))
	if err != nil || len(csr) > est.MaxRekeyCSR {
		t.Errorf("a mandate of 4096 bytes: a request of %d, %v", len(csr), err)
	}
}

// TestRekeyOfRevoked: a successor does not outlive the theft of what it follows.
func TestRekeyOfRevoked(t *testing.T) {
	p, ctx := newPermanent(t, plain), t.Context()
	out, err := p.rekey(ctx, rekeyCSR(t, esttest.Key(t), p.device.Key, p.device.DER))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ca.Revoke(ctx, p.device.Factory, est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ca.UseFactory(ctx, out.Hash); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("UseFactory = %v, want ErrRevoked", err)
	}
}

// TestRekeyWithdrawn: a successor that was lost is revoked by people, and makes room.
func TestRekeyWithdrawn(t *testing.T) {
	p, ctx := newPermanent(t, plain), t.Context()
	lost, err := p.rekey(ctx, rekeyCSR(t, esttest.Key(t), p.device.Key, p.device.DER))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.ca.IssueFactory(ctx, endpoint, esttest.Key(t).Public(), est.OriginCA)
	if !errors.Is(err, est.ErrEndpoint) {
		t.Errorf("another factory certificate = %v, want ErrEndpoint", err)
	}
	if err := p.ca.Revoke(ctx, lost.Hash, est.Superseded, "lost"); err != nil {
		t.Fatal(err)
	}
	out, err := p.rekey(ctx, rekeyCSR(t, esttest.Key(t), p.device.Key, p.device.DER))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ca.UseFactory(ctx, out.Hash); err != nil {
		t.Error(err)
	}
}

// TestRekeyRace: of two keys that ask at once one is issued to.
func TestRekeyRace(t *testing.T) {
	p := newPermanent(t, plain)
	var group sync.WaitGroup
	var errs [8]error
	for i := range errs {
		csr := rekeyCSR(t, esttest.Key(t), p.device.Key, p.device.DER)
		group.Go(func() { _, errs[i] = p.rekey(t.Context(), csr) })
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, est.ErrWrongKey) {
			t.Errorf("RekeyFactory = %v, want ErrWrongKey", err)
		}
	}
	if won != 1 || p.factories(t) != 2 {
		t.Errorf("%d of %d have a certificate, %d are valid", won, len(errs), p.factories(t))
	}
}

// TestOneLiveFactoryKey breaks every call of the store in a re-key, once each: before
// and after each attempt of the device a thief with a copy of the old key asks for one
// of his own. Never is more than one key in force, beside one that waits (I7).
func TestOneLiveFactoryKey(t *testing.T) {
	for _, after := range []bool{false, true} {
		calls := 1
		for fail := 0; fail < calls; fail++ {
			c := &chaos{fail: -1, after: after}
			p := newPermanent(t, func(s *esttest.Store) est.Store { c.under = s; return c })
			c.fail, c.n = fail, 0
			t.Run(fmt.Sprintf("call %d, after it %v", fail, after), func(t *testing.T) { p.life(t) })
			calls = max(calls, c.n)
		}
		t.Logf("after %v: %d calls of the store were broken", after, calls)
	}
}

func (p *rekeyWorld) life(t *testing.T) {
	t.Helper()
	csr := rekeyCSR(t, esttest.Key(t), p.device.Key, p.device.DER)
	var fresh est.Issued
	for _, d := range []deed{
		{"re-key", func() (err error) { fresh, err = p.rekey(t.Context(), csr); return err }},
		{"use", func() error { _, err := p.ca.UseFactory(t.Context(), fresh.Hash); return err }},
	} {
		for attempt := 0; ; attempt++ {
			err := d.do()
			p.oneKey(t, d.name)
			if err == nil {
				break
			}
			if !errors.Is(err, errCrash) || attempt == 3 {
				t.Fatalf("%s: %v", d.name, err)
			}
		}
		_, err := p.rekey(t.Context(), rekeyCSR(t, esttest.Key(t), p.device.Key, p.device.DER)) // the thief
		if err == nil {
			t.Errorf("%s: a thief has a certificate", d.name)
		}
		p.oneKey(t, d.name+", a thief")
	}
	err := p.ca.Live(t.Context(), p.device.Factory, p.clock.Now())
	if !errors.Is(err, est.ErrRevoked) && !errors.Is(err, errCrash) {
		t.Errorf("the old certificate in the end: %v, want ErrRevoked", err)
	}
}

// oneKey is I7: beside the one in force at most one that was not used yet.
func (p *rekeyWorld) oneKey(t *testing.T, when string) {
	t.Helper()
	all, err := p.store.Certificates(t.Context(), est.Query{
		Kind: est.KindFactory, Name: endpoint, Status: est.StatusValid,
	})
	if err != nil {
		t.Fatal(err)
	}
	inForce := 0
	for _, r := range all {
		if r.Supersedes == (est.Hash{}) || !r.UsedAt.IsZero() {
			inForce++
		}
	}
	if inForce != 1 || len(all) > 2 {
		t.Fatalf("%s: %d factory certificates are valid, %d in force", when, len(all), inForce)
	}
}

// FuzzRekeyProof: no proof that was not made makes a certificate.
func FuzzRekeyProof(f *testing.F) {
	clock := esttest.NewClock()
	ca := esttest.NewCA(f, "Permanent", &esttest.Store{}, clock.Now)
	d := esttest.NewDevice(f, ca, endpoint)
	key := esttest.Key(f)
	csr, err := est.NewRekeyCSR(key, d.Key, d.DER, nil)
	if err != nil {
		f.Fatal(err)
	}
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		f.Fatal(err)
	}
	proof := request.Extensions[0]
	f.Add(proof.Value)
	f.Add([]byte{0xd2, 0x84})
	client := est.Client{Role: est.RoleOperational, Certificate: est.Hash{1}, Name: endpoint}
	f.Fuzz(func(t *testing.T, raw []byte) {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: endpoint}, ExtraExtensions: []pkix.Extension{{Id: proof.Id, Value: raw}},
		}, key)
		if err != nil {
			return
		}
		clock.Advance(est.DefaultRetry * 100)
		out, err := ca.RekeyFactory(t.Context(), est.FactoryRekey{Client: client, CSR: der})
		if err == nil && !bytes.Equal(raw, proof.Value) {
			t.Errorf("a proof that was not made: %x", out.Hash)
		}
	})
}
