package est_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	zcrypto "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"steward/est"
	"steward/est/esttest"
)

// issuer makes an issuing CA below a root, both at now.
func issuer(t *testing.T, now time.Time) (*est.Issuer, *x509.Certificate) {
	t.Helper()
	rootKey, key := esttest.Key(t), esttest.Key(t)
	root, err := est.NewRoot(est.RootOptions{Name: "R", Signer: rootKey, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	above, err := est.NewIssuer(rootKey, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := est.NewIssuing(above, "CA", key.Public(), nil, now)
	if err != nil {
		t.Fatal(err)
	}
	i, err := est.NewIssuer(key, cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	return i, root
}

func TestPrepareRefuses(t *testing.T) {
	now := esttest.NewClock().Now()
	i, _ := issuer(t, now)
	p := est.DefaultProfiles()
	key := esttest.Key(t).Public()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	only, err := est.NewProfile(est.ProfileOptions{
		Name: "p", Kind: est.KindOperational, Validity: time.Hour, Keys: []est.KeyAlgorithm{est.P384},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		profile *est.Profile
		subject est.Subject
		at      time.Time
		err     error
	}{
		{"good", p.Operational, est.Subject{Name: "d", Key: key}, now, nil},
		{"no name", p.Operational, est.Subject{Key: key}, now, est.ErrName},
		{"long name", p.Operational, est.Subject{Name: strings.Repeat("n", est.MaxName+1), Key: key}, now, est.ErrName},
		{"control character", p.Operational, est.Subject{Name: "a\nb", Key: key}, now, est.ErrName},
		{"RSA", p.Operational, est.Subject{Name: "d", Key: rsaKey.Public()}, now, est.ErrKey},
		{"P-521", p.Operational, est.Subject{Name: "d", Key: p521.Public()}, now, est.ErrKey},
		{"no key", p.Operational, est.Subject{Name: "d"}, now, est.ErrKey},
		{"key not of the profile", only, est.Subject{Name: "d", Key: key}, now, est.ErrKey},
		{"server without host", p.Server, est.Subject{Name: "d", Key: key}, now, est.ErrLint},
		{"host of no host's syntax", p.Server, est.Subject{Name: "d", Key: key, DNS: []string{"a_b"}}, now, est.ErrLint},
		{"relative URI", p.Operational, est.Subject{Name: "d", Key: key, URI: []string{"d"}}, now, est.ErrName},
		{"CA below the last", p.Issuing, est.Subject{Name: "CA", Key: key}, now, est.ErrLint},
		{"CA not yet valid", p.Operational, est.Subject{Name: "d", Key: key}, now.Add(-48 * time.Hour), est.ErrExpired},
		{"CA expired", p.Operational, est.Subject{Name: "d", Key: key}, now.AddDate(30, 0, 0), est.ErrExpired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := i.Prepare(tt.profile, tt.subject, tt.at); !errors.Is(err, tt.err) {
				t.Errorf("Prepare = %v, want %v", err, tt.err)
			}
		})
	}
}

func TestTokenOnce(t *testing.T) {
	now := esttest.NewClock().Now()
	i, _ := issuer(t, now)
	other, _ := issuer(t, now)
	s := est.Subject{Name: "d", Key: esttest.Key(t).Public()}
	token, err := i.Prepare(est.DefaultProfiles().Operational, s, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Issue(token); !errors.Is(err, est.ErrToken) {
		t.Errorf("Issue by another issuer = %v, want ErrToken", err)
	}
	if _, err := i.Issue(token); err != nil {
		t.Fatal(err)
	}
	for _, again := range []*est.Token{token, nil} {
		if _, err := i.Issue(again); !errors.Is(err, est.ErrToken) {
			t.Errorf("Issue = %v, want ErrToken", err)
		}
	}
}

func TestNewIssuerRefuses(t *testing.T) {
	now := esttest.NewClock().Now()
	i, root := issuer(t, now)
	token, err := i.Prepare(est.DefaultProfiles().Operational, est.Subject{Name: "d", Key: esttest.Key(t).Public()}, now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := i.Issue(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*x509.Certificate{nil, root, leaf} { // none, another key's, no CA
		if _, err := est.NewIssuer(esttest.Key(t), c, nil); !errors.Is(err, est.ErrOptions) {
			t.Errorf("NewIssuer = %v, want ErrOptions", err)
		}
	}
	if _, err := est.NewCA(est.Options{}); !errors.Is(err, est.ErrOptions) {
		t.Errorf("NewCA = %v, want ErrOptions", err)
	}
	if _, err := est.NewRoot(est.RootOptions{Name: "R"}); !errors.Is(err, est.ErrOptions) {
		t.Errorf("NewRoot = %v, want ErrOptions", err)
	}
}

// everyKind issues one certificate of each kind by ca and factory.
func everyKind(t *testing.T, ca, factory *est.CA) map[est.Kind]*x509.Certificate {
	t.Helper()
	ctx := t.Context()
	out := map[est.Kind]*x509.Certificate{est.KindRoot: ca.Root(), est.KindIssuing: ca.Certificate()}
	device := esttest.NewDevice(t, factory, "urn:dev:ops:32473-demo-00000001")
	esttest.Grant(t, ca, factory, device)
	if _, err := ca.OpenRight(ctx, device.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	enrol := func() (est.Issued, error) {
		return ca.Enrol(ctx, est.Request{Client: device.Client(), CSR: esttest.CSR(t, esttest.Key(t), device.Endpoint)})
	}
	key := func() crypto.PublicKey { return esttest.Key(t).Public() }
	for kind, issue := range map[est.Kind]func() (est.Issued, error){
		est.KindServer:         func() (est.Issued, error) { return ca.IssueServer(ctx, "127.0.0.11", key()) },
		est.KindPeer:           func() (est.Issued, error) { return ca.IssuePeer(ctx, "Alpha", "alpha.example", key()) },
		est.KindTransferSigner: func() (est.Issued, error) { return ca.IssueSigner(ctx, est.KindTransferSigner, "T", key()) },
		est.KindSUITSigner:     func() (est.Issued, error) { return ca.IssueSigner(ctx, est.KindSUITSigner, "S", key()) },
		est.KindFactory:        func() (est.Issued, error) { return est.Issued{DER: device.DER}, nil },
		est.KindOperational:    enrol,
	} {
		issued, err := issue()
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if out[kind], err = x509.ParseCertificate(issued.DER); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestZlintCRL lints the revocation list as TestZlint lints certificates.
func TestZlintCRL(t *testing.T) {
	w := newWorld(t)
	out := w.enrolled(t)
	if err := w.ca.Revoke(t.Context(), out.Hash, est.KeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
	made, err := w.ca.CRL(t.Context(), est.CRLScope{Issuer: w.ca.Authorities()[0].Hash()}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := zcrypto.ParseRevocationList(made.DER)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range zlint.LintRevocationListEx(crl, rules(t)).Results {
		if r.Status >= lint.Warn {
			t.Errorf("%s: %s %s", name, r.Status, r.Details)
		}
	}
}

// rules are the lints that come from RFC 5280.
func rules(t *testing.T) lint.Registry {
	t.Helper()
	r, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestZlint(t *testing.T) {
	clock := esttest.NewClock()
	ca, factory := esttest.NewCA(t, "Alpha", &esttest.Store{}, clock.Now), esttest.NewFactory(t, clock.Now)
	certs := everyKind(t, ca, factory)
	certs["factory root"] = factory.Root()
	for kind, c := range certs {
		parsed, err := zcrypto.ParseCertificate(c.Raw)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		for name, r := range zlint.LintCertificateEx(parsed, rules(t)).Results {
			// RFC 5280 §4.2.1.2 only recommends a key identifier for end entities.
			small := kind == est.KindFactory || kind == est.KindOperational
			if small && name == "w_ext_subject_key_identifier_missing_sub_cert" {
				continue
			}
			if r.Status >= lint.Warn {
				t.Errorf("%s: %s: %s %s", kind, name, r.Status, r.Details)
			}
		}
		t.Logf("%s: %d bytes", kind, len(c.Raw))
	}
}

// TestSizes keeps device certificates near the reference sizes of the transfer
// protocol (§2: factory certificate 322 bytes, with a shorter name and serial).
func TestSizes(t *testing.T) {
	clock := esttest.NewClock()
	certs := everyKind(t, esttest.NewCA(t, "Alpha", &esttest.Store{}, clock.Now), esttest.NewFactory(t, clock.Now))
	for kind, most := range map[est.Kind]int{est.KindFactory: 370, est.KindOperational: 400, est.KindIssuing: 380} {
		if got := len(certs[kind].Raw); got > most {
			t.Errorf("%s certificate of %d bytes, want at most %d", kind, got, most)
		}
	}
}

func TestOpenSSLVerify(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	ca := esttest.NewCA(t, "Alpha", &esttest.Store{}, time.Now) // openssl looks at the real clock
	factory := esttest.NewFactory(t, time.Now)
	certs := everyKind(t, ca, factory)
	dir := t.TempDir()
	file := func(name string, c *x509.Certificate) string {
		path := filepath.Join(dir, name+".pem")
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	root, issuing := file("root", ca.Root()), file("issuing", ca.Certificate())
	factoryRoot := file("factory-root", factory.Root())
	for kind, c := range certs {
		args := []string{"verify", "-x509_strict", "-CAfile", root, "-untrusted", issuing}
		switch kind { //nolint:exhaustive // the others are verified without a purpose
		case est.KindFactory: // without key identifier of its own
			args = []string{"verify", "-CAfile", factoryRoot}
		case est.KindServer:
			args = append(args, "-purpose", "sslserver", "-verify_ip", "127.0.0.11")
		case est.KindPeer:
			args = append(args, "-purpose", "sslserver", "-verify_hostname", "alpha.example")
		case est.KindOperational:
			args = []string{"verify", "-CAfile", root, "-untrusted", issuing, "-purpose", "sslclient"}
		}
		out, err := exec.CommandContext(t.Context(), openssl, append(args, file(string(kind), c))...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: openssl %v: %v\n%s", kind, args, err, out)
		}
	}
}

func TestCheckServer(t *testing.T) {
	clock := esttest.NewClock()
	certs := everyKind(t, esttest.NewCA(t, "Alpha", &esttest.Store{}, clock.Now), esttest.NewFactory(t, clock.Now))
	tests := []struct {
		name      string
		kind      est.Kind
		host      string
		registrar bool
		at        time.Time
		err       error
	}{
		{"server", est.KindServer, "127.0.0.11", false, clock.Now(), nil},
		{"registrar", est.KindServer, "127.0.0.11", true, clock.Now(), nil},
		{"without a clock", est.KindServer, "127.0.0.11", true, time.Time{}, nil},
		{"other host", est.KindServer, "127.0.0.12", true, clock.Now(), est.ErrName},
		{"expired", est.KindServer, "127.0.0.11", true, clock.Now().AddDate(5, 0, 0), est.ErrExpired},
		{"peer is no registrar", est.KindPeer, "alpha.example", true, clock.Now(), est.ErrForbidden},
		{"device certificate", est.KindOperational, "urn:dev:ops:32473-demo-00000001", false, clock.Now(), est.ErrName},
		{"signer", est.KindSUITSigner, "S", false, clock.Now(), est.ErrName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := est.CheckServer(certs[tt.kind], tt.host, tt.registrar, tt.at); !errors.Is(err, tt.err) {
				t.Errorf("CheckServer = %v, want %v", err, tt.err)
			}
		})
	}
}

func TestOtherKeys(t *testing.T) {
	now := esttest.NewClock().Now()
	i, root := issuer(t, now)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{p384, ed} {
		token, err := i.Prepare(est.DefaultProfiles().Server,
			est.Subject{Name: "d", Key: key.Public(), IP: []net.IP{net.IPv4(127, 0, 0, 1)}}, now)
		if err != nil {
			t.Fatalf("%T: %v", key, err)
		}
		c, err := i.Issue(token)
		if err != nil {
			t.Fatalf("%T: %v", key, err)
		}
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(root)
		between.AddCert(i.Certificate())
		if _, err := c.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, CurrentTime: now, DNSName: "127.0.0.1",
		}); err != nil {
			t.Errorf("%T: %v", key, err)
		}
	}
}
