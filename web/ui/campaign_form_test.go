package ui_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"steward/web"
	"steward/web/ui"
	"steward/web/webtest"
)

// TestCampaignForm reads what somebody typed, and shows it again if it makes no
// sense.
func TestCampaignForm(t *testing.T) {
	full := url.Values{
		"name": {"n"}, "release": {"r"}, "delivery": {"pull"}, "device": {"a", "b"}, "then": {"draft"},
		"members": {"later"}, "model": {"lamp"}, "canary": {"2"}, "waves": {"10 %, 50; 7"}, "success": {"90"},
		"max_failures": {"0"}, "max_failed_percent": {"2.5"}, "soak_minutes": {"10"}, "action": {"abort"},
		"concurrent": {"5"}, "kib_per_second": {"1.5"}, "ramp_from": {"1"}, "ramp_factor": {"2"}, "ramp_every": {"3"},
		"install_from": {"22:00"}, "install_to": {"05:00"}, "day": {"0", "6"}, "zone": {"+02:00"}, "battery": {"50"},
		"retry": {"4=3/60, 8=0"}, "start": {"2026-03-02T10:00"}, "timeout_hours": {"2"}, "rolls_back": {"old"},
	}
	want := `{"waves":[{"canary":true,"count":2,"gate":GATE},{"percent":10,"gate":GATE},{"count":50,"gate":GATE},` +
		`{"count":7,"gate":GATE}],"start":"2026-03-02T10:00:00Z",` +
		`"rates":{"concurrent":5,"ramp":{"from":1,"factor":2,"every":3},"bytes_per_second":1536},` +
		`"windows":{"install":[{"days":[0,6],"from":"22:00","to":"05:00"}],"zone":"+02:00"},` +
		`"needs":{"battery":50},"retry":{"4":{"tries":3,"backoff":60},"8":{"tries":0}},"filter":{"model":"lamp"},` +
		`"rolls_back":"old","timeout":7200}`
	const gate = `{"success":90,"soak":600,"max_failures":0,"max_failed_percent":2.5,"action":"abort"}`
	want = strings.ReplaceAll(want, "GATE", gate)
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleOperator)
	if r := s.do(t, http.MethodPost, "/updates", c, full); r.Code != http.StatusSeeOther {
		t.Fatalf("POST /updates = %d\n%s", r.Code, r.Body)
	}
	got, ok := s.fake.Calls()[0].Arg.(web.NewCampaign)
	if !ok || string(got.Plan) != want || !got.Draft || got.Match == nil || got.Match.Model != "lamp" ||
		len(got.Devices) != 2 || got.Delivery != web.Pull {
		t.Errorf("CreateCampaign got %+v with plan\n%s\nwant\n%s", got, got.Plan, want)
	}

	plain := url.Values{"name": {"n"}, "release": {"r"}, "delivery": {"push"}, "device": {"a"}, "members": {"listed"}}
	s.do(t, http.MethodPost, "/updates", c, plain)
	got, _ = s.fake.Calls()[1].Arg.(web.NewCampaign)
	if got.Plan != nil || got.Match != nil || got.Draft {
		t.Errorf("a plain form makes %+v with plan %s", got, got.Plan)
	}
	for field, text := range map[string]string{
		"canary": "many", "waves": "10 %, some", "success": "all", "start": "soon", "retry": "4", "day": "x",
		"max_failures": "-", "ramp_every": "1.5",
	} {
		form := url.Values{}
		maps.Copy(form, full)
		form.Set(field, text)
		for _, path := range []string{"/updates", "/updates/preview"} {
			r := s.do(t, http.MethodPost, path, c, form)
			if body := r.Body.String(); r.Code != http.StatusUnprocessableEntity || !strings.Contains(body, field) ||
				!strings.Contains(body, `value="lamp"`) {
				t.Errorf("%s with %s %q = %d\n%s", path, field, text, r.Code, body)
			}
		}
	}
	if n := len(s.fake.Calls()); n != 2 {
		t.Errorf("%d calls reached the service, want 2", n)
	}
	r := s.do(t, http.MethodPost, "/updates/preview", c, full)
	if body := r.Body.String(); r.Code != http.StatusOK || !strings.Contains(body, "Preview: 3 devices in, 2 not") {
		t.Errorf("POST /updates/preview = %d\n%s", r.Code, body)
	}
}

func TestBar(t *testing.T) {
	for _, row := range []struct {
		counts web.Counts
		total  int
		want   string
	}{
		{nil, 0, ""},
		{web.Counts{"planned": 3}, 3, "3 planned"},
		{
			web.Counts{"done": 1, "downloading": 1, "queued": 1, "away": 1, "failed": 3},
			7,
			"1 done, 2 under way, 1 set aside, 3 failed",
		},
	} {
		text, width := ui.Bar(row.counts, row.total)
		if full := row.total > 0; text != row.want || (width == 1000) != full {
			t.Errorf("bar of %v = %q, %d wide; want %q", row.counts, text, width, row.want)
		}
	}
}

// TestCampaignReport hands out files only.
func TestCampaignReport(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleViewer)
	for _, format := range []string{"csv", "json", "signed"} {
		r := s.do(t, http.MethodGet, "/updates/"+webtest.ID+"/report?format="+format, c, nil)
		if r.Code != http.StatusOK || !strings.HasPrefix(r.Header().Get("Content-Disposition"), "attachment") {
			t.Errorf("report as %s = %d, %v", format, r.Code, r.Header())
		}
	}
	r := s.do(t, http.MethodGet, "/updates/"+webtest.ID+"/report?format=pdf", c, nil)
	if r.Code != http.StatusUnprocessableEntity {
		t.Errorf("report as pdf = %d", r.Code)
	}
}
