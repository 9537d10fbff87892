package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) enrolment() web.DeviceEnrolment {
	return web.DeviceEnrolment{
		Device: ID, Endpoint: f.Text, State: "failed", Certificate: f.Text, InUse: true, NotAfter: Noon, NextAt: Noon,
		Request: "renew", Tries: 8, Reason: f.Text, FailedAt: Noon, ChangedAt: Noon,
	}
}

// DeviceEnrolment implements web.Enrolments.
func (f *Fake) DeviceEnrolment(_ context.Context, device string) (web.DeviceEnrolment, error) {
	if err := f.known(device); err != nil {
		return web.DeviceEnrolment{}, err
	}
	if f.Empty {
		return web.DeviceEnrolment{Device: ID, Endpoint: f.Text, State: "none"}, nil
	}
	return f.enrolment(), nil
}

// OrderEnrolment implements web.Enrolments.
func (f *Fake) OrderEnrolment(
	_ context.Context, by web.Actor, device string, o web.EnrolmentOrder,
) (web.DeviceEnrolment, error) {
	return f.enrolment(), f.note("OrderEnrolment", by, device, o)
}

// ListEnrolments implements web.Enrolments.
func (f *Fake) ListEnrolments(_ context.Context, _ string, p web.Page) (web.List[web.DeviceEnrolment], error) {
	return list(f, p, f.enrolment())
}
