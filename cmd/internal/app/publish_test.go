package app_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/est"
)

// publishing runs a provider whose certificates name what it publishes in two parts.
func publishing(t *testing.T) (*app.App, *httptest.Server) {
	t.Helper()
	a, stop := streaming(t, t.TempDir(), func(o *config.Options) {
		o.Publication = config.Publication{URL: "http://ca.example", Parts: 2}
	})
	t.Cleanup(stop)
	s := httptest.NewServer(a.PKIHandler())
	t.Cleanup(s.Close)
	return a, s
}

// call sends a request whose target is written as it is, past what clients tidy up.
func call(t *testing.T, s *httptest.Server, method, target, kind string, body []byte, header ...string) reply {
	t.Helper()
	var head strings.Builder
	for i := 0; i+1 < len(header); i += 2 {
		head.WriteString(header[i] + ": " + header[i+1] + "\r\n")
	}
	if kind != "" {
		head.WriteString("Content-Type: " + kind + "\r\n")
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.0\r\n%sContent-Length: %d\r\n\r\n%s", method, target, head.String(),
			len(body), body)
	}()
	raw, err := io.ReadAll(conn)
	if err != nil && len(raw) == 0 {
		t.Fatal(err)
	}
	head2, content, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	lines := strings.Split(string(head2), "\r\n")
	out := reply{Header: http.Header{}, body: content}
	if _, err := fmt.Sscanf(lines[0], "HTTP/1.0 %d", &out.StatusCode); err != nil {
		t.Fatalf("%s %.60s: %.80q", method, target, raw)
	}
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ": ")
		out.Header.Set(name, value)
	}
	return out
}

// A reply is what call gets.
type reply struct {
	StatusCode int
	Header     http.Header
	body       []byte
}

// TestPublishedByHTTP follows what a certificate names: its part of the CRL, the
// issuing certificate, the responder.
func TestPublishedByHTTP(t *testing.T) {
	a, s := publishing(t)
	issued := issue(t, a, "a.example")
	cert := parse(t, issued.DER)
	if len(cert.CRLDistributionPoints) != 1 || len(cert.OCSPServer) != 1 || len(cert.IssuingCertificateURL) != 1 {
		t.Fatalf("names %v, %v, %v", cert.CRLDistributionPoints, cert.OCSPServer, cert.IssuingCertificateURL)
	}
	at := func(url string) string { return strings.TrimPrefix(url, "http://ca.example") }
	got := call(t, s, "GET", at(cert.IssuingCertificateURL[0]), "", nil).body
	if !bytes.Equal(got, a.CA().Certificate().Raw) {
		t.Errorf("issuer %x, want the CA's certificate", got)
	}
	revoke(t, a, issued)
	for _, name := range []string{at(cert.CRLDistributionPoints[0]), "/crl/issuing.crl"} {
		r := call(t, s, "GET", name, "", nil)
		crl, err := x509.ParseRevocationList(r.body)
		if err != nil || len(crl.RevokedCertificateEntries) != 1 || crl.CheckSignatureFrom(a.CA().Certificate()) != nil {
			t.Fatalf("%s: %+v, %v", name, crl, err)
		}
		if r.Header.Get("Content-Type") != "application/pkix-crl" ||
			!strings.HasPrefix(r.Header.Get("Cache-Control"), "max-age=300,") {
			t.Errorf("%s: header %v", name, r.Header)
		}
		again := call(t, s, "GET", name, "", nil, "If-None-Match", r.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %d for who has it, want 304", name, again.StatusCode)
		}
	}
	part := at(cert.CRLDistributionPoints[0])
	for target, want := range map[string]int{
		"/issuer/root.cer": 200, "/issuer/issuing.cer": 200, "/issuer/none.cer": 404, "/issuer/root.crl": 404,
		"/crl/x.crl":       404,
		"/crl/issuing.cer": 404, strings.Replace(part, "-2.crl", "-4.crl", 1): 404,
		strings.Replace(part, "-2.crl", "-2", 1): 404,
		"/crl/../issuer/root.cer":                307, "/": 404, "/ocsp": 405, "/ocsp/": 404,
	} {
		if r := call(t, s, "GET", target, "", nil); r.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", target, r.StatusCode, want)
		}
	}
	if r := call(t, s, "POST", "/crl/issuing.crl", "", nil); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d, want 405", r.StatusCode)
	}
}

