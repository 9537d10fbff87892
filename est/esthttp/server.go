package esthttp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m/audit"
)

// An Authority answers behind the protocol; *est.CA is one. Its methods return the
// errors of est.CA's.
type Authority interface {
	Enroller
	Passwords
}

// An Enroller answers clients with certificates.
type Enroller interface {
	Enrol(ctx context.Context, r est.Request) (est.Issued, error)
	Reenrol(ctx context.Context, r est.Request) (est.Issued, error)
	// GenerateKey makes key and certificate.
	GenerateKey(ctx context.Context, r est.Request) (est.Keyed, error)
	// Attributes returns CsrAttrs in DER, for nobody in particular if c is zero.
	Attributes(c est.Client) ([]byte, error)
	// Published returns the issuing CA's certificate, those above it, and others
	// that clients are to have.
	Published() []*x509.Certificate
}

// Passwords are the one-time passwords of an authority.
type Passwords interface {
	CheckPassword(ctx context.Context, user, secret string) (est.Password, error)
	EnrolByPassword(ctx context.Context, p est.Password, r est.Request) (est.Issued, error)
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
		text := "There is no such EST resource. The functions are below " + Root + "."
		return &refusal{status: http.StatusNotFound, text: text}
	}
	if err := checkMethod(r, function); err != nil {
		return err
	}
	switch function {
	case Cacerts:
		return cacerts(w, ca)
	case CSRAttrs:
		return s.attributes(w, r, ca, who)
	case ServerKey:
		return s.serverKey(w, r, ca, who)
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

// attributes answers anybody, and with a name who shows a certificate (RFC 7030
// §4.5, RFC 9908); 204 where nothing is prescribed.
func (s *Server) attributes(w http.ResponseWriter, r *http.Request, ca Authority, who *caller) error {
	_ = s.certificate(r, who) // without one, the answer has no name
	der, err := ca.Attributes(who.client)
	if err != nil {
		return err
	}
	if len(der) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	send(w, typeCSRAttrs, der)
	return nil
}
