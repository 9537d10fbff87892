package esthttp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m/audit"
)

// An Authority answers behind the protocol; *est.CA is one.
type Authority interface {
	// Enrol and Reenrol return the errors of est.CA's methods.
	Enrol(ctx context.Context, r est.Request) (est.Issued, error)
	Reenrol(ctx context.Context, r est.Request) (est.Issued, error)
	// CheckPassword and EnrolByPassword return the errors of est.CA's methods.
	CheckPassword(ctx context.Context, user, secret string) (est.Password, error)
	EnrolByPassword(ctx context.Context, p est.Password, csr []byte) (est.Issued, error)
	// Published returns the issuing CA's certificate, those above it, and others
	// that clients are to have.
	Published() []*x509.Certificate
}

// ServerOptions says what a Server serves. All without a default are required.
type ServerOptions struct {
	CA     Authority            // below Root
	Labels map[string]Authority // below Root/<label>; may be nil
	// Identify says who a client with this chain of DER certificates is, leaf first.
	// It returns the errors of est.CA's method.
	Identify func(ctx context.Context, chain [][]byte) (est.Client, error)
	// Audit gets the refusals that the authority never sees. Strangers cause them:
	// it bounds how many it keeps.
	Audit audit.Log
	Now   func() time.Time // the clock
	Log   *slog.Logger     // nil: none
}

// A Server is the http.Handler of Root. Its TLS server asks for client
// certificates without judging them (tls.RequestClientCert).
type Server struct {
	o           ServerOptions
	authorities map[string]Authority // by label; "" is the default
	throttle    *throttle
}

// ErrOptions reports options that lack something.
var ErrOptions = errors.New("unusable options")

// NewServer validates o.
func NewServer(o ServerOptions) (*Server, error) {
	if o.CA == nil || o.Identify == nil || o.Audit == nil || o.Now == nil {
		return nil, fmt.Errorf("%w: authority, identities, audit and clock are required", ErrOptions)
	}
	s := &Server{o: o, authorities: map[string]Authority{"": o.CA}, throttle: newThrottle()}
	for label, ca := range o.Labels {
		if label == "" || strings.Contains(label, "/") || ca == nil || slices.Contains(functions, label) {
			return nil, fmt.Errorf("%w: label %q", ErrOptions, label)
		}
		s.authorities[label] = ca
	}
	if s.o.Log == nil {
		s.o.Log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

var functions = []string{Cacerts, Enrol, Reenrol, CSRAttrs, ServerKey, fullCMC}

// ServeHTTP answers one request (RFC 7030 §3.2 and §4).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who := caller{}
	if err := s.serve(w, r, &who); err != nil {
		s.fail(w, r, who, err)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, who *caller) error {
	label, function, ok := split(r.URL.Path)
	ca := s.authorities[label]
	if !ok || ca == nil || !slices.Contains(functions, function) {
		return &refusal{status: http.StatusNotFound, text: "There is no such EST resource. The functions are below " + Root + "."}
	}
	if err := checkMethod(r, function); err != nil {
		return err
	}
	switch function {
	case Cacerts:
		return cacerts(w, ca)
	case CSRAttrs: // nothing is prescribed (RFC 7030 §4.5.2)
		w.WriteHeader(http.StatusNoContent)
		return nil
	case Enrol:
		return s.enrol(w, r, ca, who)
	case Reenrol:
		return s.reenrol(w, r, ca, who)
	}
	return &refusal{status: http.StatusNotImplemented, text: "The function " + function + " is not built."}
}

// split takes label and function from Root[/<label>]/<function> (RFC 7030 §3.2.2).
func split(path string) (label, function string, ok bool) {
	below, ok := strings.CutPrefix(path, Root+"/")
	if !ok {
		return "", "", false
	}
	if first, second, labelled := strings.Cut(below, "/"); labelled {
		return first, second, first != ""
	}
	return "", below, true
}

// checkMethod refuses all but the methods of the function.
func checkMethod(r *http.Request, function string) error {
	allowed := []string{http.MethodPost}
	if function == Cacerts || function == CSRAttrs {
		allowed = []string{http.MethodGet, http.MethodHead}
	}
	if slices.Contains(allowed, r.Method) {
		return nil
	}
	list := strings.Join(allowed, ", ")
	return &refusal{
		status: http.StatusMethodNotAllowed, text: "The function " + function + " takes " + list + ".",
		header: map[string]string{"Allow": list},
	}
}

// cacerts answers anybody (RFC 7030 §4.1.2).
func cacerts(w http.ResponseWriter, ca Authority) error {
	der, err := estcoap.EncodeCertsOnly(ca.Published()...)
	if err != nil {
		return err
	}
	send(w, typePKCS7, der)
	return nil
}

// enrol answers simpleenroll: the first certificate of a client.
func (s *Server) enrol(w http.ResponseWriter, r *http.Request, ca Authority, who *caller) error {
	der, err := s.request(w, r, ca, who)
	if err != nil {
		return err
	}
	if who.password != nil {
		issued, err := ca.EnrolByPassword(r.Context(), *who.password, der)
		return answer(w, issued, err)
	}
	issued, err := ca.Enrol(r.Context(), est.Request{Client: who.client, CSR: der})
	return answer(w, issued, err)
}

// reenrol answers simplereenroll: a client's next certificate, by the one that it
// has (RFC 7030 §4.2.2).
func (s *Server) reenrol(w http.ResponseWriter, r *http.Request, ca Authority, who *caller) error {
	der, err := s.request(w, r, ca, who)
	if err != nil {
		return err
	}
	if who.password != nil {
		who.audited = false
		return &refusal{status: http.StatusForbidden, text: "A renewal needs the certificate that is to be renewed."}
	}
	issued, err := ca.Reenrol(r.Context(), est.Request{Client: who.client, CSR: der})
	return answer(w, issued, err)
}

// request says who asks, and reads the PKCS#10 request.
func (s *Server) request(w http.ResponseWriter, r *http.Request, ca Authority, who *caller) ([]byte, error) {
	if err := s.authenticate(r, ca, who); err != nil {
		return nil, err
	}
	der, err := readRequest(w, r)
	who.audited = err == nil
	return der, err
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
