package estcoap

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"steward/est"
	"steward/lwm2m/coap"
)

// An Authority answers behind the protocol; *est.CA is one.
type Authority interface {
	// Enrol, Reenrol and GenerateKey return the errors of est.CA's methods.
	Enrol(ctx context.Context, r est.Request) (est.Issued, error)
	Reenrol(ctx context.Context, r est.Request) (est.Issued, error)
	GenerateKey(ctx context.Context, r est.Request) (est.Keyed, error)
	// GeneratesKeys reports whether GenerateKey is more than a refusal.
	GeneratesKeys() bool
	// Attributes returns what a request of c should look like, as CsrAttrs in DER.
	Attributes(c est.Client) ([]byte, error)
	// Published returns the issuing CA's certificate, those above it, and others
	// that clients should have.
	Published() []*x509.Certificate
}

// ServerOptions says what a Server serves.
type ServerOptions struct {
	CA     Authority            // below /est and /.well-known/est; required
	Labels map[string]Authority // below /.well-known/est/<label>; may be nil
	// Client says who a peer is to the authorities, or why it is nobody (est's
	// errors). Nil: whom its association names.
	Client func(ctx context.Context, p coap.Peer) (est.Client, error)
	// Refused is told of requests that no authority saw, and therefore did not audit.
	// It must not block. Nil: nobody is told.
	Refused func(r *coap.Request, code coap.Code, why string)
	// C509 are the Content-Formats of C509. The zero value: it is not offered.
	C509 C509Formats
	Log  *slog.Logger // nil: none
}

// A Server is the coap.Handler of /est and /.well-known/est.
type Server struct {
	authorities map[string]Authority // by label; "" is the default
	client      func(ctx context.Context, p coap.Peer) (est.Client, error)
	refused     func(r *coap.Request, code coap.Code, why string)
	c509        C509Formats
	log         *slog.Logger
}

// ErrOptions reports options that cannot be used, such as a label that is no path
// segment.
var ErrOptions = errors.New("unusable options")

// Bounds of labels: they stand in the path of every message (RFC 9148 §4.1 wants
// them short), and each adds its links to the answer of a discovery.
const (
	maxLabel  = 32
	maxLabels = 16
)

// NewServer validates o.
func NewServer(o ServerOptions) (*Server, error) {
	if o.CA == nil {
		return nil, fmt.Errorf("%w: no authority", ErrOptions)
	}
	if len(o.Labels) > maxLabels {
		return nil, fmt.Errorf("%w: %d labels, at most %d", ErrOptions, len(o.Labels), maxLabels)
	}
	if err := o.C509.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		authorities: map[string]Authority{"": o.CA}, client: o.Client, refused: o.Refused, c509: o.C509, log: o.Log,
	}
	for label, ca := range o.Labels {
		if !legalLabel(label) || ca == nil {
			return nil, fmt.Errorf("%w: label %q", ErrOptions, label)
		}
		s.authorities[label] = ca
	}
	if s.client == nil {
		s.client = named
	}
	if s.refused == nil {
		s.refused = func(*coap.Request, coap.Code, string) {}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

var functions = []string{Cacerts, Enrol, Reenrol, CSRAttrs, ServerKeys, ServerKey}

// legalLabel reports whether a label can be told from a function and needs no
// escaping in a URI (RFC 7030 §3.2.2).
func legalLabel(label string) bool {
	return label != "" && len(label) <= maxLabel && !slices.Contains(functions, label) &&
		strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// named is the client that the association names.
func named(_ context.Context, p coap.Peer) (est.Client, error) {
	id := p.Identity()
	return est.Client{Role: est.Role(id.Role), Certificate: id.Certificate, Name: id.Name}, nil
}

// ServeCoAP answers one request (RFC 9148 §4).
func (s *Server) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	label, function, ok := split(r.Path)
	ca := s.authorities[label]
	if !ok || ca == nil {
		return s.refuse(r, coap.NotFound, "no such EST resource")
	}
	var id coap.Identity
	if r.Peer != nil {
		id = r.Peer.Identity()
	}
	switch function {
	case Cacerts:
		return s.crts(ca, id, r)
	case CSRAttrs:
		return s.att(ctx, ca, id, r)
	case Enrol:
		return s.enrol(ctx, r, id, []coap.Role{coap.RoleFactory, coap.RoleBootstrap}, ca.Enrol)
	case Reenrol:
		return s.enrol(ctx, r, id, []coap.Role{coap.RoleOperational}, ca.Reenrol)
	case ServerKeys, ServerKey:
		return s.keygen(ctx, ca, id, r, function)
	}
	return s.refuse(r, coap.NotFound, "no such EST function")
}

// split takes label and function from /est/<function> or
// /.well-known/est[/<label>]/<function> (RFC 9148 §4.1).
func split(path []string) (label, function string, ok bool) {
	switch {
	case len(path) == 2 && path[0] == "est":
		return "", path[1], true
	case len(path) < 3 || path[0] != ".well-known" || path[1] != "est":
		return "", "", false
	case len(path) == 3:
		return "", path[2], true
	case len(path) == 4:
		return path[2], path[3], path[2] != ""
	}
	return "", "", false
}
