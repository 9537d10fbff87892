package services

import (
	"context"
	"errors"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/server"
	"steward/web"
)

// observations implements web.Observations.
type observations struct{ *base }

// ObservationTemplates implements web.Observations.
func (s *observations) ObservationTemplates(ctx context.Context) ([]web.ObservationTemplate, error) {
	all, err := s.DB.Server().Templates(ctx)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.ObservationTemplate, len(all))
	for i, t := range all {
		out[i] = showTemplate(t)
	}
	return out, nil
}

func showTemplate(t server.Template) web.ObservationTemplate {
	out := web.ObservationTemplate{Name: t.Name, Tag: t.Tag}
	for _, x := range t.Targets {
		out.Observations = append(out.Observations, showTarget(x))
	}
	return out
}

func showTarget(t server.Target) web.WantedObservation {
	out := web.WantedObservation{Composite: t.Composite(), Attributes: t.Options()}
	for _, p := range t.Paths() {
		out.Paths = append(out.Paths, p.String())
	}
	return out
}

// PutObservationTemplate implements web.Observations.
func (s *observations) PutObservationTemplate(
	ctx context.Context, by web.Actor, t web.ObservationTemplate,
) (web.ObservationTemplate, error) {
	if err := errors.Join(checkText("name", t.Name, maxReason), checkText("tag", t.Tag, maxReason)); err != nil {
		return web.ObservationTemplate{}, err
	}
	stored := server.Template{Name: t.Name, Tag: t.Tag}
	for _, o := range t.Observations {
		target, err := parseTarget(o)
		if err != nil {
			return web.ObservationTemplate{}, translate(err)
		}
		stored.Targets = append(stored.Targets, target)
	}
	if err := s.DB.Server().PutTemplate(ctx, stored, by.String()); err != nil {
		return web.ObservationTemplate{}, translate(err)
	}
	s.Server.Reconsider()
	return showTemplate(stored), nil
}

func parseTarget(o web.WantedObservation) (server.Target, error) {
	paths := make([]lwm2m.Path, 0, len(o.Paths))
	for _, text := range o.Paths {
		p, err := lwm2m.ParseNode(text)
		if err != nil {
			return server.Target{}, err
		}
		paths = append(paths, p)
	}
	t, err := server.Nodes(paths)
	if err != nil {
		return t, err
	}
	if len(paths) == 1 && !o.Composite {
		t = server.Node(paths[0])
	}
	if len(o.Attributes) == 0 {
		return t, nil
	}
	return t.With(o.Attributes)
}

// RemoveObservationTemplate implements web.Observations.
func (s *observations) RemoveObservationTemplate(ctx context.Context, by web.Actor, name string) error {
	if err := s.DB.Server().RemoveTemplate(ctx, name, by.String()); err != nil {
		return translate(err)
	}
	s.Server.Reconsider()
	return nil
}

// DeviceObservations implements web.Observations.
func (s *observations) DeviceObservations(ctx context.Context, device string) ([]web.DeviceObservation, error) {
	l, err := s.find(ctx, device)
	if err != nil {
		return nil, err
	}
	all, err := s.Server.Observations(ctx, l.ID)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.DeviceObservation, len(all))
	for i, r := range all {
		out[i] = web.DeviceObservation{
			WantedObservation: showTarget(r.Target), Template: r.Template, State: string(r.State),
			Reason: printable(r.Reason), Drift: r.State != server.Established && r.State != server.Absent,
		}
	}
	return out, nil
}

// ReconcileObservations implements web.Observations.
func (s *observations) ReconcileObservations(ctx context.Context, by web.Actor, device string) error {
	l, err := s.find(ctx, device)
	if err != nil {
		return err
	}
	row := audit.Row{Actor: by.String(), Action: "observation.reconcile", Subject: string(l.ID), At: s.Now()}
	if err := s.DB.Audit(ctx, row); err != nil {
		return translate(err)
	}
	s.Server.Reconsider(l.ID)
	return nil
}
