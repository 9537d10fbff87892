package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// answers maps what can go wrong at the registration and reporting interfaces to
// its code (§6.2, §6.4); the first row that fits counts. It is the only such
// table. What is not in it is our own trouble: 5.00.
var answers = []struct {
	err  error
	code coap.Code
}{
	{lwm2m.ErrVersion, coap.PreconditionFailed},
	{ErrNotRegistered, coap.NotFound}, // before the reason why a location is not one's own
	{ErrParameter, coap.BadRequest},
	{lwm2m.ErrQuery, coap.BadRequest},
	{lwm2m.ErrEndpoint, coap.BadRequest},
	{ErrIdentity, coap.BadRequest},
	{ErrUnauthorized, coap.Unauthorized},
	{ErrForbidden, coap.Forbidden},
	{ErrProfile, coap.Conflict},
	{codec.ErrFormat, coap.UnsupportedContentFormat},
	{codec.ErrBody, coap.RequestEntityTooLarge},
	{codec.ErrSyntax, coap.BadRequest},
	{audit.ErrStorage, coap.ServiceUnavailable},
	{errMethod, coap.MethodNotAllowed},
	{errNotFound, coap.NotFound},
}

var (
	errMethod   = errors.New("no such method here")
	errNotFound = errors.New("no such resource")
)

// maxDiagnostic bounds the text of an error answer, ours or a device's, in bytes.
const maxDiagnostic = 200

// ServeCoAP answers requests to /rd and /dp; others get 4.04.
func (s *Server) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	res, err := s.serve(ctx, r)
	if err == nil {
		return res
	}
	code := coap.InternalServerError
	for _, a := range answers {
		if errors.Is(err, a.err) {
			code = a.code
			break
		}
	}
	s.refused(ctx, r, code, err)
	s.fault(r, code, err)
	text := err.Error()
	if code == coap.InternalServerError || code == coap.ServiceUnavailable {
		text = "" // our own trouble is not the device's business
	}
	return &coap.Response{Code: code, Payload: []byte(diagnostic(text))}
}

// refused logs an answer that is an error.
func (s *Server) refused(ctx context.Context, r *coap.Request, code coap.Code, err error) {
	level := slog.LevelWarn
	if code == coap.InternalServerError {
		level = slog.LevelError
	}
	if !s.o.Log.Enabled(ctx, level) {
		return
	}
	s.o.Log.LogAttrs(ctx, level, "request refused", slog.String("peer", r.Peer.String()),
		slog.String("identity", r.Peer.Identity().Name), slog.String("code", code.String()), slog.Any("error", err))
}

// diagnostic cuts text to maxDiagnostic bytes of valid UTF-8 (RFC 7252 §5.5.2).
func diagnostic(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxDiagnostic)], "")
}

// A handler answers one kind of request.
type handler func(*Server, context.Context, *coap.Request) (*coap.Response, error)

// routes are the resources of the server by first segment and number of
// segments; a method that a resource does not have is 4.05.
var routes = map[string]map[int]map[coap.Code]handler{
	"rd": {
		1: {coap.POST: (*Server).register},
		2: {coap.POST: (*Server).update, coap.DELETE: (*Server).deregister},
	},
	"dp": {
		1: {coap.POST: (*Server).send},
	},
}

func (s *Server) serve(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	if len(r.Path) == 0 {
		return nil, errNotFound
	}
	methods, ok := routes[r.Path[0]][len(r.Path)]
	if !ok {
		return nil, errNotFound
	}
	h, ok := methods[r.Method]
	if !ok {
		return nil, errMethod
	}
	return h(s, ctx, r)
}
