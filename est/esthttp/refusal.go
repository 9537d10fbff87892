package esthttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
)

// A refusal is an answer other than success, in words for people (RFC 8951 §5).
type refusal struct {
	status int
	text   string
	header map[string]string // beside Content-Type; nil: none
	reason error             // in full, for log and audit; nil: text says it all
}

func (e *refusal) Error() string {
	if e.reason != nil {
		return e.reason.Error()
	}
	return e.text
}

// Unwrap returns the reason.
func (e *refusal) Unwrap() error { return e.reason }

// challenge asks for a certificate in the handshake, or a password (RFC 7030 §3.2.3).
const challenge = `Basic realm="EST one-time password", charset="UTF-8"`

// unauthorized refuses who did not say who it is, or not truly.
func unauthorized(text string, reason error) error {
	return &refusal{http.StatusUnauthorized, text, map[string]string{"WWW-Authenticate": challenge}, reason}
}

// statuses translates errors of the authority (RFC 7030 §4.2.3). The text is what
// the client is told; the reason in full is in log and audit.
var statuses = []struct {
	err    error
	status int
	text   string
}{
	{est.ErrPending, http.StatusAccepted, "Not ready yet: ask again with the same request after the time in Retry-After."},
	{est.ErrLimit, http.StatusTooManyRequests, "Too many requests: ask again after the time in Retry-After."},
	{est.ErrStorage, http.StatusServiceUnavailable, "The authority cannot store anything now: ask again later."},
	{est.ErrSigner, http.StatusServiceUnavailable, "The authority cannot sign now: ask again with the same request."},
	{est.ErrWrongKey, http.StatusForbidden, "Another key is expected."},
	{est.ErrEndpoint, http.StatusForbidden, "The name belongs to another device."},
	{est.ErrForbidden, http.StatusForbidden, "This client may not have what it asks for."},
	{est.ErrRevoked, http.StatusForbidden, "The client's certificate is revoked."},
	{est.ErrExpired, http.StatusForbidden, "The client's certificate is outside its validity."},
	{est.ErrUnknown, http.StatusForbidden, "The client is not known."},
	{est.ErrFactory, http.StatusForbidden, "The client's certificate is of no listed factory CA."},
	{est.ErrName, http.StatusForbidden, "The request is for a name that is not the client's."},
	{
		est.ErrCSRSize, http.StatusRequestEntityTooLarge,
		"The request is larger than " + strconv.Itoa(est.MaxCSR) + " bytes of DER.",
	},
	{est.ErrBinding, http.StatusForbidden, "The request is not bound to this TLS session (RFC 7030 section 3.5)."},
	{est.ErrKeyGone, http.StatusForbidden, "The key made for this request is kept no longer."},
	{est.ErrEncryption, http.StatusNotImplemented, "Keys cannot be encrypted beyond TLS here."},
	{est.ErrCSR, http.StatusBadRequest, "The body is no usable PKCS#10 request, or its signature does not verify."},
	{est.ErrKey, http.StatusBadRequest, "The key is of a kind that is not accepted."},
	{est.ErrLint, http.StatusBadRequest, "The certificate would not conform to RFC 5280 or its profile."},
	{ErrBody, http.StatusBadRequest, "The body is not base64 (RFC 4648 section 4)."},
}

// translate turns an error into the refusal that tells of it.
func translate(err error) *refusal {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r
	}
	out := &refusal{status: http.StatusInternalServerError, text: "Internal error.", reason: err}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			out.status, out.text = s.status, s.text
			break
		}
	}
	if pending := (*est.PendingError)(nil); errors.As(err, &pending) {
		out.header = map[string]string{"Retry-After": seconds(pending.Retry)}
	}
	if errors.Is(err, est.ErrSigner) || errors.Is(err, est.ErrStorage) {
		out.header = map[string]string{"Retry-After": seconds(est.DefaultRetry)}
	}
	if limit := (*est.LimitError)(nil); errors.As(err, &limit) {
		out.header = map[string]string{"Retry-After": seconds(limit.Retry)}
	}
	return out
}

// maxRetry bounds Retry-After: the longest retry interval of the transfer
// protocol (§7).
const maxRetry = time.Hour

// seconds rounds up, so that nobody asks too early.
func seconds(d time.Duration) string {
	d = min(max(d, time.Second), maxRetry)
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// fail answers with the refusal that err is, and logs it. What the authority did
// not audit itself is audited here.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, who caller, err error) {
	out := translate(err)
	h := w.Header()
	for name, value := range out.header {
		h.Set(name, value)
	}
	h.Set("Content-Type", typeText)
	w.WriteHeader(out.status)
	_, _ = w.Write([]byte(out.text + "\n")) // the client is gone: nothing to do

	level := slog.LevelInfo
	if errors.Is(err, est.ErrWrongKey) || out.status == http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	s.o.Log.LogAttrs(r.Context(), level, "est request not served", slog.String("peer", r.RemoteAddr),
		slog.String("client", who.String()), slog.String("path", shown(r.URL.Path)), slog.Int("status", out.status),
		slog.String("reason", out.Error()))
	if !who.audited {
		s.audit(r, who, out)
	}
}

// audit records a refusal that the authority has not seen.
func (s *Server) audit(r *http.Request, who caller, out *refusal) {
	switch out.status { // no refusals, or too many of them
	case http.StatusAccepted, http.StatusInternalServerError, http.StatusTooManyRequests:
		return
	}
	row := audit.Row{
		Actor: who.actor(r), Action: "est.refuse", Subject: shown(r.URL.Path),
		Reason: strconv.Itoa(out.status) + ": " + out.Error(), At: s.o.Now(),
	}
	if err := s.o.Audit.Audit(context.WithoutCancel(r.Context()), row); err != nil {
		s.o.Log.LogAttrs(r.Context(), slog.LevelError, "audit", slog.Any("error", err))
	}
}

// maxShown bounds what a client can write to log and audit.
const maxShown = 128

// shown is text of a client as it may stand in a log.
func shown(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxShown)], "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}
