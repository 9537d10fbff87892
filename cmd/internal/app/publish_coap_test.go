package app_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/est"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
	"steward/suit/cose"
)

// TestPublishedByCoAP: a device asks for the state of a peer's certificate, verifies
// the answer by the CA's certificate alone, and fetches CRL and CA certificates.
func TestPublishedByCoAP(t *testing.T) {
	a, stop := streaming(t, t.TempDir(), nil)
	defer stop()
	tcp, tls := a.StreamAddrs()
	options := dtls.ClientOptions{
		Certificate: updating(t, a, "mine", "01M", false), Verify: func([][]byte) error { return nil },
	}
	e := device(t)
	anybody := connect(t, e, "coap+tcp", tcp, dtls.ClientOptions{})
	dial := func(uri string) *transport.Conn {
		conn, err := transport.Dial(t.Context(), transport.DialOptions{URI: uri, Engine: e, Client: options})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	mine := map[string]coap.Peer{"coaps": dial(a.CoAPSURI()), "coaps+tcp": dial("coaps+tcp://" + tls.String())}
	peer := issue(t, a, "peer.example")
	for i := range 40 { // a CRL of several blocks
		if i%2 == 0 {
			revoke(t, a, issue(t, a, "gone.example"))
		}
	}
	get := func(p coap.Peer, etag []byte, path ...string) *coap.Response {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		r := &coap.Request{Method: coap.GET, Path: path, ETag: etag}
		out, err := e.Do(ctx, p, r)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for scheme, p := range mine {
		signer := parse(t, get(p, nil, "status").Payload)
		if err := signer.CheckSignatureFrom(a.CA().Certificate()); err != nil {
			t.Error(err)
		}
		s := get(p, nil, "status", peer.Serial)
		verify(t, signer, s)
		if got := get(p, s.ETag, "status", peer.Serial); got.Code != coap.Valid || len(got.Payload) > 0 {
			t.Errorf("%s: %s for who has it, want 2.03", scheme, got.Code)
		}
		crl, err := x509.ParseRevocationList(get(p, nil, "crl", "issuing.crl").Payload)
		if err != nil || len(crl.RevokedCertificateEntries) != 20 || crl.CheckSignatureFrom(a.CA().Certificate()) != nil {
			t.Errorf("%s: CRL %+v, %v", scheme, crl, err)
		}
		if got := get(p, nil, "issuer", "issuing.cer"); !bytes.Equal(got.Payload, a.CA().Certificate().Raw) {
			t.Errorf("%s: issuer %s", scheme, got.Code)
		}
		for _, path := range [][]string{
			{"status", "4711"},
			{"status", "zz"},
			{"status", "signer", "x"},
			{"status", "", ""},
			{"crl", "x"},
			{"crl", "x.crl"},
			{"crl"},
			{"issuer"},
			{"crl", "issuing", "0-2.crl"},
			{"crl", "issuing", "x", "y"},
		} {
			if got := get(p, nil, path...); got.Code != coap.NotFound {
				t.Errorf("%s: %v is %s, want 4.04", scheme, path, got.Code)
			}
		}
	}
	verify(t, parse(t, get(anybody, nil, "status").Payload), get(anybody, nil, "status", peer.Serial))
	if got := get(anybody, nil, "crl", "issuing.crl"); got.Code != coap.Forbidden {
		t.Errorf("a CRL for anybody: %s, want 4.03", got.Code)
	}
	before := get(anybody, nil, "status", peer.Serial)
	revoke(t, a, peer)
	after := get(anybody, before.ETag, "status", peer.Serial)
	if after.Code != coap.Content || bytes.Equal(after.Payload, before.Payload) {
		t.Errorf("%s after it was revoked: %x", after.Code, after.Payload)
	}
}

func verify(t *testing.T, signer *x509.Certificate, r *coap.Response) {
	t.Helper()
	age, _ := r.MaxAge.Seconds()
	if r.Code != coap.Content || len(r.Payload) > est.MaxStatus || len(r.ETag) != 8 || age == 0 || age > 300 {
		t.Errorf("%s of %d bytes, ETag %x, Max-Age %d", r.Code, len(r.Payload), r.ETag, age)
	}
	v, err := cose.NewVerifier(signer.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cose.VerifySign1(r.Payload, v, nil, nil); err != nil {
		t.Errorf("status %x: %v", r.Payload, err)
	}
}

// TestRevokedSessionsEnd: a revocation ends what the certificate has open, by every
// transport, and nothing opens by it again; others stay.
func TestRevokedSessionsEnd(t *testing.T) {
	a, stop := streaming(t, t.TempDir(), nil)
	defer stop()
	_, tls := a.StreamAddrs()
	e := device(t)
	accept := func([][]byte) error { return nil }
	bad := dtls.ClientOptions{Certificate: updating(t, a, "bad", "01B", false), Verify: accept}
	good := dtls.ClientOptions{Certificate: updating(t, a, "good", "01G", false), Verify: accept}
	uris := []string{a.CoAPSURI(), "coaps+tcp://" + tls.String()}
	dial := func(uri string, o dtls.ClientOptions) (*transport.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		return transport.Dial(ctx, transport.DialOptions{URI: uri, Engine: e, Client: o})
	}
	read := func(c *transport.Conn) error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := e.Do(ctx, c, &coap.Request{Method: coap.GET, Path: []string{"est", "crts"}})
		return err
	}
	var theirs, others []*transport.Conn
	for _, uri := range uris {
		for _, o := range []struct {
			o    dtls.ClientOptions
			into *[]*transport.Conn
		}{{bad, &theirs}, {good, &others}} {
			c, err := dial(uri, o.o)
			if err != nil {
				t.Fatal(err)
			}
			if err := read(c); err != nil {
				t.Fatal(err)
			}
			*o.into = append(*o.into, c)
		}
	}
	cert := parse(t, bad.Certificate.Certificate[0])
	if err := a.CA().Revoke(t.Context(), app.Sum(cert.Raw), est.KeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
	for i, c := range theirs {
		select {
		case <-c.Done():
		case <-time.After(time.Minute):
			t.Errorf("%s lives on", uris[i])
		}
		if again, err := dial(uris[i], bad); err == nil { // TLS 1.3: the server judges after the client is done
			if read(again) == nil {
				t.Errorf("%s opens again", uris[i])
			}
			_ = again.Close()
		}
	}
	for i, c := range others {
		if err := read(c); err != nil {
			t.Errorf("%s of somebody else: %v", uris[i], err)
		}
		_ = c.Close()
	}
}
