package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) certificateRequest() web.CertificateRequest {
	return web.CertificateRequest{
		ID: ID, Request: f.Text, Name: f.Text, Profile: f.Text, State: "waiting", SPKI: f.Text, AskedAt: Noon,
		DecidedAt: Noon, By: f.Text, Reason: f.Text,
	}
}

// ListCertificateRequests implements web.CertificateRequests.
func (f *Fake) ListCertificateRequests(
	_ context.Context, _ string, p web.Page,
) (web.List[web.CertificateRequest], error) {
	return list(f, p, f.certificateRequest())
}

// DecideCertificateRequest implements web.CertificateRequests.
func (f *Fake) DecideCertificateRequest(
	_ context.Context, by web.Actor, id string, d web.RequestDecision,
) (web.CertificateRequest, error) {
	return f.certificateRequest(), f.note("DecideCertificateRequest", by, id, d)
}
