package ui_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"steward/web"
	"steward/web/webtest"
)

func TestBulkForm(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleOperator)
	const chosen = "/bulk/new?device=a&device=b&scope=ticked&action=execute&filter=tag%3Dx"
	text := s.do(t, http.MethodGet, chosen, c, nil).Body.String()
	for _, want := range []string{
		"With 2 devices", `name="device" value="a"`, `value="execute" required checked`, `name="path" value="/3/0/4"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the form lacks %q\n%s", want, text)
		}
	}
	if strings.Contains(text, `value="revoke"`) || strings.Contains(text, `name="scope"`) {
		t.Error("an operator may choose what only an administrator may, or all")
	}
	execute := url.Values{"device": {"a", "b"}, "action": {"execute"}, "path": {"/3/0/4"}, "reason": {"why not"}}
	r := s.do(t, http.MethodPost, "/bulk", c, execute)
	if body := r.Body.String(); r.Code != http.StatusUnprocessableEntity || !strings.Contains(body, "type the number") ||
		!strings.Contains(body, `value="why not"`) || len(s.fake.Calls()) != 0 {
		t.Errorf("without the number: %d, %d calls\n%s", r.Code, len(s.fake.Calls()), body)
	}
	execute.Set("confirm", "2")
	r = s.do(t, http.MethodPost, "/bulk", c, execute)
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != "/bulk/"+webtest.ID {
		t.Errorf("with the number: %d to %s", r.Code, r.Header().Get("Location"))
	}
	all := url.Values{"scope": {"all"}, "filter": {"tag=x"}, "device": {"a"}, "action": {"tag"}, "tag_name": {" new "}}
	s.do(t, http.MethodPost, "/bulk", c, all)
	calls := s.fake.Calls()
	if len(calls) != 2 {
		t.Fatalf("%d calls", len(calls))
	}
	got, _ := calls[1].Arg.(web.NewBulk)
	if len(got.Devices) != 0 || got.Filter != "tag=x" || !got.All || got.Tag != "new" {
		t.Errorf("all that match: %+v", got)
	}
	s.fake.Err = web.Invalid("filter", "no device matches")
	r = s.do(t, http.MethodGet, "/bulk/new?scope=all&filter=tag%3Dx", c, nil)
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != "/devices?tag=x" {
		t.Errorf("nobody: %d to %s", r.Code, r.Header().Get("Location"))
	}
}

func TestTagsAndViews(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "old one"})
	c := s.session(t, web.RoleOperator)
	s.do(t, http.MethodPost, "/devices/"+webtest.ID+"/tags", c, url.Values{"tags": {"new one\r\n\r\n second \r\n"}})
	s.do(t, http.MethodPost, "/devices/"+webtest.ID+"/tags", c, url.Values{"tags": {"old one"}}) // nothing to change
	r := s.do(t, http.MethodPost, "/views", c, url.Values{"name": {"n"}, "query": {"tag=a"}, "shared": {"1"}})
	if r.Header().Get("Location") != "/devices?tag=x&columns=model" {
		t.Errorf("POST /views leads to %s", r.Header().Get("Location"))
	}
	s.do(t, http.MethodPost, "/views/"+webtest.ID+"/remove", c, url.Values{})
	calls := s.fake.Calls()
	if len(calls) != 3 || calls[1].Service != "PutView" || calls[2].Service != "RemoveView" {
		t.Fatalf("calls = %+v", calls)
	}
	got, _ := calls[0].Arg.(web.TagChange)
	if strings.Join(got.Add, "|") != "new one|second" || strings.Join(got.Remove, "|") != "old one" {
		t.Errorf("ChangeTags got %+v", got)
	}
}

// TestColumns shows what was chosen, and keeps it in the view.
func TestColumns(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleViewer)
	text := s.do(t, http.MethodGet, "/devices?columns=model&tag=x", c, nil).Body.String()
	for _, want := range []string{
		`<th scope="col">Model</th>`, `name="query" value="tag=x&amp;columns=model"`, `aria-current="true"`,
		`href="/devices?tag=x&amp;columns=model"`, `href="/api/v1/devices?format=csv&amp;tag=x"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(text, `<th scope="col">Firmware</th>`) {
		t.Error("a column is shown that nobody chose")
	}
}

