package scope

import (
	"context"

	"steward/web"
)

type certificates struct{ *bounds }

// ListCertificates implements web.Certificates: those of the actor's devices.
func (s certificates) ListCertificates(
	ctx context.Context, f web.CertificateFilter, p web.Page,
) (web.List[web.Certificate], error) {
	if f.Device != "" {
		if err := s.device(ctx, f.Device); err != nil {
			return web.List[web.Certificate]{}, err
		}
		return s.Certificates.ListCertificates(ctx, f, p)
	}
	return sift(ctx, p, func(p web.Page) (web.List[web.Certificate], error) {
		return s.Certificates.ListCertificates(ctx, f, p)
	}, func(c web.Certificate) (bool, error) { return s.sees(ctx, c.Device) })
}

// Certificate implements web.Certificates. Those of the provider itself are public.
func (s certificates) Certificate(ctx context.Context, id string) (web.CertificateDetail, error) {
	c, err := s.Certificates.Certificate(ctx, id)
	if err != nil {
		return web.CertificateDetail{}, err
	}
	in, err := s.sees(ctx, c.Device)
	if err == nil && !in {
		err = web.NotFound("certificate", id)
	}
	if err != nil {
		return web.CertificateDetail{}, err
	}
	return c, nil
}

// Revoke implements web.Certificates.
func (s certificates) Revoke(
	ctx context.Context, by web.Actor, id string, r web.Revocation,
) (web.Certificate, error) {
	if err := signedIn(ctx); err != nil {
		return web.Certificate{}, err
	}
	if !web.ActorFrom(ctx).Scope.All() {
		if _, err := s.Certificate(ctx, id); err != nil {
			return web.Certificate{}, err
		}
	}
	return s.Certificates.Revoke(ctx, by, id, r)
}

// Authorities implements web.Certificates.
func (s certificates) Authorities(ctx context.Context) ([]web.CertificateDetail, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Certificates.Authorities(ctx)
}

// Inventory implements web.Certificates. It counts all, or nothing.
func (s certificates) Inventory(ctx context.Context) (web.Inventory, error) {
	_, all, err := groupsOf(ctx)
	if err != nil || !all {
		return web.Inventory{}, err
	}
	return s.Certificates.Inventory(ctx)
}

type passwords struct{ *bounds }

// ListPasswords implements web.OneTimePasswords.
func (s passwords) ListPasswords(ctx context.Context, p web.Page) (web.List[web.OneTimePassword], error) {
	if err := all(ctx); err != nil {
		return web.List[web.OneTimePassword]{}, err
	}
	return s.Passwords.ListPasswords(ctx, p)
}

// MakePassword implements web.OneTimePasswords.
func (s passwords) MakePassword(
	ctx context.Context, by web.Actor, n web.NewOneTimePassword,
) (web.MadePassword, error) {
	if err := all(ctx); err != nil {
		return web.MadePassword{}, err
	}
	return s.Passwords.MakePassword(ctx, by, n)
}

// WithdrawPassword implements web.OneTimePasswords.
func (s passwords) WithdrawPassword(ctx context.Context, by web.Actor, id string) (web.OneTimePassword, error) {
	if err := all(ctx); err != nil {
		return web.OneTimePassword{}, err
	}
	return s.Passwords.WithdrawPassword(ctx, by, id)
}

type upstream struct{ *bounds }

// ListUpstream implements web.UpstreamRequests.
func (s upstream) ListUpstream(
	ctx context.Context, state string, p web.Page,
) (web.List[web.UpstreamRequest], error) {
	if err := all(ctx); err != nil {
		return web.List[web.UpstreamRequest]{}, err
	}
	return s.Upstream.ListUpstream(ctx, state, p)
}

// UpstreamRequest implements web.UpstreamRequests.
func (s upstream) UpstreamRequest(ctx context.Context, id string) (web.UpstreamRequestDetail, error) {
	if err := all(ctx); err != nil {
		return web.UpstreamRequestDetail{}, err
	}
	return s.Upstream.UpstreamRequest(ctx, id)
}

// ImportUpstream implements web.UpstreamRequests.
func (s upstream) ImportUpstream(ctx context.Context, by web.Actor, id, pem string) (web.UpstreamRequest, error) {
	if err := all(ctx); err != nil {
		return web.UpstreamRequest{}, err
	}
	return s.Upstream.ImportUpstream(ctx, by, id, pem)
}

// DecideUpstream implements web.UpstreamRequests.
func (s upstream) DecideUpstream(
	ctx context.Context, by web.Actor, id string, d web.UpstreamDecision,
) (web.UpstreamRequest, error) {
	if err := all(ctx); err != nil {
		return web.UpstreamRequest{}, err
	}
	return s.Upstream.DecideUpstream(ctx, by, id, d)
}

type requests struct{ *bounds }

// ListCertificateRequests implements web.CertificateRequests.
func (s requests) ListCertificateRequests(
	ctx context.Context, state string, p web.Page,
) (web.List[web.CertificateRequest], error) {
	return sift(ctx, p, func(p web.Page) (web.List[web.CertificateRequest], error) {
		return s.Requests.ListCertificateRequests(ctx, state, p)
	}, func(r web.CertificateRequest) (bool, error) { return s.sees(ctx, "ep:"+r.Name) })
}

// DecideCertificateRequest implements web.CertificateRequests. A request says itself
// which device it is for: those decide who see all.
func (s requests) DecideCertificateRequest(
	ctx context.Context, by web.Actor, id string, d web.RequestDecision,
) (web.CertificateRequest, error) {
	if err := all(ctx); err != nil {
		return web.CertificateRequest{}, err
	}
	return s.Requests.DecideCertificateRequest(ctx, by, id, d)
}

type publications struct{ *bounds }

// Publication implements web.Publications: what is published is for everybody.
func (s publications) Publication(ctx context.Context) (web.Publication, error) {
	if err := signedIn(ctx); err != nil {
		return web.Publication{}, err
	}
	return s.bounds.Publication.Publication(ctx)
}

type enrolments struct{ *bounds }

// DeviceEnrolment implements web.Enrolments.
func (s enrolments) DeviceEnrolment(ctx context.Context, device string) (web.DeviceEnrolment, error) {
	if err := s.device(ctx, device); err != nil {
		return web.DeviceEnrolment{}, err
	}
	return s.Enrolments.DeviceEnrolment(ctx, device)
}

// OrderEnrolment implements web.Enrolments.
func (s enrolments) OrderEnrolment(
	ctx context.Context, by web.Actor, device string, o web.EnrolmentOrder,
) (web.DeviceEnrolment, error) {
	if err := s.device(ctx, device); err != nil {
		return web.DeviceEnrolment{}, err
	}
	return s.Enrolments.OrderEnrolment(ctx, by, device, o)
}

// ListEnrolments implements web.Enrolments.
func (s enrolments) ListEnrolments(
	ctx context.Context, state string, p web.Page,
) (web.List[web.DeviceEnrolment], error) {
	return sift(ctx, p, func(p web.Page) (web.List[web.DeviceEnrolment], error) {
		return s.Enrolments.ListEnrolments(ctx, state, p)
	}, func(e web.DeviceEnrolment) (bool, error) { return s.sees(ctx, e.Device) })
}
