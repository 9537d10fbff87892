package est

import (
	"context"
	"errors"
	"time"

	"golang.org/x/crypto/ocsp"
)

// An OCSPAnswer is a response in DER. Next is zero for one that nobody may keep.
type OCSPAnswer struct {
	DER        []byte
	This, Next time.Time
}

// Answer answers an OCSP request in DER. A request with a nonce (RFC 9654) gets a
// signature of its own while the rate allows, else, as every other, the answer
// signed ahead, without a nonce (RFC 5019 §2.2.1). What is not to be signed is
// refused by the error codes of RFC 6960 §2.3: about issuers that are not ours
// "unauthorized", about several certificates while there are too many "tryLater".
func (r *Responder) Answer(ctx context.Context, der []byte) OCSPAnswer {
	out, err := r.respond(ctx, der)
	if err == nil {
		return out
	}
	r.count(func(c *ResponderCounts) { c.Refused++ })
	for _, e := range []struct {
		err  error
		body []byte
	}{
		{ErrOCSP, ocsp.MalformedRequestErrorResponse},
		{ErrUnknown, ocsp.UnauthorizedErrorResponse},
		{ErrLimit, ocsp.TryLaterErrorResponse},
	} {
		if errors.Is(err, e.err) {
			return OCSPAnswer{DER: e.body}
		}
	}
	return OCSPAnswer{DER: ocsp.InternalErrorErrorResponse}
}

func (r *Responder) respond(ctx context.Context, der []byte) (OCSPAnswer, error) {
	q, err := parseOCSPRequest(der)
	if err != nil {
		return OCSPAnswer{}, err
	}
	d := r.find(q.certs[0])
	if d == nil {
		return OCSPAnswer{}, ErrUnknown
	}
	if len(q.certs) == 1 && (q.nonce == nil || !r.maySign()) {
		return r.ahead(ctx, d, q)
	}
	for _, id := range q.certs[1:] { // who signs does so for one issuer (RFC 6960 §4.2.2.2)
		if r.find(id) != d {
			return OCSPAnswer{}, ErrUnknown
		}
	}
	if len(q.certs) > 1 && !r.maySign() {
		return OCSPAnswer{}, ErrLimit
	}
	return r.signFor(ctx, d, q)
}

// ahead gives the answer that was signed before, or signs it for everybody.
func (r *Responder) ahead(ctx context.Context, d *delegate, q ocspRequest) (OCSPAnswer, error) {
	id := q.certs[0]
	k := answerKey{d.issuer, id.serial, id.hash}
	a, ok := r.kept.get(k, r.ca.now())
	if ok {
		r.count(func(c *ResponderCounts) { c.Presigned++ })
		return OCSPAnswer{a.body, a.this, a.next}, nil
	}
	a, err := r.make(ctx, d, k, id)
	if errors.Is(err, ErrUnknown) && q.nonce == nil && r.maySign() {
		return r.signFor(ctx, d, q) // says "unknown"; nothing is kept for who guesses
	}
	if err == nil {
		r.count(func(c *ResponderCounts) { c.Signed++ })
	}
	return OCSPAnswer{a.body, a.this, a.next}, err
}

// signFor signs an answer to this request alone.
func (r *Responder) signFor(ctx context.Context, d *delegate, q ocspRequest) (OCSPAnswer, error) {
	now := r.ca.now()
	a := ocspAnswer{certs: q.certs, nonce: q.nonce}
	a.this, a.next = r.window(d, now)
	for _, id := range q.certs {
		s, err := r.ca.standing(ctx, d.issuer, id.serial, now)
		if err != nil {
			return OCSPAnswer{}, err
		}
		a.standings = append(a.standings, s)
	}
	der, err := d.sign(r.ca, a)
	if err != nil {
		return OCSPAnswer{}, err
	}
	r.count(func(c *ResponderCounts) { c.Signed++ })
	return OCSPAnswer{DER: der}, nil
}
