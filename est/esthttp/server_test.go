package esthttp_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/esthttp"
	"steward/est/esttest"
)

func TestCacerts(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/.well-known/est/cacerts", "/.well-known/est/dev/cacerts"} {
		res, body := w.do(t, ask{method: http.MethodGet, path: path})
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/pkcs7-mime" {
			t.Fatalf("%s: %s %v: %s", path, res.Status, res.Header, body)
		}
		certs := certificates(t, body)
		if len(certs) != 2 || !certs[0].Equal(w.ca.Certificate()) || !certs[1].Equal(w.ca.Root()) {
			t.Errorf("%s: %d certificates", path, len(certs))
		}
	}
}

// TestCSRAttrs: nobody gets the attributes without a name, a device with its own.
func TestCSRAttrs(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		who  est.Client
		cert *tlsCertificate
	}{{est.Client{}, nil}, {w.device.Client(), w.factoryCertificate()}} {
		res, body := w.do(t, ask{method: http.MethodGet, path: "/.well-known/est/csrattrs", cert: tt.cert})
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/csrattrs" {
			t.Fatalf("csrattrs: %s %v: %s", res.Status, res.Header, body)
		}
		want, err := w.ca.Attributes(tt.who)
		if got, _ := esthttp.DecodeBody([]byte(body)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("csrattrs = %x, want %x, %v", got, want, err)
		}
	}
}

// TestEnrolAndRenew leads a device through its first certificates.
func TestEnrolAndRenew(t *testing.T) {
	w := newWorld(t)
	csr := text(esttest.CSR(t, w.key, endpoint))
	res, body := w.do(t, ask{body: csr, cert: w.factoryCertificate()})
	if res.StatusCode != http.StatusAccepted || res.Header.Get("Retry-After") != "30" || !strings.Contains(body, "again") {
		t.Fatalf("before the right opens: %s %v %q, want 202 with Retry-After", res.Status, res.Header, body)
	}
	w.open(t)
	res, body = w.do(t, ask{body: csr, cert: w.factoryCertificate()})
	kind := res.Header.Get("Content-Type")
	if res.StatusCode != http.StatusOK || kind != "application/pkcs7-mime; smime-type=certs-only" {
		t.Fatalf("simpleenroll: %s %v %q", res.Status, res.Header, body)
	}
	first := certificates(t, body)
	if len(first) != 1 || first[0].Subject.CommonName != endpoint || !w.key.PublicKey.Equal(first[0].PublicKey) {
		t.Fatalf("simpleenroll: %d certificates, the first for %v", len(first), first[0].Subject)
	}
	if _, again := w.do(t, ask{body: csr, cert: w.factoryCertificate()}); again != body {
		t.Error("the same request has another answer")
	}
	renew := ask{
		path: "/.well-known/est/dev/simplereenroll", body: text(esttest.CSR(t, esttest.Key(t), endpoint)),
		cert: operational(first[0], w.key),
	}
	res, body = w.do(t, renew)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("simplereenroll: %s %q", res.Status, body)
	}
	if next := certificates(t, body); next[0].Equal(first[0]) {
		t.Error("the renewed certificate is the old one")
	}
}

func TestOneTimePassword(t *testing.T) {
	w := newWorld(t)
	p, secret, err := w.ca.MakePassword(t.Context(), est.NewPassword{Name: gateway})
	if err != nil {
		t.Fatal(err)
	}
	good := ask{body: text(esttest.CSR(t, w.key, gateway)), user: p.ID, secret: secret}
	res, _ := w.do(t, ask{body: good.body})
	challenge := res.Header.Get("WWW-Authenticate")
	if res.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Basic realm=") {
		t.Errorf("without a password: %s %v, want 401 with WWW-Authenticate", res.Status, res.Header)
	}
	res, body := w.do(t, good)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("with the password: %s %q", res.Status, body)
	}
	if _, again := w.do(t, good); again != body {
		t.Error("the same request has another answer")
	}
	another := good
	another.body = text(esttest.CSR(t, esttest.Key(t), gateway))
	if res, _ := w.do(t, another); res.StatusCode != http.StatusForbidden {
		t.Errorf("another request with the used password: %s, want 403", res.Status)
	}
	renewal := good
	renewal.path = "/.well-known/est/simplereenroll"
	if res, _ := w.do(t, renewal); res.StatusCode != http.StatusForbidden {
		t.Errorf("renewal by password: %s, want 403", res.Status)
	}
	renewal.cert, renewal.user = operational(certificates(t, body)[0], w.key), ""
	if res, body := w.do(t, renewal); res.StatusCode != http.StatusOK {
		t.Errorf("renewal by certificate: %s %s", res.Status, body)
	}
	if strings.Contains(w.log.String(), secret) {
		t.Error("the secret stands in the log")
	}
}

