package services

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/web"
)

// CreateCampaign implements web.Campaigns.
func (s *campaigns) CreateCampaign(ctx context.Context, by web.Actor, n web.NewCampaign) (web.Campaign, error) {
	if err := checkText("name", n.Name, maxName); err != nil {
		return web.Campaign{}, err
	}
	r, err := s.deliverable(ctx, n)
	if err != nil {
		return web.Campaign{}, err
	}
	d := rollout.Draft{
		ID: s.NewID(), Name: cmp.Or(n.Name, strings.TrimSpace(r.Name+" "+r.Version)), Release: r.ID,
		Delivery: rollout.Delivery(n.Delivery), By: by.String(),
	}
	if n.Plan != nil {
		if d.Plan, err = readPlan(n.Plan); err != nil {
			return web.Campaign{}, err
		}
	}
	if len(n.Devices) > 0 || n.Match == nil && d.Plan.Filter == nil {
		if d.Devices, err = s.targets(ctx, n.Devices, fleet.Expected, fleet.Owned); err != nil {
			return web.Campaign{}, err
		}
	}
	d.Snapshot = matching(n.Match, nil)
	begin := s.Rollout.Start
	if n.Draft {
		begin = s.Rollout.Draft
	}
	c, err := begin(ctx, d)
	if err != nil {
		return web.Campaign{}, about("plan", err)
	}
	return s.Campaign(ctx, c.ID)
}

// readPlan reads a plan, every member of which must mean something.
func readPlan(raw json.RawMessage) (p rollout.Plan, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, web.Invalid("plan", printable(err.Error()))
	}
	return p, nil
}

// CommandCampaign implements web.Campaigns.
func (s *campaigns) CommandCampaign(
	ctx context.Context, by web.Actor, id string, c web.CampaignCommand,
) (web.Campaign, error) {
	if err := checkText("reason", c.Reason, maxReason); err != nil {
		return web.Campaign{}, err
	}
	if _, err := s.campaign(ctx, id); err != nil {
		return web.Campaign{}, err
	}
	cmd := rollout.Command{ID: id, Actor: by.String(), Reason: c.Reason}
	if _, err := s.Rollout.Do(ctx, rollout.CampaignEvent(c.Action), cmd); err != nil {
		return web.Campaign{}, about("action", err)
	}
	return s.Campaign(ctx, id)
}

// CampaignReport implements web.Campaigns.
func (s *campaigns) CampaignReport(ctx context.Context, id string, format web.ReportFormat) (web.File, error) {
	if _, err := s.campaign(ctx, id); err != nil {
		return web.File{}, err
	}
	name := "campaign-" + id
	if format == web.ReportCSV {
		var out bytes.Buffer
		err := s.Rollout.WriteCSV(ctx, id, &out)
		return web.File{Name: name + ".csv", Type: "text/csv; charset=utf-8", Body: out.Bytes()}, translate(err)
	}
	r, err := s.Rollout.Report(ctx, id)
	if err != nil {
		return web.File{}, translate(err)
	}
	if format == web.ReportSigned {
		raw, err := rollout.SignReport(s.ReportSigner, r)
		return web.File{Name: name + ".cose", Type: `application/cose; cose-type="cose-sign1"`, Body: raw}, translate(err)
	}
	raw, err := json.Marshal(r)
	return web.File{Name: name + ".json", Type: "application/json", Body: raw}, err
}
