package esthttp_test

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
)

// A sealer that seals nothing: what is stored is for the store's tests.
type sealer struct{}

func (sealer) Seal(secret []byte, _ string) []byte          { return secret }
func (sealer) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

// profile makes a CA's operational profile.
func profile(t *testing.T, o est.ProfileOptions) func(*est.Options) {
	t.Helper()
	o.Name, o.Kind, o.Validity = "operational", est.KindOperational, 24*60*60*1e9
	p, err := est.NewProfile(o)
	if err != nil {
		t.Fatal(err)
	}
	return func(co *est.Options) {
		co.Profiles.Operational, co.Sealer = p, sealer{}
		co.Requests, _ = co.Store.(est.RequestStore)
	}
}

func TestServerKey(t *testing.T) {
	w := newWorld(t, profile(t, est.ProfileOptions{ServerKeys: true}))
	w.open(t)
	csr := esttest.CSR(t, w.key, endpoint)
	a := ask{path: "/.well-known/est/serverkeygen", body: text(csr), cert: w.factoryCertificate()}
	res, body := w.do(t, a)
	if res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("serverkeygen: %s %v %s", res.Status, res.Header, body)
	}
	kind, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatalf("Content-Type %q, %v", res.Header.Get("Content-Type"), err)
	}
	parts := map[string][]byte{}
	for r := multipart.NewReader(strings.NewReader(body), params["boundary"]); ; {
		part, err := r.NextPart()
		if err != nil {
			break
		}
		der, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, part))
		if err != nil || part.Header.Get("Content-Transfer-Encoding") != "base64" {
			t.Fatalf("part %v: %v", part.Header, err)
		}
		parts[part.Header.Get("Content-Type")] = der
	}
	key, err := x509.ParsePKCS8PrivateKey(parts["application/pkcs8"])
	if err != nil {
		t.Fatal(err)
	}
	certs, err := estcoap.DecodeCertsOnly(parts["application/pkcs7-mime; smime-type=certs-only"])
	if err != nil || len(parts) != 2 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	signer, ok := key.(crypto.Signer)
	pub, _ := certs[0].PublicKey.(interface{ Equal(k crypto.PublicKey) bool })
	if !ok || !pub.Equal(signer.Public()) || pub.Equal(w.key.Public()) {
		t.Error("the key is not that of the certificate, or the client's own")
	}
	again, _ := w.do(t, a)
	if again.StatusCode != http.StatusOK || w.issued(t) != 1 {
		t.Errorf("again: %s, %d certificates", again.Status, w.issued(t))
	}
	if strings.Contains(w.log.String(), base64.StdEncoding.EncodeToString(parts["application/pkcs8"])[:40]) {
		t.Error("the key stands in the log")
	}
}

// TestServerKeyRefused: profiles make no keys unless they say so, and none for who
// has a password only.
func TestServerKeyRefused(t *testing.T) {
	w := newWorld(t)
	w.open(t)
	p, secret, err := w.ca.MakePassword(t.Context(), est.NewPassword{Name: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	a := ask{path: "/.well-known/est/serverkeygen", body: text(esttest.CSR(t, w.key, endpoint))}
	for name, change := range map[string]func(*ask){
		"by the profile": func(a *ask) { a.cert = w.factoryCertificate() },
		"by password":    func(a *ask) { a.user, a.secret = p.ID, secret },
	} {
		b, rows := a, w.audited()
		change(&b)
		if res, _ := w.do(t, b); res.StatusCode != http.StatusForbidden || w.audited() != rows+1 {
			t.Errorf("%s: %s, %d audit rows, want 403 and 1", name, res.Status, w.audited()-rows)
		}
	}
}
