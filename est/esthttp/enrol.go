package esthttp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"steward/est"
	"steward/est/estcoap"
)

// enrol answers simpleenroll: the first certificate of a client.
func (s *Server) enrol(w http.ResponseWriter, r *http.Request, ca Authority, who *caller) error {
	req, err := s.request(w, r, ca, who)
	if err != nil {
		return err
	}
	if who.password != nil {
		issued, err := ca.EnrolByPassword(r.Context(), *who.password, req)
		return answer(w, issued, err)
	}
	issued, err := ca.Enrol(r.Context(), req)
	return answer(w, issued, err)
}

// reenrol answers simplereenroll: a client's next certificate, by the one that it
// has (RFC 7030 §4.2.2).
func (s *Server) reenrol(w http.ResponseWriter, r *http.Request, ca Authority, who *caller) error {
	req, err := s.request(w, r, ca, who)
	if err != nil {
		return err
	}
	if who.password != nil {
		who.audited = false
		return &refusal{status: http.StatusForbidden, text: "A renewal needs the certificate that is to be renewed."}
	}
	issued, err := ca.Reenrol(r.Context(), req)
	return answer(w, issued, err)
}

// request says who asks, and reads the PKCS#10 request.
func (s *Server) request(w http.ResponseWriter, r *http.Request, ca Authority, who *caller) (est.Request, error) {
	if err := s.authenticate(r, ca, who); err != nil {
		return est.Request{}, err
	}
	der, err := readRequest(w, r)
	who.audited = err == nil
	return est.Request{Client: who.client, CSR: der, Binding: binding(r.TLS)}, err
}

// bindingLength is that of tls-exporter (RFC 9266 §4.2).
const bindingLength = 32

// binding returns the channel binding of a session: tls-exporter from TLS 1.3 on,
// which has no tls-unique (RFC 8446 appendix C.5), else tls-unique (RFC 5929 §3).
// Nil: there is none.
func binding(t *tls.ConnectionState) []byte {
	switch {
	case t == nil:
		return nil
	case t.Version < tls.VersionTLS13:
		return t.TLSUnique
	}
	out, err := t.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, bindingLength)
	if err != nil {
		return nil
	}
	return out
}

// maxBody bounds a request's body: the largest request in base64, and white space.
const maxBody = est.MaxCSR*3/2 + 1024

// readRequest reads a PKCS#10 request in base64.
func readRequest(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typePKCS10 {
		return nil, &refusal{
			status: http.StatusUnsupportedMediaType, text: "A request is " + typePKCS10 + ", in base64.",
		}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, fmt.Errorf("%w: more than %d bytes of text", est.ErrCSRSize, maxBody)
	}
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, text: "The body did not arrive whole.", reason: err}
	}
	return decodeBody(text)
}

// answer sends the certificate alone (RFC 7030 §4.2.3); the chain is in cacerts.
func answer(w http.ResponseWriter, issued est.Issued, err error) error {
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(issued.DER)
	if err != nil {
		return err
	}
	der, err := estcoap.EncodeCertsOnly(cert)
	if err != nil {
		return err
	}
	send(w, typeCertsOnly, der)
	return nil
}
