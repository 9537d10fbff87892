package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) template() web.ObservationTemplate {
	return web.ObservationTemplate{Name: f.Text, Tag: f.Text, Observations: []web.WantedObservation{f.wanted()}}
}

func (f *Fake) wanted() web.WantedObservation {
	return web.WantedObservation{Paths: []string{"/3/0/9", "/1/0"}, Composite: true, Attributes: []string{"pmin=1"}}
}

// ObservationTemplates implements web.Observations.
func (f *Fake) ObservationTemplates(context.Context) ([]web.ObservationTemplate, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.ObservationTemplate{f.template()}, nil
}

// PutObservationTemplate implements web.Observations.
func (f *Fake) PutObservationTemplate(
	_ context.Context, by web.Actor, t web.ObservationTemplate,
) (web.ObservationTemplate, error) {
	return f.template(), f.note("PutObservationTemplate", by, "", t)
}

// RemoveObservationTemplate implements web.Observations.
func (f *Fake) RemoveObservationTemplate(_ context.Context, by web.Actor, name string) error {
	return f.note("RemoveObservationTemplate", by, "", name)
}

// DeviceObservations implements web.Observations.
func (f *Fake) DeviceObservations(_ context.Context, device string) ([]web.DeviceObservation, error) {
	if err := f.known(device); err != nil || f.Empty {
		return nil, err
	}
	return []web.DeviceObservation{
		{WantedObservation: f.wanted(), Template: f.Text, State: "refused", Reason: f.Text, Drift: true},
	}, nil
}

// ReconcileObservations implements web.Observations.
func (f *Fake) ReconcileObservations(_ context.Context, by web.Actor, device string) error {
	return f.note("ReconcileObservations", by, device, nil)
}
