package peer

import (
	"errors"
	"log/slog"
	"math"
	"net/http"

	"steward/transfer/coordinator"
	"steward/web"
)

// Errors of requests that no Coordinator sees.
var (
	errTooLarge = errors.New("the body is too large")
	errCut      = errors.New("the body was cut short")
	errSlow     = errors.New("the body took too long to arrive")
)

// statuses maps what can go wrong to HTTP: the only such table of this API.
var statuses = []struct {
	err    error
	status int
	code   string
}{
	{coordinator.ErrLimit, http.StatusTooManyRequests, "limit"},
	{coordinator.ErrForbidden, http.StatusForbidden, "forbidden"},
	{coordinator.ErrUnknown, http.StatusNotFound, "unknown"},
	{coordinator.ErrKeyReused, http.StatusConflict, "key_reused"},
	{coordinator.ErrState, http.StatusConflict, "state"},
	{coordinator.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
	{errMediaType, http.StatusUnsupportedMediaType, "media_type"},
	{errAccept, http.StatusNotAcceptable, "accept"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "too_large"},
	{errSlow, http.StatusRequestTimeout, "slow"},
	{errCut, http.StatusBadRequest, "cut"},
	{web.ErrMethod, http.StatusMethodNotAllowed, "method"},
}

// fail answers err. What the table does not know is our own trouble, of which a
// partner is told nothing but to ask again.
func (a *API) fail(w http.ResponseWriter, r *http.Request, from coordinator.Partner, err error) {
	p := web.Problem{
		Type: "about:blank", Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable,
		Code: "unavailable", TraceID: web.TraceID(r.Context()),
	}
	level := slog.LevelError
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			p.Title, p.Status, p.Code, p.Detail = http.StatusText(s.status), s.status, s.code, err.Error()
			level = slog.LevelWarn
			break
		}
	}
	if late, ok := errors.AsType[*coordinator.LimitError](err); ok {
		p.Retry = max(int(math.Ceil(late.Wait.Seconds())), 1)
	}
	if media, ok := errors.AsType[*mediaError](err); ok && errors.Is(err, errMediaType) {
		w.Header().Set("Accept", spoken(media.plain)) // RFC 9110 §15.5.16
	}
	a.o.Log.LogAttrs(r.Context(), level, "partner's request refused", slog.String("partner", from.Name),
		slog.String("path", r.URL.Path), slog.Int("status", p.Status), slog.Any("error", err))
	web.WriteProblem(w, p)
}
