package devcheck

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"strconv"
	"strings"

	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/linkformat"
)

// serve answers a device.
func (p *provider) serve(ctx context.Context, r *coap.Request) *coap.Response {
	role := r.Peer.Identity().Role
	path := strings.Join(r.Path, "/")
	switch {
	case role == coap.RoleFactory && path == "est/crts" && r.Method == coap.GET:
		p.visited(r.Peer)
		return p.crts()
	case path == "est/sen" && r.Method == coap.POST, path == "est/sren" && r.Method == coap.POST:
		p.visited(r.Peer)
		return p.sen(ctx, r)
	case role == coap.RoleOperational && len(r.Path) > 0 && r.Path[0] == "rd":
		return p.rd(r)
	}
	return &coap.Response{Code: coap.Forbidden}
}

func (p *provider) visited(peer coap.Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if peer.Identity().Role == coap.RoleFactory && p.visitor != peer {
		p.visitor = peer
		p.tell()
	}
}

func (p *provider) crts() *coap.Response {
	body, err := estcoap.EncodeCertsOnly(p.ca.certificate)
	if err != nil {
		return &coap.Response{Code: coap.InternalServerError}
	}
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(estcoap.FormatCertsOnly), Payload: body,
	}
}

const retryAfter = 1 // seconds of Max-Age: devices under test need not wait

// sen answers a request in the mood of the moment.
func (p *provider) sen(ctx context.Context, r *coap.Request) *coap.Response {
	csr, err := est.ParseCSR(r.Payload)
	if err != nil {
		return &coap.Response{Code: coap.BadRequest}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.asked++
	p.seen.requests = append(p.seen.requests, r.Payload)
	if p.posing != nil {
		p.seen.posed++
	}
	defer p.tell()
	switch p.mood {
	case moodLater:
		return &coap.Response{Code: coap.ServiceUnavailable, MaxAge: coap.MaxAgeSeconds(retryAfter)}
	case moodRefuse:
		return &coap.Response{Code: coap.Forbidden}
	case moodOtherKey:
		return p.other(r)
	case moodOpen, moodLost:
	}
	if p.answered == nil || !bytes.Equal(p.answered, r.Payload) {
		if p.issued, err = p.certify(r, csr.Key); err != nil || ctx.Err() != nil {
			return &coap.Response{Code: coap.InternalServerError}
		}
		p.answered = r.Payload
	}
	if p.mood == moodLost {
		p.mood = moodOpen
		return nil
	}
	return issuedIn(r.Accept, p.issued)
}

// other answers with a certificate for a key that is not the device's.
func (p *provider) other(r *coap.Request) *coap.Response {
	key, err := newKey()
	if err != nil {
		return &coap.Response{Code: coap.InternalServerError}
	}
	certificate, err := p.certify(r, key.Public())
	if err != nil {
		return &coap.Response{Code: coap.InternalServerError}
	}
	return issuedIn(r.Accept, certificate)
}

func (p *provider) certify(r *coap.Request, key crypto.PublicKey) (*x509.Certificate, error) {
	return p.ca.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: r.Peer.Identity().Name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key)
}

// issuedIn answers in the format that was asked for.
func issuedIn(accept coap.Format, certificate *x509.Certificate) *coap.Response {
	if id, ok := accept.ID(); ok && id == estcoap.FormatCertsOnly {
		body, err := estcoap.EncodeCertsOnly(certificate)
		if err != nil {
			return &coap.Response{Code: coap.InternalServerError}
		}
		return &coap.Response{
			Code: coap.Changed, ContentFormat: coap.FormatID(estcoap.FormatCertsOnly), Payload: body,
		}
	}
	return &coap.Response{
		Code: coap.Changed, ContentFormat: coap.FormatID(estcoap.FormatPKIXCert), Payload: certificate.Raw,
	}
}

// rd answers registrations.
func (p *provider) rd(r *coap.Request) *coap.Response {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.tell()
	switch {
	case r.Method == coap.POST && len(r.Path) == 1:
		p.device = register(r)
		p.seen.registered++
		return &coap.Response{Code: coap.Created, LocationPath: []string{"rd", "1"}}
	case r.Method == coap.POST && p.device != nil:
		p.device.peer = r.Peer
		return &coap.Response{Code: coap.Changed}
	case r.Method == coap.DELETE && p.device != nil:
		p.device = nil
		p.seen.left++
		return &coap.Response{Code: coap.Deleted}
	}
	return &coap.Response{Code: coap.NotFound}
}

// register reads what counts of a Register: version, formats, objects.
func register(r *coap.Request) *session {
	s := &session{peer: r.Peer, version: lwm2m.Version10}
	for _, q := range r.Query {
		if text, ok := strings.CutPrefix(q, "lwm2m="); ok {
			if v, err := lwm2m.ParseVersion(text); err == nil {
				s.version = v
			}
		}
	}
	links, err := linkformat.Parse(string(r.Payload))
	if err != nil {
		return s
	}
	for _, l := range links {
		if ct, ok := l.Attribute("ct"); ok {
			s.formats = formatsOf(ct)
		}
		if path, err := l.Path(""); err == nil && path.Len() > 0 {
			s.links = append(s.links, path)
		}
	}
	return s
}

// formatsOf reads the numbers of a "ct" attribute.
func formatsOf(ct string) (formats []uint16) {
	for number := range strings.FieldsSeq(ct) {
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			formats = append(formats, uint16(n))
		}
	}
	return formats
}