func parse(tb testing.TB, der []byte) *x509.Certificate {
	tb.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

const ocspType = "application/ocsp-request"

// TestOCSPByHTTP asks by GET and POST, the ways of RFC 6960 Appendix A and RFC 5019.
func TestOCSPByHTTP(t *testing.T) {
	a, s := publishing(t)
	issued := issue(t, a, "a.example")
	cert, issuer := parse(t, issued.DER), a.CA().Certificate()
	request := func(hash crypto.Hash) []byte {
		der, err := ocsp.CreateRequest(cert, issuer, &ocsp.RequestOptions{Hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	status := func(r reply) int {
		t.Helper()
		got, err := ocsp.ParseResponseForCert(r.body, cert, issuer)
		if err != nil {
			t.Fatalf("%d, %v", r.StatusCode, err)
		}
		return got.Status
	}
	q := request(crypto.SHA1)
	plain := base64.StdEncoding.EncodeToString(q)
	escaped := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(plain)
	for _, target := range []string{"/ocsp/" + plain, "/ocsp/" + escaped} {
		r := call(t, s, "GET", target, "", nil)
		if status(r) != ocsp.Good || r.Header.Get("Content-Type") != "application/ocsp-response" ||
			!strings.HasPrefix(r.Header.Get("Cache-Control"), "max-age=300, public") || r.Header.Get("Expires") == "" {
			t.Errorf("GET: header %v", r.Header)
		}
		again := call(t, s, "GET", target, "", nil, "If-None-Match", r.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%d for who has it, want 304", again.StatusCode)
		}
	}
	r := call(t, s, "POST", "/ocsp", ocspType, q)
	if status(r) != ocsp.Good || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("POST: header %v", r.Header)
	}
	revoke(t, a, issued)
	for _, r := range []reply{
		call(t, s, "GET", "/ocsp/"+plain, "", nil), call(t, s, "POST", "/ocsp", ocspType, q),
		call(t, s, "POST", "/ocsp", ocspType, request(crypto.SHA256)),
		call(t, s, "GET", "/ocsp/"+plain, "", nil, "If-None-Match", `"x"`),
	} {
		if got := status(r); got != ocsp.Revoked {
			t.Errorf("status %d after it was revoked", got)
		}
	}
}

// TestOCSPPathTricks: base64 may hold what paths may not, and no path leads past the
// responder.
func TestOCSPPathTricks(t *testing.T) {
	a, s := publishing(t)
	cert := parse(t, issue(t, a, "a.example").DER)
	q, err := ocsp.CreateRequest(cert, a.CA().Certificate(), nil)
	if err != nil {
		t.Fatal(err)
	}
	// A nonce of ones is slashes in base64: "//////".
	tbs := q[4:]
	if q[1] < 0x80 {
		tbs = q[2:]
	}
	ext := unhex(t, "a2333031302f06092b060105050730010204220420"+strings.Repeat("ff", 32))
	inner := append(bytes.Clone(tbs[2:]), ext...)
	nonced := wrap(wrap(inner))
	text := base64.StdEncoding.EncodeToString(nonced)
	if !strings.Contains(text, "//////") {
		t.Fatalf("no slashes in %s", text)
	}
	r := call(t, s, "GET", "/ocsp/"+text, "", nil)
	body := r.body
	if got, err := ocsp.ParseResponseForCert(body, cert, a.CA().Certificate()); err != nil || got.Status != ocsp.Good ||
		!bytes.Contains(body, bytes.Repeat([]byte{0xff}, 32)) {
		t.Errorf("with slashes: %d, %+v, %v", r.StatusCode, got, err)
	}
	for target, want := range map[string][]byte{
		"/ocsp/%00":                         ocsp.MalformedRequestErrorResponse,
		"/ocsp/..%2f..%2fcrl%2fissuing.crl": ocsp.MalformedRequestErrorResponse,
		"/ocsp/../crl/issuing.crl":          ocsp.MalformedRequestErrorResponse,
		"/ocsp//":                           ocsp.MalformedRequestErrorResponse,
		"/ocsp/" + strings.TrimRight(text, "=") + "A": ocsp.MalformedRequestErrorResponse,
		"/ocsp/" + text + "?x=" + text:                nil,
	} {
		r := call(t, s, "GET", target, "", nil)
		if got := r.body; r.StatusCode != http.StatusOK || want != nil && !bytes.Equal(got, want) {
			t.Errorf("GET %.60s: %d %x, want %x", target, r.StatusCode, got[:min(len(got), 16)], want)
		}
	}
	for name, r := range map[string]reply{
		"414 a long path":     call(t, s, "GET", "/ocsp/"+strings.Repeat("A", 2000), "", nil),
		"405 another method":  call(t, s, "DELETE", "/ocsp/"+text, "", nil),
		"415 a form":          call(t, s, "POST", "/ocsp", "application/x-www-form-urlencoded", q),
		"415 no type":         call(t, s, "POST", "/ocsp", "", q),
		"413 a large request": call(t, s, "POST", "/ocsp", ocspType, make([]byte, est.MaxOCSPRequest+1)),
	} {
		if want := name[:3]; fmt.Sprint(r.StatusCode) != want {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wrap writes a SEQUENCE of up to 255 bytes.
func wrap(b []byte) []byte { return append([]byte{0x30, 0x81, byte(len(b))}, b...) }

// TestOpenSSLOCSP has openssl ask about certificates in every state, and judge what
// it gets.
func TestOpenSSLOCSP(t *testing.T) {
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	a, s := publishing(t)
	dir := t.TempDir()
	file := func(name string, ders ...[]byte) string {
		path := filepath.Join(dir, name)
		var text []byte
		for _, der := range ders {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := issue(t, a, "good.example"), issue(t, a, "bad.example")
	revoke(t, a, bad)
	issuing := file("issuing.pem", a.CA().Certificate().Raw)
	chain := file("chain.pem", a.CA().Certificate().Raw, a.CA().Root().Raw)
	goodFile, badFile := file("good.pem", good.DER), file("bad.pem", bad.DER)
	base := []string{"ocsp", "-issuer", issuing, "-CAfile", chain, "-url", s.URL + "/ocsp"}
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"good", []string{"-cert", goodFile}, []string{"Response verify OK", goodFile + ": good", "Next Update"}},
		{"nonce", []string{"-nonce", "-cert", goodFile}, []string{"Response verify OK", goodFile + ": good"}},
		{"no nonce", []string{"-no_nonce", "-cert", goodFile}, []string{"Response verify OK", goodFile + ": good"}},
		{
			"revoked",
			[]string{"-cert", badFile},
			[]string{"Response verify OK", badFile + ": revoked", "Reason: keyCompromise"},
		},
		{"unknown", []string{"-serial", "0x4711"}, []string{"Response verify OK", "0x4711: unknown"}},
		{"by SHA-256", []string{"-sha256", "-cert", badFile}, []string{"Response verify OK", badFile + ": revoked"}},
		{
			"two",
			[]string{"-cert", goodFile, "-cert", badFile},
			[]string{"Response verify OK", "good.pem: good", "bad.pem: revoked"},
		},
	} {
		out, err := exec.CommandContext(t.Context(), program, append(base, tt.args...)...).CombinedOutput()
		for _, want := range tt.want {
			if !bytes.Contains(out, []byte(want)) {
				t.Errorf("%s: %v, no %q in\n%s", tt.name, err, want, out)
			}
		}
		if wantNonce := tt.name != "no nonce"; bytes.Contains(out, []byte("no nonce in response")) && wantNonce {
			t.Errorf("%s: answered without the nonce:\n%s", tt.name, out)
		}
	}
}

// TestOCSPFlood: requests with fresh nonces, all different, are answered; few cost a
// signature, and memory does not grow.
func TestOCSPFlood(t *testing.T) {
	a, s := publishing(t)
	cert := parse(t, issue(t, a, "a.example").DER)
	q, err := ocsp.CreateRequest(cert, a.CA().Certificate(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tbs := q[2:]
	h := a.PKIHandler()
	withNonce, begun := 0, time.Now()
	const flood = 5000
	for i := range flood {
		ext := unhex(t, "a2333031302f06092b060105050730010204220420"+fmt.Sprintf("%064x", i))
		body := wrap(wrap(append(bytes.Clone(tbs[2:]), ext...)))
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/ocsp", bytes.NewReader(body))
		r.Header.Set("Content-Type", ocspType)
		h.ServeHTTP(w, r)
		if _, err := ocsp.ParseResponseForCert(w.Body.Bytes(), cert, a.CA().Certificate()); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if bytes.Contains(w.Body.Bytes(), ext[len(ext)-32:]) {
			withNonce++
		}
	}
	state := a.Responder().State()
	most := 500 + int(500*time.Since(begun).Seconds()) + 1 // the burst, and what a second allows
	kept := min(flood-withNonce, 1)                        // none where the machine is slower than what a second allows
	if withNonce < 400 || withNonce > most || state.Answers != kept || state.Counts.Signed > uint64(withNonce)+1 {
		t.Errorf("%d of %d answers were signed for who asked; %+v", withNonce, flood, state)
	}
}
