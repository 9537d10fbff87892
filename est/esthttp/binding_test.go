package esthttp_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"net/http"
	"testing"

	"steward/est"
)

// boundRequest makes a PKCS#10 request with a challengePassword (RFC 2985 §5.4.1).
func boundRequest(t *testing.T, key *ecdsa.PrivateKey, name, challenge string) []byte {
	t.Helper()
	must := func(der []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []string `asn1:"set"`
	}
	info := must(asn1.Marshal(struct {
		Version    int
		Subject    pkix.RDNSequence
		Key        asn1.RawValue
		Attributes []attribute `asn1:"tag:0,set"`
	}{
		0, pkix.Name{CommonName: name}.ToRDNSequence(),
		asn1.RawValue{FullBytes: must(x509.MarshalPKIXPublicKey(key.Public()))},
		[]attribute{{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}, []string{challenge}}},
	}))
	digest := sha256.Sum256(info)
	signature := must(ecdsa.SignASN1(rand.Reader, key, digest[:]))
	return must(asn1.Marshal(struct {
		Info      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		asn1.RawValue{FullBytes: info},
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	}))
}

// TestBinding: where the profile demands it, a request belongs to its TLS session,
// by tls-unique (RFC 5929) or, from TLS 1.3 on, tls-exporter (RFC 9266).
func TestBinding(t *testing.T) {
	w := newWorld(t, profile(t, est.ProfileOptions{Binding: true}))
	w.open(t)
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		conn, err := (&tls.Dialer{Config: &tls.Config{
			InsecureSkipVerify: true, MinVersion: version, MaxVersion: version,
			Certificates: []tls.Certificate{*w.factoryCertificate()},
		}}).DialContext(t.Context(), "tcp", w.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }() // nothing follows
		secure, _ := conn.(*tls.Conn)
		state := secure.ConnectionState()
		own := state.TLSUnique
		if version == tls.VersionTLS13 {
			if own, err = state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err != nil {
				t.Fatal(err)
			}
		}
		in := bufio.NewReader(conn)
		for _, tt := range []struct {
			name    string
			binding []byte
			want    int
		}{
			{"another session's", bytes.Repeat([]byte{7}, len(own)), http.StatusForbidden},
			{"its own", own, http.StatusOK},
		} {
			csr := boundRequest(t, w.key, endpoint, base64.StdEncoding.EncodeToString(tt.binding))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+"/.well-known/est/simpleenroll",
				bytes.NewReader(text(csr)))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/pkcs10")
			if err := req.Write(conn); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(in, req)
			if err != nil {
				t.Fatal(err)
			}
			var body bytes.Buffer
			if _, err := body.ReadFrom(res.Body); err != nil || res.StatusCode != tt.want {
				t.Errorf("%s, %s: %s %s, %v, want %d", name, tt.name, res.Status, body.String(), err, tt.want)
			}
			_ = res.Body.Close() // read to its end
		}
	}
}