// TestAllThatMatch drafts an update for those that a filter selects.
func TestAllThatMatch(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleOperator)
	text := s.do(t, http.MethodGet, "/updates/new?scope=all&filter=tag%3Dx", c, nil).Body.String()
	if !strings.Contains(text, `name="filter" value="ownership=owned&amp;tag=x"`) || !strings.Contains(text, "5 devices") {
		t.Errorf("the form does not say who:\n%s", text)
	}
	form := url.Values{
		"name": {"n"}, "release": {"r"}, "delivery": {"push"}, "members": {"listed"}, "scope": {"all"},
		"filter": {"ownership=owned&tag=x"},
	}
	s.do(t, http.MethodPost, "/updates", c, form)
	if got, _ := s.fake.Calls()[0].Arg.(web.NewCampaign); len(got.Devices) != 5 {
		t.Errorf("CreateCampaign got %+v", got)
	}
	form.Set("filter", "bad=1")
	if r := s.do(t, http.MethodPost, "/updates", c, form); r.Code != http.StatusUnprocessableEntity {
		t.Errorf("a bad filter: %d", r.Code)
	}
}

// TestRetire asks for the name of the device to be typed, and why.
func TestRetire(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "meter 1"})
	c := s.session(t, web.RoleSecurity)
	page := "/devices/" + webtest.ID + "/retire"
	s.do(t, http.MethodPost, page, c, url.Values{"confirm": {"meter"}, "reason": {"x"}})
	if n := len(s.fake.Calls()); n != 0 {
		t.Fatalf("retired without its name: %d calls", n)
	}
	r := s.do(t, http.MethodPost, page, c, url.Values{
		"confirm": {" meter 1 "}, "reason": {"broken"}, "replacement": {" meter 2"}, "erase": {"1"},
	})
	calls := s.fake.Calls()
	if len(calls) != 1 || calls[0].Service != "RetireDevice" ||
		calls[0].Arg != (web.Retirement{Reason: "broken", Replacement: "ep:meter 2", Erase: true}) ||
		r.Header().Get("Location") != "/devices/"+webtest.ID {
		t.Errorf("calls = %+v, leads to %s", calls, r.Header().Get("Location"))
	}
}

// TestErase hands on the name that was typed, and leads to those that left.
func TestErase(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "meter 1"})
	r := s.do(t, http.MethodPost, "/devices/"+webtest.ID+"/erase", s.session(t, web.RoleAdmin),
		url.Values{"confirm": {"meter 1"}, "reason": {"broken"}})
	calls := s.fake.Calls()
	if len(calls) != 1 || calls[0].Service != "EraseDevice" || calls[0].Arg != "meter 1: broken" ||
		r.Header().Get("Location") != "/devices?state=left" {
		t.Errorf("calls = %+v, leads to %s", calls, r.Header().Get("Location"))
	}
}

// TestDeviceTabs holds that each page of a device leads to all others and is marked.
func TestDeviceTabs(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleAdmin)
	tabs := []string{"", "/charts", "/queue", "/firmware", "/security", "/timeline", "/trace", "/settings"}
	for _, on := range tabs {
		text := s.do(t, http.MethodGet, "/devices/"+webtest.ID+on, c, nil).Body.String()
		for _, tab := range tabs {
			link := `<a href="/devices/` + webtest.ID + tab + `"`
			if tab == on {
				link += ` aria-current="page"`
			}
			if !strings.Contains(text, link+">") {
				t.Errorf("the page %q lacks %s", on, link)
			}
		}
	}
}
