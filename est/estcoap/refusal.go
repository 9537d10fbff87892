package estcoap

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"steward/est"
	"steward/lwm2m/coap"
)

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
	{est.ErrStorage, coap.ServiceUnavailable, "cannot store now"},
	{est.ErrWrongKey, coap.Forbidden, "another key is expected"},
	{est.ErrForbidden, coap.Forbidden, "not allowed"},
	{est.ErrRevoked, coap.Forbidden, "certificate revoked"},
	{est.ErrExpired, coap.Forbidden, "certificate expired"},
	{est.ErrName, coap.Forbidden, "name is not the client's"},
	{est.ErrBinding, coap.Forbidden, "request is not bound to this session"},
	{est.ErrKeyGone, coap.Forbidden, "the key made for this request is no longer kept"},
	{est.ErrEncryption, coap.NotImplemented, "keys are not encrypted"},
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
	if errors.Is(err, est.ErrSigner) || errors.Is(err, est.ErrStorage) {
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

// refuse refuses a request that no authority sees.
func (s *Server) refuse(r *coap.Request, code coap.Code, text string) *coap.Response {
	s.refused(r, code, text)
	return refuse(code, text)
}
