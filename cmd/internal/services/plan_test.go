package services_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/web"
)

// TestPlansAgree compares the plan that pages show and write with that of the
// domain, member by member: what one has the other has.
func TestPlansAgree(t *testing.T) {
	t.Parallel()
	few, share := 2, 2.5
	gate := web.Gate{
		Success: 90, Soak: 60, MaxFailures: &few, MaxFailedPercent: &share, MaxUnreachable: &few, MaxRefused: &few,
		MinSample: 3, Action: "abort",
	}
	match := &web.DeviceMatch{Manufacturer: "m", Model: "n", Class: "c", Tag: "t", Version: "1"}
	window := []web.Window{{Days: []int{0, 6}, From: "22:00", To: "05:30"}}
	plan := web.CampaignPlan{
		Waves: []web.WaveSpec{{Name: "a", Canary: true, Count: 1, Gate: gate}, {Percent: 10.5}},
		Start: time.Unix(1_800_000_000, 0).UTC(),
		Rates: web.Rates{
			Concurrent: 5, StartsPerMinute: 1.5, Ramp: &web.Ramp{From: 1, Factor: 2, Every: 3}, BytesPerSecond: 1000,
		},
		Windows: web.Windows{Download: window, Install: window, Zone: "+02:00"},
		Needs:   web.Needs{Battery: 50, External: true},
		Retry:   map[string]web.Retry{"4": {Tries: 3, Backoff: 60}, "-1": {Tries: 1}}, Filter: match, RollsBack: "r",
		SilentFor: 1, Timeout: 2, TailGate: gate, TailFor: 3,
	}
	raw, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var domain rollout.Plan
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(&domain); err != nil {
		t.Fatalf("the domain refuses %s: %v", raw, err)
	}
	again, err := json.Marshal(domain)
	if err != nil {
		t.Fatal(err)
	}
	var back web.CampaignPlan
	d = json.NewDecoder(strings.NewReader(string(again)))
	d.DisallowUnknownFields()
	if err := d.Decode(&back); err != nil || !reflect.DeepEqual(back, plan) {
		t.Errorf("%s came back as %s, %v", raw, again, err)
	}
	var filled func(v reflect.Value, name string)
	filled = func(v reflect.Value, name string) {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
			if v.IsZero() {
				t.Errorf("the plan of this test lacks %s", name)
			}
			return
		}
		for i := range v.NumField() {
			filled(v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	}
	filled(reflect.ValueOf(domain), "plan")
}

func TestPreviewCampaign(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a := w.add(t, fleet.Device{Endpoint: "a", Ownership: fleet.Owned})
	w.add(t, fleet.Device{Endpoint: "b", Ownership: fleet.Owned})
	left := w.add(t, fleet.Device{Endpoint: "gone", Ownership: fleet.Left})
	r := w.released(t, "1.0")
	n := web.NewCampaign{
		Release: r.ID, Delivery: web.Push, Devices: []string{"ep:a", string(left.ID)},
		Plan: json.RawMessage(`{"waves":[{"canary":true,"count":1}]}`),
	}
	p, err := w.Campaigns.PreviewCampaign(ctx, n, web.Page{})
	if err != nil || p.In != 1 || p.Out != 1 || len(p.Waves) != 1 || p.Waves[0].Name != "canary" {
		t.Fatalf("PreviewCampaign = %+v, %v", p, err)
	}
	reasons := map[string]string{}
	for _, l := range p.Items {
		reasons[l.Endpoint] = l.Reason
	}
	if !strings.Contains(reasons["gone"], "handed over") || !strings.Contains(reasons["a"], "not registered") {
		t.Errorf("reasons = %v", reasons)
	}
	n.Devices, n.Match, n.Plan = nil, &web.DeviceMatch{}, nil
	p, err = w.Campaigns.PreviewCampaign(ctx, n, web.Page{Size: 1})
	if err != nil || len(p.Items) != 1 || p.Next == "" {
		t.Errorf("PreviewCampaign of one = %+v, %v", p, err)
	}
	n.Plan = json.RawMessage(`{"waves":[{"count":-1}]}`)
	_, err = w.Campaigns.PreviewCampaign(ctx, n, web.Page{})
	wantError(t, "a wave of nobody", err, web.ErrInvalid)
	n.Plan = json.RawMessage(`{"wave":1}`)
	_, err = w.Campaigns.PreviewCampaign(ctx, n, web.Page{})
	wantError(t, "an unknown member", err, web.ErrInvalid)

	c, err := w.Campaigns.CreateCampaign(ctx, alice, web.NewCampaign{
		Release: r.ID, Delivery: web.Push, Devices: []string{string(a.ID)}, Draft: true,
		Plan: json.RawMessage(`{"waves":[{"canary":true,"count":1,"gate":{"success":90,"soak":60}}]}`),
	})
	want := "at least 90 % succeed, soaks for 1m0s; else pauses"
	if err != nil || c.State != "draft" || !c.May(web.CampaignSubmit) || c.Waves[0].Gate != want ||
		c.Waves[0].Level != web.LevelNeutral {
		t.Fatalf("CreateCampaign = %+v, %v", c, err)
	}
	jobs, err := w.Campaigns.Jobs(ctx, c.ID, web.JobFilter{State: "planned"}, web.Page{})
	if err != nil || len(jobs.Items) != 1 || jobs.Items[0].Wave != "canary" {
		t.Errorf("Jobs = %+v, %v", jobs, err)
	}
	jobs, err = w.Campaigns.Jobs(ctx, c.ID, web.JobFilter{State: "done"}, web.Page{})
	if err != nil || len(jobs.Items) != 0 {
		t.Errorf("Jobs that are done = %+v, %v", jobs, err)
	}
}
