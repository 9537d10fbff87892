package scope

import (
	"context"

	"steward/web"
)

type releases struct{ *bounds }

// ListReleases implements web.Releases: releases belong to the provider.
func (s releases) ListReleases(ctx context.Context, p web.Page) (web.List[web.Release], error) {
	if err := signedIn(ctx); err != nil {
		return web.List[web.Release]{}, err
	}
	return s.Releases.ListReleases(ctx, p)
}

// Release implements web.Releases. Devices that run it are counted for those who see
// all.
func (s releases) Release(ctx context.Context, id string) (web.ReleaseDetail, error) {
	_, all, err := groupsOf(ctx)
	if err != nil {
		return web.ReleaseDetail{}, err
	}
	r, err := s.Releases.Release(ctx, id)
	if !all {
		r.Running, r.Exposed = 0, 0
	}
	return r, err
}

// AddRelease implements web.Releases.
func (s releases) AddRelease(ctx context.Context, by web.Actor, r web.NewRelease) (web.Release, error) {
	if err := all(ctx); err != nil {
		return web.Release{}, err
	}
	return s.Releases.AddRelease(ctx, by, r)
}

// DecideRelease implements web.Releases.
func (s releases) DecideRelease(
	ctx context.Context, by web.Actor, id string, c web.ReleaseCommand,
) (web.Release, error) {
	if err := all(ctx); err != nil {
		return web.Release{}, err
	}
	return s.Releases.DecideRelease(ctx, by, id, c)
}

type bills struct{ *bounds }

// SetBill implements web.Bills.
func (s bills) SetBill(ctx context.Context, by web.Actor, release string, document []byte) (web.BillSummary, error) {
	if err := all(ctx); err != nil {
		return web.BillSummary{}, err
	}
	return s.Bills.SetBill(ctx, by, release, document)
}

// Bill implements web.Bills.
func (s bills) Bill(ctx context.Context, release string) ([]byte, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Bills.Bill(ctx, release)
}

// Parts implements web.Bills.
func (s bills) Parts(ctx context.Context, release string, p web.Page) (web.List[web.Part], error) {
	if err := signedIn(ctx); err != nil {
		return web.List[web.Part]{}, err
	}
	return s.Bills.Parts(ctx, release, p)
}

// Findings implements web.Bills, without counts of devices for those who do not see
// all.
func (s bills) Findings(ctx context.Context, release string, p web.Page) (web.List[web.Finding], error) {
	_, all, err := groupsOf(ctx)
	if err != nil {
		return web.List[web.Finding]{}, err
	}
	list, err := s.Bills.Findings(ctx, release, p)
	for i := range list.Items {
		if !all {
			list.Items[i].Exposed = 0
		}
	}
	return list, err
}

type vulnerabilities struct{ *bounds }

// ListVulnerabilities implements web.Vulnerabilities, as Findings does.
func (s vulnerabilities) ListVulnerabilities(ctx context.Context, p web.Page) (web.List[web.Vulnerability], error) {
	_, all, err := groupsOf(ctx)
	if err != nil {
		return web.List[web.Vulnerability]{}, err
	}
	list, err := s.Vulnerabilities.ListVulnerabilities(ctx, p)
	for i := range list.Items {
		if !all {
			list.Items[i].Exposed = 0
		}
	}
	return list, err
}

// VulnerabilityLists implements web.Vulnerabilities.
func (s vulnerabilities) VulnerabilityLists(ctx context.Context) ([]web.VulnerabilityList, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Vulnerabilities.VulnerabilityLists(ctx)
}

// ImportVulnerabilities implements web.Vulnerabilities.
func (s vulnerabilities) ImportVulnerabilities(
	ctx context.Context, by web.Actor, name string, document []byte,
) (web.VulnerabilityList, error) {
	if err := all(ctx); err != nil {
		return web.VulnerabilityList{}, err
	}
	return s.Vulnerabilities.ImportVulnerabilities(ctx, by, name, document)
}

// RemoveVulnerabilities implements web.Vulnerabilities.
func (s vulnerabilities) RemoveVulnerabilities(ctx context.Context, by web.Actor, id, reason string) error {
	if err := all(ctx); err != nil {
		return err
	}
	return s.Vulnerabilities.RemoveVulnerabilities(ctx, by, id, reason)
}

