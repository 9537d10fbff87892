package ui_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"steward/web"
	"steward/web/webtest"
)

func TestGroupForm(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleOperator)
	form := url.Values{
		"name": {" north "}, "kind": {"dynamic"}, "description": {"d"},
		"filter": {"https://example.com/devices?tag=north&q=&sort=newest&columns=model&page_token=z"},
	}
	if r := s.do(t, http.MethodPost, "/groups", c, form); r.Header().Get("Location") != "/groups/x" {
		t.Errorf("POST /groups leads to %q", r.Header().Get("Location"))
	}
	got, _ := s.fake.Calls()[0].Arg.(web.Group)
	if got.Name != "north" || got.Filter != "tag=north" || got.Description != "d" {
		t.Errorf("PutGroup got %+v", got)
	}
	s.fake.Err = web.Invalid("filter", "there is no condition x")
	form.Set("filter", "x=1")
	r := s.do(t, http.MethodPost, "/groups", c, form)
	if body := r.Body.String(); r.Code != http.StatusUnprocessableEntity || !strings.Contains(body, `value="x=1"`) ||
		!strings.Contains(body, "there is no condition x") {
		t.Errorf("a refused form: %d\n%s", r.Code, body)
	}
	s.fake.Err = nil
	n := len(s.fake.Calls())
	s.do(t, http.MethodPost, "/groups/x/remove", c, url.Values{"confirm": {"y"}})
	if len(s.fake.Calls()) != n {
		t.Error("a group is removed without its name typed")
	}
	s.do(t, http.MethodPost, "/groups/x/remove", c, url.Values{"confirm": {"x"}})
	if len(s.fake.Calls()) != n+1 {
		t.Error("a group is not removed with its name typed")
	}
}

// drifting is a device that has one observation as wanted, and one refused.
type drifting struct{ web.Observations }

func (drifting) DeviceObservations(context.Context, string) ([]web.DeviceObservation, error) {
	return []web.DeviceObservation{
		{WantedObservation: web.WantedObservation{Paths: []string{"/3/0/9"}}, State: "established"},
		{
			WantedObservation: web.WantedObservation{Paths: []string{"/3303"}, Attributes: []string{"pmin=10"}},
			State:             "refused", Reason: "4.04", Drift: true,
		},
	}, nil
}

func TestGroupDrift(t *testing.T) {
	fake := &webtest.Fake{Text: "x"}
	services := fake.Services()
	services.Observations = drifting{fake}
	s := newSiteOf(t, fake, services)
	text := s.do(t, http.MethodGet, "/groups/x", s.session(t, web.RoleOperator), nil).Body.String()
	for _, want := range []string{
		"5 devices on this page are", "1 of 2", "/3303 pmin=10: refused, 4.04", `value="group=x"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
