package ui_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"steward/web"
	"steward/web/webtest"
)

// hidden returns what a form of the page carries on.
func hidden(text string) url.Values {
	out := url.Values{}
	input := regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)
	for _, m := range input.FindAllStringSubmatch(text, -1) {
		out.Add(m[1], html.UnescapeString(m[2]))
	}
	return out
}

// TestTransferWizard goes through all steps: what was chosen in one is there in all
// that follow, and a refresh, which asks for the same address, loses nothing.
func TestTransferWizard(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleOperator)
	get := func(q url.Values) string {
		return s.do(t, http.MethodGet, "/transfers/new?"+q.Encode(), c, nil).Body.String()
	}
	if text := get(url.Values{"step": {"4"}}); !strings.Contains(text, `aria-current="step">Devices`) {
		t.Errorf("without devices the review is shown\n%s", text)
	}
	q := url.Values{"device": {webtest.ID}}
	text := get(q)
	if !strings.Contains(text, `aria-current="step">Partner and time`) {
		t.Errorf("with devices the first step is\n%s", text)
	}
	q = hidden(text)
	q.Set("partner", webtest.ID)
	q.Set("earliest", "2026-03-02T10:00")
	q.Set("latest", "2026-03-03T10:00")
	q.Set("step", "3")
	q = hidden(get(q))
	q.Set("note", "why & how")
	q.Set("mandate", "AAEC")
	q.Set("rehearse", "1")
	q.Set("step", "4")
	review := get(q)
	for _, want := range []string{
		"1 device", "2026-03-02T10:00 to 2026-03-03T10:00", "why &amp; how", "given, checked", "no device moves",
	} {
		if !strings.Contains(review, want) {
			t.Errorf("the review lacks %q\n%s", want, review)
		}
	}
	form, _, _ := strings.Cut(review, `<form method="get"`)
	if r := s.do(t, http.MethodPost, "/transfers", c, hidden(form)); r.Code != http.StatusSeeOther {
		t.Fatalf("POST /transfers = %d\n%s", r.Code, r.Body)
	}
	got, _ := s.fake.Calls()[0].Arg.(web.NewTransfer)
	if got.Partner != webtest.ID || len(got.Devices) != 1 || got.Note != "why & how" ||
		string(got.Mandate) != "\x00\x01\x02" || got.Earliest.Day() != 2 || got.Latest.Day() != 3 || !got.Rehearse {
		t.Errorf("Draft got %+v", got)
	}
	submit := hidden(form)
	submit.Set("then", "submit")
	s.do(t, http.MethodPost, "/transfers", c, submit)
	if calls := s.fake.Calls(); len(calls) != 3 || calls[2].Service != "Command" {
		t.Errorf("draft and submit: %+v", calls)
	}
	submit.Set("mandate", "§")
	r := s.do(t, http.MethodPost, "/transfers", c, submit)
	body := r.Body.String()
	if r.Code != http.StatusUnprocessableEntity || !strings.Contains(body, `value="why &amp; how"`) {
		t.Errorf("a refused draft: %d\n%s", r.Code, body)
	}
}

// TestTransferOfGroup hands all devices of a group over.
func TestTransferOfGroup(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleOperator)
	text := s.do(t, http.MethodGet, "/transfers/new?group=north&device=a&step=2", c, nil).Body.String()
	q := hidden(text)
	if q.Get("filter") != "group=north&ownership=owned" || q.Has("device") {
		t.Fatalf("carried on: %v", q)
	}
	q.Set("partner", webtest.ID)
	s.do(t, http.MethodPost, "/transfers", c, q)
	if got, _ := s.fake.Calls()[0].Arg.(web.NewTransfer); len(got.Devices) != 5 {
		t.Errorf("Draft got %+v", got)
	}
	text = s.do(t, http.MethodGet, "/transfers/new?scope=all&filter=bad%3D1&step=4", c, nil).Body.String()
	if !strings.Contains(text, "no condition bad") || !strings.Contains(text, `aria-current="step">Devices`) {
		t.Errorf("a bad filter:\n%s", text)
	}
}
