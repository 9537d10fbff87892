package estcoap

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	"steward/est"
	"steward/lwm2m/coap"
)

// enrol answers /sen and /sren, which differ in who may ask.
func (s *Server) enrol(ctx context.Context, r *coap.Request, id coap.Identity, roles []coap.Role,
	ask func(context.Context, est.Request) (est.Issued, error),
) *coap.Response {
	if out := s.post(r, id, roles, s.c509.Requests(r)); out != nil {
		return out
	}
	accept := s.c509.wanted(r)
	asC509 := s.c509.is(accept, s.c509.Certificate)
	if !asC509 && !acceptable(accept) { // before anything is issued
		return s.refuse(r, coap.NotAcceptable, "answers are 281 or 287")
	}
	request, err := s.request(ctx, r)
	if err != nil {
		return s.failed(ctx, r, err)
	}
	request.C509 = s.c509.Requests(r)
	issued, err := ask(ctx, request)
	if err != nil {
		return s.failed(ctx, r, err)
	}
	cert, err := x509.ParseCertificate(issued.DER)
	if err != nil {
		return s.failed(ctx, r, err)
	}
	// The answer is the certificate alone (RFC 7030 §4.2.3); the chain is in crts.
	if asC509 {
		out, err := s.c509.certificate(coap.Changed, cert.Raw)
		if err != nil {
			return s.failed(ctx, r, err)
		}
		return out
	}
	out, _ := answer(coap.Changed, accept, []*x509.Certificate{cert})
	return out
}

// keygen answers /skg and /skc: a key made by the authority, and its certificate as
// 281 or as 287 (RFC 9148 §4.8).
func (s *Server) keygen(ctx context.Context, ca Authority, id coap.Identity, r *coap.Request, function string,
) *coap.Response {
	if out := s.post(r, id, []coap.Role{coap.RoleFactory, coap.RoleBootstrap, coap.RoleOperational}, false); out != nil {
		return out
	}
	if format, ok := r.Accept.ID(); ok && format != FormatMultipart {
		return s.refuse(r, coap.NotAcceptable, "answers are 62")
	}
	request, err := s.request(ctx, r)
	if err != nil {
		return s.failed(ctx, r, err)
	}
	made, err := ca.GenerateKey(ctx, request)
	if err != nil {
		return s.failed(ctx, r, err)
	}
	second := Part{FormatPKIXCert, made.DER}
	if function == ServerKeys {
		cert, err := x509.ParseCertificate(made.DER)
		if err != nil {
			return s.failed(ctx, r, err)
		}
		body, err := EncodeCertsOnly(cert)
		if err != nil {
			return s.failed(ctx, r, err)
		}
		second = Part{FormatCertsOnly, body}
	}
	return &coap.Response{
		Code: coap.Changed, ContentFormat: coap.FormatID(FormatMultipart),
		Payload: EncodeMultipart(Part{FormatPKCS8, made.Key}, second),
	}
}

// post returns why a request for a certificate is none, nil if it is one. Its format
// is PKCS#10 unless another is known to be all right.
func (s *Server) post(r *coap.Request, id coap.Identity, roles []coap.Role, known bool) *coap.Response {
	switch format, ok := r.ContentFormat.ID(); {
	case r.Method != coap.POST:
		return s.refuse(r, coap.MethodNotAllowed, "enrolment takes POST")
	case id.Role == coap.RoleNone:
		return s.refuse(r, coap.Unauthorized, "no client identity")
	case !slices.Contains(roles, id.Role):
		return s.refuse(r, coap.Forbidden, fmt.Sprintf("not for clients of the class %s", id.Role))
	case !known && (!ok || format != FormatPKCS10):
		return s.refuse(r, coap.UnsupportedContentFormat, "a request is application/pkcs10 (286)")
	}
	return nil
}

// request says what is asked, by whom, and on which session.
func (s *Server) request(ctx context.Context, r *coap.Request) (est.Request, error) {
	client, err := s.client(ctx, r.Peer)
	out := est.Request{Client: client, CSR: r.Payload}
	if b, ok := r.Peer.(coap.Bound); ok {
		out.Binding = b.ChannelBinding()
	}
	if err != nil {
		s.refused(r, coap.Forbidden, err.Error())
	}
	return out, err
}

// answer encodes certs as the client accepts them: all as PKCS#7, which is the
// default, or the first alone. ok is false if out is a refusal.
func answer(code coap.Code, accept coap.Format, certs []*x509.Certificate) (out *coap.Response, ok bool) {
	if !acceptable(accept) {
		return refuse(coap.NotAcceptable, "answers are 281 or 287"), false
	}
	if id, _ := accept.ID(); id == FormatPKIXCert {
		return &coap.Response{Code: code, ContentFormat: accept, Payload: certs[0].Raw}, true
	}
	body, err := EncodeCertsOnly(certs...)
	if err != nil {
		return refuse(coap.InternalServerError, "cannot encode"), false
	}
	return &coap.Response{Code: code, ContentFormat: coap.FormatID(FormatCertsOnly), Payload: body}, true
}

func acceptable(accept coap.Format) bool {
	id, ok := accept.ID()
	return !ok || id == FormatCertsOnly || id == FormatPKIXCert
}
