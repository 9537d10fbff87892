package esthttp

import (
	"bytes"
	"crypto/x509"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"

	"steward/est"
	"steward/est/estcoap"
)

// typePKCS8 is a private key that is not encrypted beyond TLS (RFC 7030 §4.4.2).
const typePKCS8 = "application/pkcs8"

// serverKey answers serverkeygen: a key made here with its certificate. It takes a
// client certificate: who has a password only has no key to renew by.
func (s *Server) serverKey(w http.ResponseWriter, r *http.Request, ca Authority, who *caller) error {
	req, err := s.request(w, r, ca, who)
	if err != nil {
		return err
	}
	if who.password != nil {
		who.audited = false
		return &refusal{status: http.StatusForbidden, text: "Keys are made for clients with certificates only."}
	}
	made, err := ca.GenerateKey(r.Context(), req)
	if err != nil {
		return err
	}
	return sendKey(w, made)
}

// sendKey answers with key and certificate as two parts (RFC 7030 §4.4.2).
func sendKey(w http.ResponseWriter, made est.Keyed) error {
	cert, err := x509.ParseCertificate(made.DER)
	if err != nil {
		return err
	}
	certs, err := estcoap.EncodeCertsOnly(cert)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, p := range []struct {
		kind string
		der  []byte
	}{{typePKCS8, made.Key}, {typeCertsOnly, certs}} {
		part, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type": {p.kind}, "Content-Transfer-Encoding": {"base64"},
		})
		if err != nil {
			return err
		}
		if _, err := part.Write(encodeBody(p.der)); err != nil {
			return err
		}
	}
	if err := parts.Close(); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "multipart/mixed; boundary="+parts.Boundary())
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body.Bytes()) // the client is gone: nothing to do
	return nil
}
