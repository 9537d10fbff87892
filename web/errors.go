package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"steward/lwm2m/audit"
)

// The errors of services and handlers; statuses gives each its HTTP status.
// Adapters translate what the domain packages return into these.
var (
	ErrInvalid     = errors.New("the request is not valid")
	ErrSignedOut   = errors.New("not signed in")
	ErrForbidden   = errors.New("not allowed")
	ErrNotFound    = errors.New("there is no such thing")
	ErrConflict    = errors.New("the present state does not allow this")
	ErrTooLarge    = errors.New("the request is too large")
	ErrMediaType   = errors.New("unsupported content type")
	ErrUnreachable = errors.New("the device cannot be reached")
	ErrDevice      = errors.New("the device refused")
	ErrTimeout     = errors.New("no answer in time")
	ErrUnavailable = errors.New("temporarily unavailable")
	ErrNotBuilt    = errors.New("not implemented")
	ErrMethod      = errors.New("method not allowed here")
	// ErrPreconditionRequired asks for If-Match (RFC 6585 §3); ErrPrecondition says that
	// it no longer holds (RFC 9110 §15.5.13).
	ErrPreconditionRequired = errors.New("the request must be conditional")
	ErrPrecondition         = errors.New("it is not as the request supposes")
	// ErrKeyReused, ErrReplyLost and ErrTooMany are about what is sent more than once,
	// or too often (RFC 6585 §4).
	ErrKeyReused   = errors.New("the key was used for another request")
	ErrReplyLost   = errors.New("the answer was not kept")
	ErrTooMany     = errors.New("too many requests")
	errCrossOrigin = errors.New("the request comes from another site")
	errPanic       = errors.New("internal error")
)

// statuses maps errors to HTTP: the one such table. The first row that matches
// wins. The code is the stable, machine-readable word of the problem document.
var statuses = []struct {
	err    error
	status int
	code   string
}{
	{errPanic, http.StatusInternalServerError, "internal"},
	{ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
	{ErrSignedOut, http.StatusUnauthorized, "signed_out"},
	{ErrForbidden, http.StatusForbidden, "forbidden"},
	{errCrossOrigin, http.StatusForbidden, "cross_origin"},
	{ErrNotFound, http.StatusNotFound, "not_found"},
	{ErrMethod, http.StatusMethodNotAllowed, "method_not_allowed"},
	{ErrConflict, http.StatusConflict, "conflict"},
	{ErrPreconditionRequired, http.StatusPreconditionRequired, "precondition_required"},
	{ErrPrecondition, http.StatusPreconditionFailed, "precondition_failed"},
	{ErrKeyReused, http.StatusUnprocessableEntity, "idempotency_key_reused"},
	{ErrReplyLost, http.StatusConflict, "answer_lost"},
	{ErrTooMany, http.StatusTooManyRequests, "too_many_requests"},
	{ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large"},
	{ErrMediaType, http.StatusUnsupportedMediaType, "media_type"},
	{ErrUnreachable, http.StatusConflict, "unreachable"},
	{ErrDevice, http.StatusBadGateway, "device_refused"},
	{ErrTimeout, http.StatusGatewayTimeout, "timeout"},
	{audit.ErrStorage, http.StatusServiceUnavailable, "storage"},
	{ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
	{ErrNotBuilt, http.StatusNotImplemented, "not_implemented"},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "timeout"},
	{context.Canceled, http.StatusServiceUnavailable, "cancelled"},
}

// An Error says more about one of the errors above, to people and programs.
type Error struct {
	Is     error        // one of the errors of this package
	Detail string       // a sentence for the person who asked; shown to them
	Fields []FieldError // what is wrong with which input
	CoAP   string       // the device's response code, such as "4.05"; "" if none
	Cause  error        // for the log only; nil if there is none
	// RetryAfter is when it may be asked again; 0: nothing is said.
	RetryAfter time.Duration
}

// A FieldError says what is wrong with one input.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Error returns the kind, the device's code and the details.
func (e *Error) Error() string {
	parts := []string{e.Is.Error()}
	if e.CoAP != "" {
		parts = append(parts, e.CoAP)
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	for _, f := range e.Fields {
		parts = append(parts, f.Field, f.Detail)
	}
	if e.Cause != nil {
		parts = append(parts, e.Cause.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Is}
	}
	return []error{e.Is, e.Cause}
}

// Invalid returns an ErrInvalid about one field.
func Invalid(field, detail string) error {
	return &Error{Is: ErrInvalid, Fields: []FieldError{{Field: field, Detail: detail}}}
}

// NotFound returns an ErrNotFound that names what was looked for.
func NotFound(what, id string) error {
	return &Error{Is: ErrNotFound, Detail: "no " + what + " " + id}
}

// Refused returns the ErrDevice of a device that answered with code ("4.05")
// and a diagnostic, which may be empty.
func Refused(code, diagnostic string) error {
	return &Error{Is: ErrDevice, Detail: diagnostic, CoAP: code}
}

// Status returns the HTTP status and the stable code for err: 500 and
// "internal" for what the table does not know.
func Status(err error) (status int, code string) {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, "too_large"
	}
	if detailed := (*Error)(nil); errors.As(err, &detailed) {
		err = detailed.Is // its cause is for the log
	}
	for _, row := range statuses {
		if errors.Is(err, row.err) {
			return row.status, row.code
		}
	}
	return http.StatusInternalServerError, "internal"
}

// Meaning returns what the code of a problem document means, and whether there
// is such a code.
func Meaning(code string) (string, bool) {
	for _, row := range statuses {
		if row.code == code {
			return row.err.Error(), true
		}
	}
	return "", false
}
