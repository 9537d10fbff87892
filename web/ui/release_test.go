package ui_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"steward/web"
	"steward/web/webtest"
)

// upload sends a form with one file.
func (s *site) upload(t *testing.T, target, field, content string, c *http.Cookie) *httptest.ResponseRecorder {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if field != "" {
		part, err := form.CreateFormFile(field, "file.json")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write([]byte(content)) // memory never fails
	}
	if err := form.WriteField("name", "nightly"); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.AddCookie(c)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// TestUploads brings documents from forms to the services.
func TestUploads(t *testing.T) {
	const page = "/updates/releases/" + webtest.ID
	for _, row := range []struct{ target, field, service, arg, to string }{
		{page + "/bill", "bill", "SetBill", `{"a":1}`, page},
		{"/updates/vulnerabilities", "list", "ImportVulnerabilities", `nightly {"a":1}`, "/updates/vulnerabilities"},
	} {
		s := newSite(t, &webtest.Fake{Text: "x"})
		c := s.session(t, web.RoleRelease)
		r := s.upload(t, row.target, row.field, `{"a":1}`, c)
		calls := s.fake.Calls()
		if r.Code != http.StatusSeeOther || r.Header().Get("Location") != row.to || len(calls) != 1 ||
			calls[0].Service != row.service || calls[0].Arg != row.arg {
			t.Errorf("POST %s = %d to %q, calls %+v", row.target, r.Code, r.Header().Get("Location"), calls)
		}
		s.upload(t, row.target, "", "", c) // no file
		if calls := s.fake.Calls(); len(calls) != 1 {
			t.Errorf("POST %s without a file reached the service: %+v", row.target, calls)
		}
	}
}

func TestDecideReleasePage(t *testing.T) {
	const page = "/updates/releases/" + webtest.ID
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleRelease)
	for _, button := range []string{"Approve", "Withdraw this release"} {
		if text := s.do(t, http.MethodGet, page, c, nil).Body.String(); !strings.Contains(text, button) {
			t.Errorf("the page of a release has no %q", button)
		}
	}
	viewer := s.session(t, web.RoleViewer)
	text := s.do(t, http.MethodGet, page, viewer, nil).Body.String()
	if strings.Contains(text, `<form method="post" action="/updates`) {
		t.Error("a viewer is offered a form")
	}
	r := s.do(t, http.MethodPost, page+"/commands", c, url.Values{"action": {"withdraw"}, "reason": {"why"}})
	calls := s.fake.Calls()
	want := web.ReleaseCommand{Action: web.ReleaseWithdraw, Reason: "why"}
	if r.Header().Get("Location") != page || len(calls) != 1 || calls[0].Arg != want || calls[0].ID != webtest.ID {
		t.Errorf("POST = %d, calls %+v", r.Code, calls)
	}
	if r := s.do(t, http.MethodGet, page+"/bill.json", viewer, nil); r.Body.String() != "{}" ||
		!strings.HasPrefix(r.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("GET bill.json = %d %q, %v", r.Code, r.Body, r.Header())
	}
}
