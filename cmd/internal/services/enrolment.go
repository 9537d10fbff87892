package services

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/est/enrol"
	"steward/web"
)

// enrolments implements web.Enrolments.
type enrolments struct{ *base }

// DeviceEnrolment implements web.Enrolments.
func (s *enrolments) DeviceEnrolment(ctx context.Context, device string) (web.DeviceEnrolment, error) {
	line, err := s.find(ctx, device)
	if err != nil {
		return web.DeviceEnrolment{}, err
	}
	e, err := s.Enrolment.Enrolment(ctx, line.ID)
	if errors.Is(err, enrol.ErrUnknown) {
		e, err = enrol.Enrolment{Device: line.ID, State: enrol.None}, nil
	}
	return showEnrolment(e, string(line.Endpoint)), translate(err)
}

func showEnrolment(e enrol.Enrolment, endpoint string) web.DeviceEnrolment {
	out := web.DeviceEnrolment{
		Device: string(e.Device), Endpoint: endpoint, State: string(e.State), InUse: e.Proven, NotAfter: e.NotAfter,
		NextAt: e.Due, Request: string(e.Want), Tries: e.Tries, Reason: printable(e.Why), FailedAt: e.FailedAt,
		ChangedAt: e.ChangedAt,
	}
	if e.Certificate != (est.Hash{}) {
		out.Certificate = hex.EncodeToString(e.Certificate[:])
	}
	return out
}

// OrderEnrolment implements web.Enrolments.
func (s *enrolments) OrderEnrolment(
	ctx context.Context, by web.Actor, device string, o web.EnrolmentOrder,
) (web.DeviceEnrolment, error) {
	want := enrol.Request(o.Action)
	if want != enrol.Renewal && want != enrol.Rekey {
		return web.DeviceEnrolment{}, web.Invalid("action", "renew or rekey")
	}
	if err := checkText("reason", o.Reason, maxReason); err != nil {
		return web.DeviceEnrolment{}, err
	}
	line, err := s.find(ctx, device)
	if err != nil {
		return web.DeviceEnrolment{}, err
	}
	e, err := s.Enrolment.Order(ctx, line.ID, want, by.String(), cmp.Or(o.Reason, "asked for by an operator"))
	if errors.Is(err, enrol.ErrUnknown) {
		return web.DeviceEnrolment{}, conflict("the device has no certificate of ours")
	}
	return showEnrolment(e, string(line.Endpoint)), translate(err)
}

// listed are the states that enrolments are listed by.
var listed = []enrol.State{
	enrol.Due, enrol.Asked, enrol.Renewed, enrol.Failed, enrol.Expired, enrol.Revoked, enrol.Left,
}

// ListEnrolments implements web.Enrolments.
func (s *enrolments) ListEnrolments(
	ctx context.Context, state string, p web.Page,
) (web.List[web.DeviceEnrolment], error) {
	if !slices.Contains(listed, enrol.State(state)) {
		return web.List[web.DeviceEnrolment]{}, web.Invalid("state", "due, asked, renewed, failed, expired, revoked or left")
	}
	rows, err := s.DB.Enrolments().List(ctx, enrol.State(state), p.After, limit(p))
	if err != nil {
		return web.List[web.DeviceEnrolment]{}, translate(err)
	}
	return paged(p, rows, func(l sqlite.EnrolmentLine) string { return string(l.Device) },
		func(l sqlite.EnrolmentLine) (web.DeviceEnrolment, error) {
			return showEnrolment(l.Enrolment, l.Endpoint), nil
		})
}

// renewals counts what the overview tells of renewals, and of proofs.
func (s *overviews) renewals(ctx context.Context, o *web.Overview) error {
	if err := s.attested(ctx, o); err != nil || s.Enrolment == nil {
		return err
	}
	counts, err := s.Enrolment.Counts(ctx)
	o.RenewalsFailed, o.RenewalsMissed = counts[enrol.Failed], counts[enrol.Expired]
	return translate(err)
}

// renewalNotices tells of renewals that need a person.
func renewalNotices(o web.Overview) (out []web.Notice) {
	if o.RenewalsFailed > 0 {
		out = append(out, web.Notice{
			Level: web.LevelWarning, Link: "/renewals?state=failed",
			Text: count(o.RenewalsFailed, "renewal fails", "renewals fail") +
				" again and again; the certificates are still good.",
		})
	}
	if o.RenewalsMissed > 0 {
		out = append(out, web.Notice{
			Level: web.LevelBad, Link: "/renewals?state=expired",
			Text: count(o.RenewalsMissed, "certificate of a device", "certificates of devices") + " ended without renewal.",
		})
	}
	return out
}
