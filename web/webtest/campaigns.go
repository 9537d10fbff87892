package webtest

import (
	"context"
	"encoding/json"

	"steward/web"
)

// plan has something in each of its members.
func (f *Fake) plan() json.RawMessage {
	if f.Empty {
		return nil
	}
	few, share := 1, 2.5
	gate := web.Gate{Success: 90, Soak: 60, MaxFailures: &few, MaxFailedPercent: &share, Action: f.Text}
	match := web.DeviceMatch{Manufacturer: f.Text, Model: f.Text, Class: f.Text, Tag: f.Text, Version: f.Text}
	windows := []web.Window{{Days: []int{1}, From: f.Text, To: f.Text}}
	plan, _ := json.Marshal(web.CampaignPlan{ // never fails: no cycles, no channels
		Waves: []web.WaveSpec{{Name: f.Text, Canary: true, Count: 1, Gate: gate}}, Start: Noon,
		Rates:   web.Rates{Concurrent: 2, StartsPerMinute: 1.5, Ramp: &web.Ramp{From: 1, Factor: 2, Every: 3}},
		Windows: web.Windows{Download: windows, Install: windows, Zone: f.Text}, Needs: web.Needs{Battery: 50},
		Retry: map[string]web.Retry{"4": {Tries: 1, Backoff: 60}}, Filter: &match, RollsBack: f.Text,
	})
	return plan
}

func (f *Fake) campaign() web.Campaign {
	return web.Campaign{
		ID: ID, Name: f.Text, Release: f.release(), Delivery: web.Push, State: f.Text, Level: web.LevelActive,
		Total: 5, Done: 2, Failed: 1,
		Counts:    map[string]int{"downloading": 1, "done": 2, "failed": 1, "away": 1, f.Text: 1},
		CreatedAt: Noon, CreatedBy: f.Text,
		Reason: f.Text, ApprovedBy: f.Text, Actions: []web.CampaignAction{
			web.CampaignSubmit, web.CampaignApprove, web.CampaignReject, web.CampaignPause, web.CampaignResume,
			web.CampaignFinish, web.CampaignAbort,
		},
		Since: Noon, StartedAt: Noon, EndedAt: Noon, ETA: Noon, Plan: f.plan(),
		Waves: []web.CampaignWave{{
			Name: f.Text, State: f.Text, Level: web.LevelActive, Reason: f.Text, Gate: f.Text, Current: true, Total: 5,
			BeganAt: Noon, EndedAt: Noon,
			Counts: map[string]int{f.Text: 5},
		}},
	}
}

// ListCampaigns implements web.Campaigns.
func (f *Fake) ListCampaigns(_ context.Context, p web.Page) (web.List[web.Campaign], error) {
	return list(f, p, f.campaign())
}

// Campaign implements web.Campaigns.
func (f *Fake) Campaign(_ context.Context, id string) (web.Campaign, error) {
	return f.campaign(), f.known(id)
}

// Jobs implements web.Campaigns.
func (f *Fake) Jobs(_ context.Context, _ string, _ web.JobFilter, p web.Page) (web.List[web.Job], error) {
	return list(f, p, web.Job{
		Device: ID, Endpoint: f.Text, Wave: f.Text, State: f.Text, Aside: f.Text, Level: web.LevelBad, Reason: f.Text,
		Report: f.Text, Tries: 1, Sent: 10, Size: 100, UpdatedAt: Noon,
	})
}

// PreviewCampaign implements web.Campaigns.
func (f *Fake) PreviewCampaign(_ context.Context, _ web.NewCampaign, p web.Page) (web.CampaignPreview, error) {
	lines, err := list(f, p, web.PreviewLine{Device: ID, Endpoint: f.Text, Version: f.Text, Reason: f.Text})
	return web.CampaignPreview{
		Items: lines.Items, Next: lines.Next, In: 3, Out: 2, Waves: []web.PreviewWave{{Name: f.Text, Size: 3}},
	}, err
}

// CreateCampaign implements web.Campaigns.
func (f *Fake) CreateCampaign(_ context.Context, by web.Actor, c web.NewCampaign) (web.Campaign, error) {
	return f.campaign(), f.note("CreateCampaign", by, "", c)
}

// CommandCampaign implements web.Campaigns.
func (f *Fake) CommandCampaign(_ context.Context, by web.Actor, id string, c web.CampaignCommand) (
	web.Campaign, error,
) {
	return f.campaign(), f.note("CommandCampaign", by, id, c)
}

// CampaignReport implements web.Campaigns.
func (f *Fake) CampaignReport(_ context.Context, id string, format web.ReportFormat) (web.File, error) {
	return web.File{Name: "report." + string(format), Type: "text/plain", Body: []byte(f.Text)}, f.known(id)
}
