package rollout

import (
	"context"
	"errors"
	"log/slog"

	"steward/lwm2m/coap"
)

// contentOctets is the Content-Format of envelopes and payloads: none is
// registered for SUIT envelopes, so application/octet-stream it is.
const contentOctets = 42

// The path below which devices fetch: /update/e/<release> for the envelope,
// /update/p/<release> for the payload that its manifest names.
const (
	segmentUpdate   = "update"
	segmentEnvelope = "e"
	segmentPayload  = "p"
)

// EnvelopeURI returns where the endpoint at base ("coaps://host:port") has the
// envelope of a release.
func EnvelopeURI(base, release string) string {
	return base + "/" + segmentUpdate + "/" + segmentEnvelope + "/" + release
}

// PayloadURI returns where the endpoint at base has the payload of a release.
func PayloadURI(base, release string) string {
	return base + "/" + segmentUpdate + "/" + segmentPayload + "/" + release
}

// An Endpoint answers devices that fetch. Who may ask is decided before.
type Endpoint struct {
	Store Releases
	Log   *slog.Logger
}

// ServeCoAP answers GET below /update.
func (e *Endpoint) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	if r.Method != coap.GET {
		return &coap.Response{Code: coap.MethodNotAllowed}
	}
	if len(r.Path) != 3 || r.Path[0] != segmentUpdate {
		return &coap.Response{Code: coap.NotFound}
	}
	if f, ok := r.Accept.ID(); ok && f != contentOctets {
		return &coap.Response{Code: coap.NotAcceptable}
	}
	content, err := e.Store.Content(ctx, r.Path[2])
	if err != nil && !errors.Is(err, ErrUnknown) {
		e.Log.LogAttrs(ctx, slog.LevelError, "serving an update", slog.Any("error", err))
		return &coap.Response{Code: coap.InternalServerError}
	}
	var body []byte
	switch r.Path[1] {
	case segmentEnvelope:
		body = content.Pull
	case segmentPayload:
		body = content.Image
	}
	if body == nil {
		return &coap.Response{Code: coap.NotFound}
	}
	return &coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(contentOctets), Payload: body}
}
