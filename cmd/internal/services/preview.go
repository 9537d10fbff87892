package services

import (
	"context"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/web"
)

// PreviewCampaign implements web.Campaigns: the devices that are named first, then
// those that fit. Its cursors are ids of devices that fit.
func (s *campaigns) PreviewCampaign(
	ctx context.Context, n web.NewCampaign, p web.Page,
) (web.CampaignPreview, error) {
	var out web.CampaignPreview
	r, err := s.deliverable(ctx, n)
	if err != nil {
		return out, err
	}
	var plan rollout.Plan
	if n.Plan != nil {
		if plan, err = readPlan(n.Plan); err != nil {
			return out, err
		}
	}
	if err := s.previewNamed(ctx, &out, r.ID, n.Devices, p); err != nil {
		return out, err
	}
	if filter := matching(n.Match, plan.Filter); filter != nil {
		if err := s.previewFitting(ctx, &out, r.ID, *filter, p); err != nil {
			return out, err
		}
	}
	waves, err := plan.Divide(out.In)
	if err != nil {
		return out, about("plan", err)
	}
	c := rollout.Campaign{Waves: waves}
	for i, w := range waves {
		out.Waves = append(out.Waves, web.PreviewWave{Name: c.WaveName(i), Size: w.Size})
	}
	return out, nil
}

// previewNamed adds the devices that are named, on the first page.
func (s *campaigns) previewNamed(
	ctx context.Context, out *web.CampaignPreview, release string, devices []string, p web.Page,
) error {
	if len(devices) == 0 || p.After != "" {
		return nil
	}
	ids, err := s.targets(ctx, devices, fleet.Expected, fleet.Owned, fleet.Left)
	if err != nil {
		return err
	}
	lines, err := s.Rollout.Preview(ctx, release, ids, rollout.Filter{}, "", len(ids))
	showPreview(out, lines)
	return translate(err)
}

// previewFitting adds a page of the devices that fit.
func (s *campaigns) previewFitting(
	ctx context.Context, out *web.CampaignPreview, release string, f rollout.Filter, p web.Page,
) error {
	lines, err := s.Rollout.Preview(ctx, release, nil, f, fleet.ID(p.After), limit(p))
	if size := pageSize(p); len(lines) > size {
		lines = lines[:size]
		out.Next = string(lines[size-1].Device)
	}
	showPreview(out, lines)
	return translate(err)
}

// matching returns which devices beside those named are looked at; nil: none.
func matching(now *web.DeviceMatch, later *rollout.Filter) *rollout.Filter {
	if now == nil {
		return later
	}
	return &rollout.Filter{
		Manufacturer: now.Manufacturer, Model: now.Model, Class: now.Class, Tag: now.Tag, Version: now.Version,
	}
}

func showPreview(out *web.CampaignPreview, lines []rollout.Preview) {
	for _, l := range lines {
		out.Items = append(out.Items, web.PreviewLine{
			Device: string(l.Device), Endpoint: l.Endpoint, Version: l.Version, In: l.In, Reason: l.Reason,
		})
		if l.In {
			out.In++
		} else {
			out.Out++
		}
	}
}
