package attest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"steward/lwm2m/coap"
)

// formatCBOR is the Content-Format of a Challenge: application/cbor.
const formatCBOR uint16 = 60

// FormatEvidence is the CoAP Content-Format of evidence and of verdicts:
// application/eat+cwt (RFC 9782 §6.6).
const FormatEvidence uint16 = 263

// Root is the path of the verifier.
const Root = "ra"

// A Challenge is the answer to GET: the nonce, and when it ends.
type Challenge struct {
	Expires uint64 `cbor:"4,keyasint"` // Unix time
	Nonce   []byte `cbor:"10,keyasint"`
}

// Encode returns c as CBOR. It returns ErrValue.
func (c Challenge) Encode() ([]byte, error) { return encode(c) }

// ParseChallenge reads the answer to GET. It returns ErrSyntax or ErrValue.
func ParseChallenge(raw []byte) (Challenge, error) {
	var c Challenge
	if err := decode(raw, &c); err != nil {
		return Challenge{}, err
	}
	return c, refuse([]claim{{len(c.Nonce) >= minNonce && len(c.Nonce) <= maxNonce, "nonce"}})
}

// codes are the answers to what is refused. 4.09 asks for another try with a new
// nonce; 4.00, 4.03 and 4.13 are for good.
var codes = []struct {
	err  error
	code coap.Code
	text string
}{
	{ErrUnknown, coap.Forbidden, "no attestation key known"},
	{ErrSignature, coap.Forbidden, "not signed by the attestation key"},
	{ErrTooLarge, coap.RequestEntityTooLarge, "evidence too large"},
	{ErrNonce, coap.Conflict, "unknown nonce"},
	{ErrExpired, coap.Conflict, "nonce has ended"},
	{ErrSpent, coap.Conflict, "nonce was used"},
	{ErrBusy, coap.ServiceUnavailable, "busy"},
	{ErrSyntax, coap.BadRequest, "malformed evidence"},
	{ErrValue, coap.BadRequest, "claim out of range"},
	{ErrProfile, coap.BadRequest, "unknown profile"},
	{ErrKey, coap.BadRequest, "unusable key"},
}

// An Endpoint is a Verifier by CoAP: GET /ra answers a Challenge, POST /ra with
// evidence answers 2.04 with the verdict, whatever it says.
type Endpoint struct {
	Verifier *Verifier
	// Device returns the factory certificate's hash of who asks; ok is false for one
	// that has none.
	Device func(ctx context.Context, who coap.Identity) (device Hash, ok bool, err error)
	Log    *slog.Logger
}

// ServeCoAP implements coap.Handler.
func (s *Endpoint) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	if len(r.Path) != 1 {
		return &coap.Response{Code: coap.NotFound}
	}
	device, ok, err := s.Device(ctx, r.Peer.Identity())
	switch {
	case err != nil:
		return s.fail(ctx, err)
	case !ok:
		return &coap.Response{Code: coap.Forbidden, Payload: []byte("no factory certificate")}
	}
	switch r.Method {
	case coap.GET:
		return s.challenge(ctx, device)
	case coap.POST:
		return s.appraise(ctx, device, r)
	default:
		return &coap.Response{Code: coap.MethodNotAllowed}
	}
}

func (s *Endpoint) challenge(ctx context.Context, device Hash) *coap.Response {
	nonce, end, err := s.Verifier.Challenge(ctx, device)
	if err != nil {
		return s.fail(ctx, err)
	}
	raw, err := Challenge{Expires: unix(end), Nonce: nonce}.Encode()
	if err != nil {
		return s.fail(ctx, err)
	}
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(formatCBOR), Payload: raw,
		MaxAge: coap.MaxAgeSeconds(0),
	}
}

func unix(t time.Time) uint64 { return uint64(max(t.Unix(), 0)) }

func (s *Endpoint) appraise(ctx context.Context, device Hash, r *coap.Request) *coap.Response {
	if format, ok := r.ContentFormat.ID(); !ok || format != FormatEvidence {
		return &coap.Response{Code: coap.UnsupportedContentFormat}
	}
	result, err := s.Verifier.Appraise(ctx, device, r.Payload)
	if err != nil {
		return s.fail(ctx, err)
	}
	return &coap.Response{
		Code: coap.Changed, ContentFormat: coap.FormatID(FormatEvidence), Payload: result.Verdict,
	}
}

func (s *Endpoint) fail(ctx context.Context, err error) *coap.Response {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return &coap.Response{Code: c.code, Payload: []byte(c.text)}
		}
	}
	s.Log.LogAttrs(ctx, slog.LevelError, "attestation", slog.Any("error", err))
	return &coap.Response{Code: coap.InternalServerError}
}
