package estcoap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"slices"

	"steward/est"
	"steward/lwm2m/coap"
)

// maxPublished bounds the certificates of crts as multipart-core: cBRSKI has the
// issuing CA first and at most two others.
const maxPublished = 3

// crts answers /crts. Unlike with HTTP, the client must be authenticated (RFC
// 9148 §3).
func (s *Server) crts(ca Authority, id coap.Identity, r *coap.Request) *coap.Response {
	if r.Method != coap.GET {
		return s.refuse(r, coap.MethodNotAllowed, "crts takes GET")
	}
	if !authenticated(id.Role) {
		return s.refuse(r, coap.Unauthorized, "no client identity")
	}
	published := ca.Published()
	if format, ok := r.Accept.ID(); ok && format == FormatMultipart {
		return cacheable(r, multipartCerts(published))
	}
	if s.c509.is(r.Accept, s.c509.Chain) {
		out, err := s.c509.chain(published)
		if err != nil { // of another CA's, perhaps
			return s.refuse(r, coap.NotAcceptable, "these certificates have no C509 form: 281")
		}
		return cacheable(r, out)
	}
	// One certificate can only be that of the issuing CA: it is what signs for
	// this client, and it verifies under the root that came with the first 281. Where
	// there are several roots it would not say enough.
	if format, ok := r.Accept.ID(); ok && format == FormatPKIXCert && roots(published) > 1 {
		return s.refuse(r, coap.NotAcceptable, "there are several anchors: 281 or 62")
	}
	out, ok := answer(coap.Content, r.Accept, published)
	if !ok {
		return s.refuse(r, out.Code, string(out.Payload))
	}
	return cacheable(r, out)
}

// authenticated reports whether a class of associations proves who the client is.
func authenticated(role coap.Role) bool {
	switch role {
	case coap.RoleFactory, coap.RoleOperational, coap.RolePSK, coap.RoleRawKey, coap.RoleBootstrap:
		return true
	default:
		return false
	}
}

// multipartCerts returns certs as multipart-core of single certificates.
func multipartCerts(certs []*x509.Certificate) *coap.Response {
	var parts []Part
	for _, c := range certs[:min(len(certs), maxPublished)] {
		parts = append(parts, Part{FormatPKIXCert, c.Raw})
	}
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(FormatMultipart), Payload: EncodeMultipart(parts...),
	}
}

// roots counts the self-issued certificates.
func roots(certs []*x509.Certificate) (n int) {
	for _, c := range certs {
		if bytes.Equal(c.RawIssuer, c.RawSubject) {
			n++
		}
	}
	return n
}

// cacheable gives out an entity tag; a client that has it already is told so
// (RFC 7252 §5.10.6.1).
func cacheable(r *coap.Request, out *coap.Response) *coap.Response {
	sum := sha256.Sum256(out.Payload)
	out.ETag = sum[:8] // the longest that CoAP has
	if slices.Equal(r.ETag, out.ETag) {
		return &coap.Response{Code: coap.Valid, ETag: out.ETag}
	}
	return out
}

// templates is an Authority that also says in C509 what a request should look like.
type templates interface {
	// Template returns a template of C509.
	Template(c est.Client) ([]byte, error)
}

// att answers /att: what a request of this client should look like (RFC 9908).
func (s *Server) att(ctx context.Context, ca Authority, id coap.Identity, r *coap.Request) *coap.Response {
	if r.Method != coap.GET {
		return s.refuse(r, coap.MethodNotAllowed, "att takes GET")
	}
	if !authenticated(id.Role) {
		return s.refuse(r, coap.Unauthorized, "no client identity")
	}
	format, attributes := FormatCSRAttrs, ca.Attributes
	if s.c509.is(r.Accept, s.c509.Template) {
		if t, ok := ca.(templates); ok {
			format, attributes = s.c509.Template, t.Template
		}
	}
	if accept, ok := r.Accept.ID(); ok && accept != format {
		return s.refuse(r, coap.NotAcceptable, "answers are 285")
	}
	body, err := attributes(est.Client{Role: est.Role(id.Role), Certificate: id.Certificate, Name: id.Name})
	if err != nil {
		return s.failed(ctx, r, err)
	}
	return cacheable(r, &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(format), Payload: body,
	})
}
