package coap

import "context"

// An ObserveOp says what a GET or FETCH asks about observation (RFC 7641 §2).
type ObserveOp uint8

// The operations of the Observe option in a request.
const (
	ObserveNone     ObserveOp = iota // no Observe option
	ObserveRegister                  // Observe: 0
	ObserveCancel                    // Observe: 1
)

// A Request is a whole request: its body was or will be cut in blocks by the
// engine if need be. A handler may keep the one it is given, except that which
// Options.Quick has called quick: its slices are valid until the handler returns,
// and whoever keeps one must copy it (its strings stay).
type Request struct {
	Peer           Peer // who asked; ignored by Do
	Method         Code
	Path           []string // Uri-Path segments, none for the root
	Query          []string // Uri-Query arguments
	ContentFormat  Format   // of Payload
	Accept         Format
	Observe        ObserveOp
	NonConfirmable bool // sent, or to be sent, as NON
	ETag           []byte
	IfMatch        [][]byte
	IfNoneMatch    bool
	Payload        []byte
	Token          []byte // of a received request; with Peer it names an observation. Ignored by Do
	// Offset and Limit say which part of the response's body a received GET
	// asks for, in bytes: a handler may answer with that alone (Response.Total).
	// Do ignores them.
	Offset, Limit int
	// Acknowledged is called when the peer of Do has acknowledged the request and its
	// response is still to come (RFC 7252 §5.2.2); nil: nobody is told. It must not
	// block, nor call the Engine.
	Acknowledged func()
}

// A Response is a whole response. What a handler returns or Notify is given
// must not be changed afterwards: the engine serves blocks out of Payload.
type Response struct {
	Code          Code
	ContentFormat Format // of Payload
	Payload       []byte
	LocationPath  []string
	MaxAge        MaxAge
	ETag          []byte

	// Total, if a handler sets it, is the length of a body of which Payload is only
	// what Request.Offset and Limit ask for: the engine then keeps none of it. The
	// handler sets ETag, which must be the same for all parts of a body.
	Total int

	// Observe is set by a handler to accept an observation, and is set on
	// responses received that carry the Observe option.
	Observe bool
	// Keep, on a notification, says that the observation goes on although nobody
	// acknowledges it: whoever stores notifications for a peer that is away.
	Keep bool
	// Sequence is the value of the Observe option received (RFC 7641 §3.4).
	Sequence uint32

	// Sent, if a handler sets it, is called once after the first datagram of the
	// response was handed to the peer. It may block.
	Sent func()
}

// A Handler answers requests, several at a time, never twice for one message.
// ctx ends with Engine.Run.
//
// A nil Response is no answer: a confirmable request is reset, another is
// ignored in silence.
type Handler interface {
	ServeCoAP(ctx context.Context, r *Request) *Response
}

// A HandlerFunc is a function that serves as a Handler.
type HandlerFunc func(context.Context, *Request) *Response

// ServeCoAP calls f.
func (f HandlerFunc) ServeCoAP(ctx context.Context, r *Request) *Response { return f(ctx, r) }