// TestBadInput: each gets its status, in words, leaves an audit row, and nothing is
// issued.
func TestBadInput(t *testing.T) {
	w := newWorld(t)
	w.open(t)
	p, secret, err := w.ca.MakePassword(t.Context(), est.NewPassword{Name: gateway})
	if err != nil {
		t.Fatal(err)
	}
	good := text(esttest.CSR(t, w.key, endpoint))
	factory := w.factoryCertificate()
	stranger := esttest.NewDevice(t, esttest.NewFactory(t, w.clock.Now), "stranger")
	unknown := &tlsCertificate{Certificate: [][]byte{stranger.DER}, PrivateKey: stranger.Key}
	forged := bytes.Clone(esttest.CSR(t, w.key, endpoint))
	forged[len(forged)-1] ^= 1
	reenrol := "/.well-known/est/simplereenroll"
	for _, tt := range []struct {
		name string
		ask  ask
		want int
	}{
		{"no client", ask{body: good}, 401},
		{"unknown certificate", ask{body: good, cert: unknown}, 401},
		{"unknown user", ask{body: good, user: "nobody", secret: secret}, 401},
		{"wrong password", ask{body: good, user: p.ID, secret: "x"}, 401},
		{"no password", ask{body: good, user: p.ID}, 401},
		{"password for another name", ask{body: good, user: p.ID, secret: secret}, 403},
		{"password at renewal", ask{path: reenrol, body: good, user: p.ID, secret: secret}, 403},
		{"factory certificate at renewal", ask{path: reenrol, body: good, cert: factory}, 403},
		{"another's name", ask{body: text(esttest.CSR(t, w.key, gateway)), cert: factory}, 403},
		{"forged signature", ask{body: text(forged), cert: factory}, 400},
		{"no base64", ask{body: []byte("%%%"), cert: factory}, 400},
		{"DER without base64", ask{body: esttest.CSR(t, w.key, endpoint), cert: factory}, 400},
		{"PEM", ask{body: []byte("-----BEGIN CERTIFICATE REQUEST-----\n" + string(good)), cert: factory}, 400},
		{"base64url", ask{body: []byte("-_-_"), cert: factory}, 400},
		{"empty", ask{cert: factory}, 400},
		{"only white space", ask{body: []byte(" \r\n\t"), cert: factory}, 400},
		{"truncated", ask{body: good[:len(good)/8*4], cert: factory}, 400},
		{"trailing bytes", ask{body: text(append(esttest.CSR(t, w.key, endpoint), 0)), cert: factory}, 400},
		{"oversized request", ask{body: text(make([]byte, est.MaxCSR+1)), cert: factory}, 413},
		{"oversized body", ask{body: bytes.Repeat([]byte("A"), 1<<20), cert: factory}, 413},
		{"another media type", ask{body: good, kind: "application/json", cert: factory}, 415},
		{"no media type", ask{body: good, kind: " ", cert: factory}, 415},
		{"GET", ask{method: http.MethodGet, cert: factory}, 405},
		{"PUT", ask{method: http.MethodPut, body: good, cert: factory}, 405},
		{"POST to cacerts", ask{path: "/.well-known/est/cacerts", body: good}, 405},
		{"unknown function", ask{path: "/.well-known/est/enroll", body: good, cert: factory}, 404},
		{"unknown label", ask{path: "/.well-known/est/x/simpleenroll", body: good, cert: factory}, 404},
		{"empty label", ask{path: "/.well-known/est//simpleenroll", body: good, cert: factory}, 404},
		{"deeper", ask{path: "/.well-known/est/dev/x/simpleenroll", body: good, cert: factory}, 404},
		{"elsewhere", ask{path: "/est/simpleenroll", body: good, cert: factory}, 404},
		{"fullcmc", ask{path: "/.well-known/est/fullcmc", body: good, cert: factory}, 501},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows := w.audited()
			res, body := w.do(t, tt.ask)
			if res.StatusCode != tt.want {
				t.Errorf("%s %q, want %d", res.Status, body, tt.want)
			}
			if kind := res.Header.Get("Content-Type"); kind != "text/plain; charset=utf-8" || len(body) < 10 {
				t.Errorf("answer %q %q, want a sentence", kind, body)
			}
			if tt.want == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate (RFC 9110 §11.6.1)")
			}
			if tt.want == http.StatusMethodNotAllowed && res.Header.Get("Allow") == "" {
				t.Error("405 without Allow (RFC 9110 §15.5.6)")
			}
			if got := w.audited() - rows; got != 1 {
				t.Errorf("%d audit rows, want 1", got)
			}
		})
	}
	if n := w.issued(t); n > 0 {
		t.Errorf("%d certificates were issued", n)
	}
}

