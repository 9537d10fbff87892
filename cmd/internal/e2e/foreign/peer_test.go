package foreign_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// An identity is what providers exchange once, by file.
type identity struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Peer    string `json:"peer_uri"`
	TLS     string `json:"tls"`
	Signing string `json:"signing"`
	Issuing string `json:"issuing,omitempty"`

	Verifier string `json:"verifier,omitempty"`
}

type identityFile struct {
	Payload   string `json:"payload"`
	Protected string `json:"protected"`
	Signature string `json:"signature"`
}

// file signs an identity by the key of its signing certificate.
func (i identity) file(by signer) []byte {
	payload, err := json.Marshal(i)
	if err != nil {
		panic(err)
	}
	f := identityFile{
		Payload:   base64.RawURLEncoding.EncodeToString(payload),
		Protected: base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"steward/identity/1"}`)),
	}
	f.Signature = base64.RawURLEncoding.EncodeToString(by.raw([]byte(f.Protected + "." + f.Payload)))
	out, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return out
}

// A partner is another provider, or a service user, as its file says it is.
type partner struct {
	name, uri string
	tls       []byte // SHA-256 of its SubjectPublicKeyInfo
	signing   *x509.Certificate
}

// pin reads and verifies the file of a partner.
func pin(file []byte) (partner, error) {
	var f identityFile
	if err := json.Unmarshal(file, &f); err != nil {
		return partner{}, err
	}
	payload, err1 := base64.RawURLEncoding.DecodeString(f.Payload)
	sig, err2 := base64.RawURLEncoding.DecodeString(f.Signature)
	var i identity
	if err := json.Unmarshal(payload, &i); err != nil || err1 != nil || err2 != nil {
		return partner{}, refused("identity file")
	}
	p := partner{name: i.Name, uri: i.Peer}
	own, err := parsePEM(i.TLS)
	if err == nil && own != nil {
		p.tls = hashOf(own.RawSubjectPublicKeyInfo)
	}
	if p.signing, err = parsePEM(i.Signing); err != nil || p.signing == nil || (i.Kind == "provider") != (own != nil) {
		return partner{}, refused("identity of a %s: %v", i.Kind, err)
	}
	return p, verify(p.signing, []byte(f.Protected+"."+f.Payload), sig)
}

// parsePEM returns a certificate, or nil for "".
func parsePEM(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, nil //nolint:nilnil // the comment says so
	}
	return x509.ParseCertificate(block.Bytes)
}

// pinned returns the TLS configuration for either role: the other side shows the
// partner's key, whoever signed it.
func pinned(own tls.Certificate, p *partner) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert,
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if !bytes.Equal(hashOf(s.PeerCertificates[0].RawSubjectPublicKeyInfo), p.tls) {
				return refused("another TLS key")
			}
			return nil
		},
	}
}

// later reports whether a status means that the same may be asked again.
func later(status int) bool {
	switch status {
	case http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return status >= http.StatusInternalServerError
}

// post calls the partner's /peer/v1, again and again while that means "later".
func (f *foreign) post(ctx context.Context, path, mediaType string, body []byte) ([]byte, error) {
	for {
		got, err := f.once(ctx, http.MethodPost, path, mediaType, body)
		switch {
		case err == nil && got.status < http.StatusMultipleChoices:
			return got.body, nil
		case err == nil && !later(got.status):
			return nil, refused("%s: %d %s", path, got.status, got.body)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %d %s: %w", path, got.status, got.body, errors.Join(err, ctx.Err()))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// versioned is a media type with its version, as application/cbor is that of version 1.
func versioned(mediaType string) string {
	return strings.Replace(mediaType, "application/", "application/vnd.steward.transfer+", 1) + ";version=1"
}

// A reply is what the partner answers.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// once calls it once. The key is derived from all of the request.
func (f *foreign) once(ctx context.Context, method, path, mediaType string, body []byte) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(f.other.uri, "/")+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != nil {
		key := hex.EncodeToString(hashOf([]byte(path), body))
		r.Header = http.Header{"Content-Type": {versioned(mediaType)}, "Idempotency-Key": {key}}
	}
	res, err := f.client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, out}, err
}

// A said is an answer that is given again to the same key.
type said struct {
	request [sha256.Size]byte
	body    []byte
	media   string
}

// serve opens the partner's own /peer/v1.
func (f *foreign) serve(t *testing.T, host string) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	f.uri = "https://" + listener.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /peer/v1/transfers", f.kept("application/json", f.takeInfo))
	mux.HandleFunc("GET /peer/v1/transfers/{id}", f.status)
	mux.HandleFunc("GET /peer/v1/transfers/{id}/devices/{device}/right", f.tellRight)
	mux.HandleFunc("POST /peer/v1/transfers/{id}/offer", f.kept("application/cose", f.takeOffer))
	mux.HandleFunc("POST /peer/v1/transfers/{id}/extend", f.kept("application/cbor", f.takeExtend))
	mux.HandleFunc("POST /peer/v1/transfers/{id}/extension", f.kept("application/cose", f.takeExtension))
	mux.HandleFunc("POST /peer/v1/transfers/{id}/approve", f.kept("application/cbor", f.takeApproval))
	mux.HandleFunc("POST /peer/v1/transfers/{id}/withdraw", f.kept("application/cbor", f.takeWithdrawal))
	for action, take := range map[string]taker{
		"ready": f.takeReady, "committed": f.takeCommitted, "complete": f.takeComplete, "close": f.takeClose,
		"challenge": f.takeChallenge, "evidence": f.takeEvidence,
	} {
		mux.HandleFunc("POST /peer/v1/transfers/{id}/devices/{device}/"+action, f.kept("application/cbor", take))
	}
	server := &http.Server{
		Handler: mux, TLSConfig: pinned(f.tls, &f.other), ReadHeaderTimeout: 30 * time.Second,
		ErrorLog: newQuiet(),
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.ServeTLS(listener, "", "") }()
}

// A taker takes the body of a call about a transfer and a device, and answers. Its
// error is one of the document, for good, or means that it is to be repeated.
type taker func(id, device string, body []byte) (media string, answer []byte, err error)
