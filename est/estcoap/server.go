package estcoap

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"steward/est"
	"steward/lwm2m/coap"
)

// An Authority answers behind the protocol; *est.CA is one.
type Authority interface {
	// Enrol and Reenrol return the errors of est.CA's methods.
	Enrol(ctx context.Context, r est.Request) (est.Issued, error)
	Reenrol(ctx context.Context, r est.Request) (est.Issued, error)
	// Published returns the issuing CA's certificate, those above it, and others
	// that clients should have.
	Published() []*x509.Certificate
}

// ServerOptions says what a Server serves.
type ServerOptions struct {
	CA     Authority            // below /est and /.well-known/est; required
	Labels map[string]Authority // below /.well-known/est/<label>; may be nil
	Log    *slog.Logger         // nil: none
}

// A Server is the coap.Handler of /est and /.well-known/est.
type Server struct {
	authorities map[string]Authority // by label; "" is the default
	log         *slog.Logger
}

// ErrOptions reports options without an authority.
var ErrOptions = errors.New("unusable options")

// NewServer validates o.
func NewServer(o ServerOptions) (*Server, error) {
	if o.CA == nil {
		return nil, fmt.Errorf("%w: no authority", ErrOptions)
	}
	s := &Server{authorities: map[string]Authority{"": o.CA}, log: o.Log}
	for label, ca := range o.Labels {
		if label == "" || ca == nil || slices.Contains(functions, label) {
			return nil, fmt.Errorf("%w: label %q", ErrOptions, label)
		}
		s.authorities[label] = ca
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

var functions = []string{Cacerts, Enrol, Reenrol, CSRAttrs, ServerKeys, ServerKey}

// ServeCoAP answers one request (RFC 9148 §4).
func (s *Server) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	label, function, ok := split(r.Path)
	ca := s.authorities[label]
	if !ok || ca == nil {
		return refuse(coap.NotFound, "no such EST resource")
	}
	var id coap.Identity
	if r.Peer != nil {
		id = r.Peer.Identity()
	}
	switch function {
	case Cacerts:
		return s.crts(ca, id, r)
	case Enrol:
		return s.enrol(ctx, r, id, coap.RoleFactory, ca.Enrol)
	case Reenrol:
		return s.enrol(ctx, r, id, coap.RoleOperational, ca.Reenrol)
	case CSRAttrs, ServerKeys, ServerKey: // optional, RFC 9148 §4.1; what is absent is 4.04
		return refuse(coap.NotFound, function+" is not built")
	}
	return refuse(coap.NotFound, "no such EST function")
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

// crts answers /crts. Unlike with HTTP, the client must be authenticated (RFC
// 9148 §3).
func (s *Server) crts(ca Authority, id coap.Identity, r *coap.Request) *coap.Response {
	if r.Method != coap.GET {
		return refuse(coap.MethodNotAllowed, "crts takes GET")
	}
	switch id.Role {
	case coap.RoleFactory, coap.RoleOperational, coap.RolePSK, coap.RoleRawKey:
	default:
		return refuse(coap.Unauthorized, "no client identity")
	}
	// One certificate can only be that of the issuing CA: it is what signs for
	// this client, and it verifies under the root that came with the first 281.
	out, ok := answer(coap.Content, r.Accept, ca.Published())
	if !ok {
		return out
	}
	sum := sha256.Sum256(out.Payload)
	out.ETag = sum[:8] // the longest that CoAP has
	if slices.Equal(r.ETag, out.ETag) {
		return &coap.Response{Code: coap.Valid, ETag: out.ETag}
	}
	return out
}

// enrol answers /sen and /sren, which differ in who may ask.
func (s *Server) enrol(ctx context.Context, r *coap.Request, id coap.Identity, role coap.Role,
	ask func(context.Context, est.Request) (est.Issued, error),
) *coap.Response {
	if r.Method != coap.POST {
		return refuse(coap.MethodNotAllowed, "enrolment takes POST")
	}
	if id.Role == coap.RoleNone {
		return refuse(coap.Unauthorized, "no client identity")
	}
	if id.Role != role {
		return s.failed(ctx, r, fmt.Errorf("%w: association is %s", est.ErrForbidden, id.Role))
	}
	if format, ok := r.ContentFormat.ID(); !ok || format != FormatPKCS10 {
		return refuse(coap.UnsupportedContentFormat, "a request is application/pkcs10 (286)")
	}
	if !acceptable(r.Accept) { // before anything is issued
		return refuse(coap.NotAcceptable, "answers are 281 or 287")
	}
	issued, err := ask(ctx, est.Request{
		Client: est.Client{Role: est.Role(id.Role), Certificate: id.Certificate, Name: id.Name}, CSR: r.Payload,
	})
	if err != nil {
		return s.failed(ctx, r, err)
	}
	cert, err := x509.ParseCertificate(issued.DER)
	if err != nil {
		return s.failed(ctx, r, err)
	}
	// The answer is the certificate alone (RFC 7030 §4.2.3); the chain is in crts.
	out, _ := answer(coap.Changed, r.Accept, []*x509.Certificate{cert})
	return out
}

// answer encodes certs as the client accepts them: all as PKCS#7, which is the
// default, or the first alone. ok is false if out is a refusal.
func answer(code coap.Code, accept coap.Format, certs []*x509.Certificate) (out *coap.Response, ok bool) {
	if !acceptable(accept) {
		return refuse(coap.NotAcceptable, "answers are 281 or 287"), false
	}
	if id, _ := accept.ID(); id == FormatPKIXCert {
		return &coap.Response{Code: code, ContentFormat: accept, Payload: certs[0].Raw}, true
	}
	body, err := EncodeCertsOnly(certs...)
	if err != nil {
		return refuse(coap.InternalServerError, "cannot encode"), false
	}
	return &coap.Response{Code: code, ContentFormat: coap.FormatID(FormatCertsOnly), Payload: body}, true
}

func acceptable(accept coap.Format) bool {
	id, ok := accept.ID()
	return !ok || id == FormatCertsOnly || id == FormatPKIXCert
}

// codes translates errors of the authority (RFC 9148 §4.6). The text is what the
// client is told; the reason in full is in log and audit.
var codes = []struct {
	err  error
	code coap.Code
	text string
}{
	{est.ErrPending, coap.ServiceUnavailable, "not open yet"},
	{est.ErrLimit, coap.TooManyRequests, "too many requests"}, // RFC 8516
	{est.ErrSigner, coap.ServiceUnavailable, "cannot sign now"},
	{est.ErrWrongKey, coap.Forbidden, "another key is expected"},
	{est.ErrForbidden, coap.Forbidden, "not allowed"},
	{est.ErrRevoked, coap.Forbidden, "certificate revoked"},
	{est.ErrExpired, coap.Forbidden, "certificate expired"},
	{est.ErrName, coap.Forbidden, "name is not the client's"},
	{est.ErrCSRSize, coap.RequestEntityTooLarge, "request too large"},
	{est.ErrCSR, coap.BadRequest, "unusable request"},
	{est.ErrKey, coap.BadRequest, "key not accepted"},
	{est.ErrLint, coap.BadRequest, "certificate would not conform"},
}

// failed turns err into an answer and logs it with the peer.
func (s *Server) failed(ctx context.Context, r *coap.Request, err error) *coap.Response {
	out := refuse(coap.InternalServerError, "internal error")
	for _, c := range codes {
		if errors.Is(err, c.err) {
			out = refuse(c.code, c.text)
			break
		}
	}
	if pending := (*est.PendingError)(nil); errors.As(err, &pending) {
		out.MaxAge = coap.MaxAgeSeconds(seconds(pending.Retry))
	}
	if errors.Is(err, est.ErrSigner) {
		out.MaxAge = coap.MaxAgeSeconds(seconds(est.DefaultRetry))
	}
	if limit := (*est.LimitError)(nil); errors.As(err, &limit) {
		out.MaxAge = coap.MaxAgeSeconds(seconds(limit.Retry))
	}
	peer, endpoint := "", ""
	if r.Peer != nil {
		peer, endpoint = r.Peer.String(), r.Peer.Identity().Name
	}
	level := slog.LevelInfo
	if errors.Is(err, est.ErrWrongKey) || errors.Is(err, est.ErrSigner) ||
		out.Code == coap.InternalServerError {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(ctx, level, "enrolment refused", slog.String("peer", peer), slog.String("endpoint", endpoint),
		slog.String("path", strings.Join(r.Path, "/")), slog.String("code", out.Code.String()),
		slog.String("reason", err.Error()))
	return out
}

// maxRetry bounds the Max-Age of a 5.03: the longest retry interval of the
// transfer protocol (§7).
const maxRetry = time.Hour

// seconds rounds up, so that nobody asks too early.
func seconds(d time.Duration) uint32 {
	d = min(max(d, time.Second), maxRetry)
	return uint32((d + time.Second - 1) / time.Second)
}

// refuse returns an error response with a diagnostic (RFC 7252 §5.5.2).
func refuse(code coap.Code, text string) *coap.Response {
	return &coap.Response{Code: code, Payload: []byte(text)}
}