// TestTolerated is what RFC 8951 §3 has receivers take.
func TestTolerated(t *testing.T) {
	w := newWorld(t)
	w.open(t)
	good := string(text(esttest.CSR(t, w.key, endpoint)))
	for name, a := range map[string]ask{
		"lines":                {body: []byte(good[:64] + "\r\n" + good[64:100] + "\n\t " + good[100:] + "\r\n")},
		"another encoding":     {body: []byte(good), header: map[string]string{"Content-Transfer-Encoding": "8bit"}},
		"an unknown encoding":  {body: []byte(good), header: map[string]string{"Content-Transfer-Encoding": "x"}},
		"parameter and letter": {body: []byte(good), kind: "Application/PKCS10; name=x"},
	} {
		a.cert = w.factoryCertificate()
		if res, body := w.do(t, a); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %q", name, res.Status, body)
		}
	}
	if n := w.issued(t); n != 1 {
		t.Errorf("%d certificates, want 1 for one request", n)
	}
}

// TestRevokedClient: a certificate that was revoked opens nothing, at once.
func TestRevokedClient(t *testing.T) {
	w := newWorld(t)
	w.open(t)
	_, body := w.do(t, ask{body: text(esttest.CSR(t, w.key, endpoint)), cert: w.factoryCertificate()})
	cert := certificates(t, body)[0]
	if err := w.ca.Revoke(t.Context(), hashOf(cert.Raw), est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	res, body := w.do(t, ask{
		path: "/.well-known/est/simplereenroll", body: text(esttest.CSR(t, esttest.Key(t), endpoint)),
		cert: operational(cert, w.key),
	})
	if res.StatusCode != http.StatusForbidden || !strings.Contains(body, "revoked") {
		t.Errorf("renewal by a revoked certificate: %s %q, want 403", res.Status, body)
	}
}

// TestThrottle: who fails too often waits, and others do not.
func TestThrottle(t *testing.T) {
	w := newWorld(t)
	p, secret, err := w.ca.MakePassword(t.Context(), est.NewPassword{Name: gateway, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	try := ask{body: text(esttest.CSR(t, w.key, gateway)), user: p.ID, secret: "wrong"}
	for range 10 {
		if res, _ := w.do(t, try); res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("wrong password: %s", res.Status)
		}
	}
	try.secret = secret
	res, _ := w.do(t, try)
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "6" {
		t.Errorf("after ten: %s, Retry-After %q, want 429 and 6", res.Status, res.Header.Get("Retry-After"))
	}
	w.clock.Advance(6 * time.Second)
	if res, body := w.do(t, try); res.StatusCode != http.StatusOK {
		t.Errorf("later: %s %q", res.Status, body)
	}
}

func TestNewServer(t *testing.T) {
	w := newWorld(t)
	good := esthttp.ServerOptions{CA: w.ca, Identify: w.ca.Identify, Audit: w.trail, Now: w.clock.Now}
	for name, change := range map[string]func(*esthttp.ServerOptions){
		"no authority":  func(o *esthttp.ServerOptions) { o.CA = nil },
		"no identities": func(o *esthttp.ServerOptions) { o.Identify = nil },
		"no audit":      func(o *esthttp.ServerOptions) { o.Audit = nil },
		"no clock":      func(o *esthttp.ServerOptions) { o.Now = nil },
		"empty label":   func(o *esthttp.ServerOptions) { o.Labels = map[string]esthttp.Authority{"": w.ca} },
		"label like a function": func(o *esthttp.ServerOptions) {
			o.Labels = map[string]esthttp.Authority{"cacerts": w.ca}
		},
	} {
		o := good
		change(&o)
		if _, err := esthttp.NewServer(o); !errors.Is(err, esthttp.ErrOptions) {
			t.Errorf("%s: NewServer = %v, want ErrOptions", name, err)
		}
	}
}
