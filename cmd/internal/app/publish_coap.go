package app

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m/coap"
)

// Content-Formats of what is published by CoAP. CRLs have none of their own.
const (
	formatSign1  uint16 = 18 // application/cose; cose-type="cose-sign1" (RFC 9052 §11.3)
	formatOctets uint16 = 42 // application/octet-stream (RFC 7252 §12.3)
)

// ServeCoAP answers
//
//	/status/<serial>  the compact signed status of a certificate, by its serial number
//	/status           the certificate of who signs them; /status/signer/<authority> for
//	                  an authority before
//	/crl/…, /issuer/… what HTTP has there
func (p *publication) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	if r.Method != coap.GET {
		return &coap.Response{Code: coap.MethodNotAllowed}
	}
	out, err := p.serveCoAP(ctx, r)
	switch {
	case errors.Is(err, errNothingThere), errors.Is(err, est.ErrUnknown):
		return &coap.Response{Code: coap.NotFound}
	case err != nil:
		p.log.LogAttrs(ctx, slog.LevelError, "publication by coap", slog.Any("error", err))
		return &coap.Response{Code: coap.ServiceUnavailable}
	}
	if id, ok := r.Accept.ID(); ok {
		if format, _ := out.ContentFormat.ID(); format != id {
			return &coap.Response{Code: coap.NotAcceptable}
		}
	}
	if slices.Equal(r.ETag, out.ETag) {
		return &coap.Response{Code: coap.Valid, ETag: out.ETag, MaxAge: out.MaxAge}
	}
	return out
}

func (p *publication) serveCoAP(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	path := r.Path
	switch {
	case len(path) == 1 && path[0] == "status":
		return p.signer("issuing")
	case len(path) == 2 && path[0] == "status":
		return p.status(ctx, path[1])
	case len(path) == 3 && path[0] == "status" && path[1] == "signer":
		return p.signer(path[2])
	case len(path) == 2 && path[0] == "issuer":
		der, err := p.issuer(path[1])
		return p.body(estcoap.FormatPKIXCert, der, certFresh), err
	case len(path) == 2 && path[0] == "crl":
		return p.part(ctx, r, path[1], "")
	case len(path) == 3 && path[0] == "crl":
		return p.part(ctx, r, path[1]+crlSuffix, path[2])
	}
	return nil, errNothingThere
}

// status answers with what is said of one certificate. It may be kept for as long
// as other answers: a revocation must not hide in caches.
func (p *publication) status(ctx context.Context, serial string) (*coap.Response, error) {
	s, err := p.responder.Status(ctx, serial)
	return p.body(formatSign1, s.Body, max(min(ocspFresh, s.Next.Sub(p.now())), 0)), err
}

func (p *publication) signer(name string) (*coap.Response, error) {
	a, err := p.authority(name)
	if err != nil {
		return nil, err
	}
	der, ok := p.responder.Signer(a.Hash())
	if !ok {
		return nil, errNothingThere
	}
	return p.body(estcoap.FormatPKIXCert, der, ocspFresh), nil
}

func (p *publication) body(format uint16, payload []byte, fresh time.Duration) *coap.Response {
	h := sum(payload)
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(format), Payload: payload, ETag: h[:8],
		MaxAge: coap.MaxAgeSeconds(uint32(fresh / time.Second)), //nolint:gosec // G115: at most a day
	}
}

// part answers with the one block of a CRL that was asked for: nothing is kept for
// who reads slowly, or goes away. The entity tag is the CRL's number.
func (p *publication) part(ctx context.Context, r *coap.Request, name, part string) (*coap.Response, error) {
	crl, err := p.list(ctx, name, part)
	if err != nil {
		return nil, err
	}
	out := p.body(formatOctets, nil, max(min(crlFresh, crl.NextUpdate.Sub(p.now())), 0))
	out.ETag = binary.BigEndian.AppendUint64(nil, uint64(crl.Number)) //nolint:gosec // G115: positive
	out.Payload = crl.DER
	if r.Limit > 0 {
		at := min(r.Offset, len(crl.DER))
		out.Total, out.Payload = len(crl.DER), crl.DER[at:min(at+r.Limit, len(crl.DER))]
	}
	return out, nil
}
