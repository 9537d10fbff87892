package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// A Problem is the body of an error answer (RFC 9457 §3.1). The members after
// Detail are extensions.
type Problem struct {
	Type    string       `json:"type"` // a URL path below which the code is explained
	Title   string       `json:"title"`
	Status  int          `json:"status"`
	Detail  string       `json:"detail,omitempty"`
	Code    string       `json:"code"` // stable word for programs
	TraceID string       `json:"trace_id,omitempty"`
	Errors  []FieldError `json:"errors,omitempty"`
	CoAP    string       `json:"coap,omitempty"` // what the device answered
	// Retry is after how many seconds to try again; 0: nothing is said. It goes into
	// the header.
	Retry int `json:"-"`
}

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// ProblemOf describes err to the one who made request r. Of an error that the
// status table does not know it says nothing but the trace id: its text is for
// the log.
func ProblemOf(r *http.Request, err error) Problem {
	status, code := Status(err)
	p := Problem{
		Type: "/api/v1/problems/" + code, Title: http.StatusText(status),
		Status: status, Code: code, TraceID: TraceID(r.Context()),
	}
	var detailed *Error
	switch {
	case errors.As(err, &detailed):
		p.Detail, p.Errors, p.CoAP = detailed.Detail, detailed.Fields, detailed.CoAP
		p.Retry = int(detailed.RetryAfter / time.Second)
		if p.Detail == "" {
			p.Detail = detailed.Is.Error()
		}
	case status == http.StatusRequestEntityTooLarge:
		p.Detail = ErrTooLarge.Error()
	case status < http.StatusInternalServerError:
		p.Detail = err.Error()
	}
	return p
}

// JSON turns h into an http.Handler that answers errors as problem documents.
func JSON(log *slog.Logger, h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			LogError(r, log, err)
			WriteProblem(w, ProblemOf(r, err))
		}
	})
}

// WriteProblem writes p.
func WriteProblem(w http.ResponseWriter, p Problem) {
	h := w.Header()
	h.Set("Content-Type", ProblemType)
	h.Set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="steward"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	if p.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.Retry))
	}
	w.WriteHeader(p.Status)
	// An error here is a client that went away; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(p)
}

// LogError logs the error that a handler returned: a fault of ours as an error,
// what a device did not do as information, the client's as a debug line.
func LogError(r *http.Request, log *slog.Logger, err error) {
	status, code := Status(err)
	level := slog.LevelDebug
	switch status {
	case http.StatusInternalServerError, http.StatusServiceUnavailable:
		level = slog.LevelError
		if errors.Is(err, context.Canceled) { // nobody waits any more
			level = slog.LevelDebug
		}
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		level = slog.LevelInfo
	default:
	}
	log.LogAttrs(r.Context(), level, "request failed", slog.String("method", r.Method),
		slog.String("path", r.URL.Path), slog.Int("status", status), slog.String("code", code),
		slog.String("trace_id", TraceID(r.Context())), slog.String("error", err.Error()))
}

// WriteJSON answers status with v as the JSON body.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The status is sent: an error now can only be a client that went away.
	_, _ = w.Write(append(body, '\n'))
	return nil
}
