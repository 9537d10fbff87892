package rollout

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"steward/lwm2m/coap"
)

// The Content-Formats of what devices fetch: none is registered for SUIT envelopes,
// so application/octet-stream it is; texts are CBOR.
const (
	contentOctets = 42
	contentCBOR   = 60
)

// The path below which devices fetch: /update/e/<release> for the envelope,
// /update/p/<release> for the payload that its manifest names, /update/t/<release>
// for the texts that were severed from it, /update/x/<release> for the payload encrypted
// for devices that have not enrolled.
const (
	segmentUpdate   = "update"
	segmentEnvelope = "e"
	segmentPayload  = "p"
	segmentText     = "t"
	segmentCipher   = "x"
)

// parts are what the segments stand for. It is never changed.
var parts = map[string]Part{
	segmentEnvelope: PartPull, segmentPayload: PartImage, segmentText: PartText, segmentCipher: PartCipher,
}

// EnvelopeURI returns where the endpoint at base ("coaps://host:port") has the
// envelope of a release.
func EnvelopeURI(base, release string) string {
	return base + "/" + segmentUpdate + "/" + segmentEnvelope + "/" + release
}

// PayloadURI returns where the endpoint at base has the payload of a release.
func PayloadURI(base, release string) string {
	return base + "/" + segmentUpdate + "/" + segmentPayload + "/" + release
}

// CipherURI returns where the endpoint at base has the payload of a release encrypted.
func CipherURI(base, release string) string {
	return base + "/" + segmentUpdate + "/" + segmentCipher + "/" + release
}

// An Endpoint answers devices that fetch, by CoAP and HTTP, block by block or range
// by range: it keeps nothing of a download, so that a device goes on where it was cut
// off. All fields are required.
type Endpoint struct {
	Payloads *Payloads
	Grants   *Grants
	Sealed   *Grants // of what is encrypted
	Budgets  *Budgets
	Log      *slog.Logger
}

// maxReleaseID is the length in bytes of the longest id of a release.
const maxReleaseID = 64

// releaseID reports whether a segment can be the id of a release: letters and digits.
func releaseID(segment string) bool {
	if segment == "" || len(segment) > maxReleaseID {
		return false
	}
	for i := range len(segment) {
		c := segment[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return true
}

// open returns what a path means, if who may have it. It returns ErrUnknown or
// ErrNotGranted.
func (e *Endpoint) open(ctx context.Context, path []string, who coap.Identity) (*Payload, Grant, error) {
	if len(path) != 3 || path[0] != segmentUpdate || parts[path[1]] == "" || !releaseID(path[2]) {
		return nil, Grant{}, ErrUnknown
	}
	grants := e.Grants
	if path[1] == segmentCipher {
		grants = e.Sealed
	}
	grant, err := grants.Of(ctx, who, path[2])
	if err != nil {
		return nil, grant, err
	}
	p, err := e.Payloads.Open(ctx, path[2], parts[path[1]])
	return p, grant, err
}

// ServeCoAP answers GET below /update.
func (e *Endpoint) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	if r.Method != coap.GET {
		return &coap.Response{Code: coap.MethodNotAllowed}
	}
	format := uint16(contentOctets)
	if len(r.Path) > 1 && r.Path[1] == segmentText {
		format = contentCBOR
	}
	if f, ok := r.Accept.ID(); ok && f != format {
		return &coap.Response{Code: coap.NotAcceptable}
	}
	p, grant, err := e.open(ctx, r.Path, r.Peer.Identity())
	switch {
	case errors.Is(err, ErrUnknown):
		return &coap.Response{Code: coap.NotFound}
	case errors.Is(err, ErrNotGranted):
		return &coap.Response{Code: coap.Forbidden}
	case err != nil:
		return e.failed(ctx, err)
	}
	return e.part(ctx, r, p, grant, format)
}

// ServeEnvelope answers GET with the envelope of a release, for a device that asks for
// what there is rather than for a release: that whose payload is fetched apart if our
// endpoint has it, else that which has it inside. Who may have it, the caller has decided.
func (e *Endpoint) ServeEnvelope(ctx context.Context, r *coap.Request, release Release) *coap.Response {
	part := PartPush
	if release.Apart {
		part = PartPull
	}
	p, err := e.Payloads.Open(ctx, release.ID, part)
	if err != nil {
		return e.failed(ctx, err)
	}
	return e.part(ctx, r, p, Grant{}, contentOctets)
}

// Gives reports whether ServeEnvelope has an envelope of a release. It may have none of
// one that was made elsewhere, whose payload is fetched.
func (e *Endpoint) Gives(ctx context.Context, release Release) (bool, error) {
	if release.Apart {
		return true, nil
	}
	_, err := e.Payloads.Open(ctx, release.ID, PartPush)
	if errors.Is(err, ErrUnknown) {
		return false, nil
	}
	return err == nil, err
}

// part answers the block that was asked for.
func (e *Endpoint) part(ctx context.Context, r *coap.Request, p *Payload, grant Grant, format uint16) *coap.Response {
	if r.Offset >= p.Length {
		return &coap.Response{Code: coap.BadRequest}
	}
	part := make([]byte, min(r.Limit, p.Length-r.Offset))
	again, ok, err := e.Budgets.Take(ctx, grant.Campaign, grant.BytesPerSecond, len(part))
	if err != nil || !ok {
		seconds := uint32(again/time.Second) + 1 //nolint:gosec // G115: not negative, and short
		return &coap.Response{Code: coap.ServiceUnavailable, MaxAge: coap.MaxAgeSeconds(seconds)}
	}
	if _, err := p.Read(ctx, part, r.Offset); err != nil {
		return e.failed(ctx, err)
	}
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(format), ETag: p.ETag[:], Total: p.Length, Payload: part,
	}
}

// ServeSealed answers GET with what one device is given. Who may have it, the caller has
// decided.
func (*Endpoint) ServeSealed(r *coap.Request, s SealedEnvelope) *coap.Response {
	if r.Offset >= len(s.Envelope) {
		return &coap.Response{Code: coap.BadRequest}
	}
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(contentOctets), ETag: s.Manifest.Value[:8],
		Total: len(s.Envelope), Payload: s.Envelope[r.Offset:min(r.Offset+r.Limit, len(s.Envelope))],
	}
}

func (e *Endpoint) failed(ctx context.Context, err error) *coap.Response {
	e.Log.LogAttrs(ctx, slog.LevelError, "serving an update", slog.Any("error", err))
	return &coap.Response{Code: coap.InternalServerError}
}
