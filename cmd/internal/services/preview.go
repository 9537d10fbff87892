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
	if len(n.Devices) > 0 && p.After == "" {
		ids, err := s.targets(ctx, n.Devices, fleet.Expected, fleet.Owned, fleet.Left)
		if err != nil {
			return out, err
		}
		lines, err := s.Rollout.Preview(ctx, r.ID, ids, rollout.Filter{}, "", len(ids))
		if err != nil {
			return out, translate(err)
		}
		showPreview(&out, lines)
	}
	if filter := matching(n.Match, plan.Filter); filter != nil {
		lines, err := s.Rollout.Preview(ctx, r.ID, nil, *filter, fleet.ID(p.After), limit(p))
		if err != nil {
			return out, translate(err)
		}
		if size := pageSize(p); len(lines) > size {
			lines = lines[:size]
			out.Next = string(lines[size-1].Device)
		}
		showPreview(&out, lines)
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
