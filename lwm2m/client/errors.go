package client

import (
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// What an Object answers when it cannot do as asked.
var (
	ErrBadRequest       = errors.New("bad request")
	ErrUnauthorized     = errors.New("not authorised")
	ErrNotFound         = errors.New("no such node")
	ErrMethodNotAllowed = errors.New("operation not supported by the node")
)

// What the methods of Client return, beside the errors of the engine.
var (
	// ErrOptions reports Options that New refuses.
	ErrOptions = errors.New("unusable options")
	// ErrNotRegistered reports that there is no registration, or that the server
	// does not know it any more (4.04).
	ErrNotRegistered = errors.New("not registered")
	// ErrMuted reports that the server does not want Send (resource /1/x/23).
	ErrMuted = errors.New("server has muted Send")
	// ErrVersion reports an operation that the client's LwM2M version lacks.
	ErrVersion = errors.New("not in this version of LwM2M")
)

var errNotAcceptable = errors.New("content format not acceptable")

// A CodeError is a response code other than success: what an Object wants the
// server to get, or what a server answered to the client.
type CodeError struct {
	Code       coap.Code
	Diagnostic string // for people; "": none
}

// Error returns the code and the diagnostic.
func (e *CodeError) Error() string {
	if e.Diagnostic == "" {
		return "answered " + e.Code.String()
	}
	return fmt.Sprintf("answered %s: %s", e.Code, e.Diagnostic)
}

// codes is the one place where errors become response codes; the first match
// counts. §6.3 says which codes each operation may have.
var codes = []struct {
	err  error
	code coap.Code
}{
	{ErrBadRequest, coap.BadRequest},
	{ErrUnauthorized, coap.Unauthorized},
	{ErrNotFound, coap.NotFound},
	{ErrMethodNotAllowed, coap.MethodNotAllowed},
	{errNotAcceptable, coap.NotAcceptable},
	{codec.ErrFormat, coap.UnsupportedContentFormat},
	{codec.ErrBody, coap.RequestEntityTooLarge},
	{codec.ErrSyntax, coap.BadRequest},
	{lwm2m.ErrAttribute, coap.BadRequest},
	{lwm2m.ErrArguments, coap.BadRequest},
	{lwm2m.ErrQuery, coap.BadRequest},
	{lwm2m.ErrValue, coap.BadRequest},
	{lwm2m.ErrPath, coap.NotFound},
}

// failure returns the response for err.
func failure(err error) *coap.Response {
	if e, ok := errors.AsType[*CodeError](err); ok {
		return &coap.Response{Code: e.Code, Payload: []byte(e.Diagnostic)}
	}
	for _, row := range codes {
		if errors.Is(err, row.err) {
			return &coap.Response{Code: row.code}
		}
	}
	return &coap.Response{Code: coap.InternalServerError}
}

// answered returns nil if r has the code that the operation promises.
func answered(r *coap.Response, want coap.Code) error {
	if r.Code == want {
		return nil
	}
	return &CodeError{Code: r.Code, Diagnostic: string(r.Payload)}
}