type campaigns struct{ *bounds }

// visible reports whether all devices of a campaign are the actor's.
func (s campaigns) visible(ctx context.Context, c web.Campaign) (bool, error) {
	return s.whole(ctx, c.Total, func(p web.Page) ([]string, string, error) {
		list, err := s.Campaigns.Jobs(ctx, c.ID, web.JobFilter{}, p)
		var ids []string
		for _, job := range list.Items {
			ids = append(ids, job.Device)
		}
		return ids, list.Next, err
	})
}

// ListCampaigns implements web.Campaigns.
func (s campaigns) ListCampaigns(ctx context.Context, p web.Page) (web.List[web.Campaign], error) {
	return sift(ctx, p, func(p web.Page) (web.List[web.Campaign], error) {
		return s.Campaigns.ListCampaigns(ctx, p)
	}, func(c web.Campaign) (bool, error) { return s.visible(ctx, c) })
}

// Campaign implements web.Campaigns.
func (s campaigns) Campaign(ctx context.Context, id string) (web.Campaign, error) {
	c, err := s.Campaigns.Campaign(ctx, id)
	if err != nil {
		return web.Campaign{}, err
	}
	in, err := s.visible(ctx, c)
	if err == nil && !in {
		err = web.NotFound("campaign", id)
	}
	if err != nil {
		return web.Campaign{}, err
	}
	return c, nil
}

// check is Campaign for those who need to know only whether they may go on.
func (s campaigns) check(ctx context.Context, id string) error {
	if err := signedIn(ctx); err != nil || web.ActorFrom(ctx).Scope.All() {
		return err
	}
	_, err := s.Campaign(ctx, id)
	return err
}

// Jobs implements web.Campaigns.
func (s campaigns) Jobs(ctx context.Context, id string, f web.JobFilter, p web.Page) (web.List[web.Job], error) {
	if err := s.check(ctx, id); err != nil {
		return web.List[web.Job]{}, err
	}
	return s.Campaigns.Jobs(ctx, id, f, p)
}

// targets refuses a campaign that would reach beyond the actor's devices.
func (s campaigns) targets(ctx context.Context, c web.NewCampaign) error {
	if err := signedIn(ctx); err != nil || web.ActorFrom(ctx).Scope.All() {
		return err
	}
	if c.Match != nil {
		return web.Invalid("match", "name the devices: yours are those of your groups")
	}
	if len(c.Devices) > maxWhole {
		return web.Invalid("devices", "at most 1000 at once, for those who do not see all")
	}
	return s.devicesAll(ctx, c.Devices)
}

// CreateCampaign implements web.Campaigns.
func (s campaigns) CreateCampaign(ctx context.Context, by web.Actor, c web.NewCampaign) (web.Campaign, error) {
	if err := s.targets(ctx, c); err != nil {
		return web.Campaign{}, err
	}
	return s.Campaigns.CreateCampaign(ctx, by, c)
}

// PreviewCampaign implements web.Campaigns.
func (s campaigns) PreviewCampaign(
	ctx context.Context, c web.NewCampaign, p web.Page,
) (web.CampaignPreview, error) {
	if err := s.targets(ctx, c); err != nil {
		return web.CampaignPreview{}, err
	}
	return s.Campaigns.PreviewCampaign(ctx, c, p)
}

// CommandCampaign implements web.Campaigns.
func (s campaigns) CommandCampaign(
	ctx context.Context, by web.Actor, id string, c web.CampaignCommand,
) (web.Campaign, error) {
	if err := s.check(ctx, id); err != nil {
		return web.Campaign{}, err
	}
	return s.Campaigns.CommandCampaign(ctx, by, id, c)
}

// CampaignReport implements web.Campaigns.
func (s campaigns) CampaignReport(ctx context.Context, id string, format web.ReportFormat) (web.File, error) {
	if err := s.check(ctx, id); err != nil {
		return web.File{}, err
	}
	return s.Campaigns.CampaignReport(ctx, id, format)
}
