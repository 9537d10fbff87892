package ui_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"steward/objects/registry"
	"steward/web"
	"steward/web/account"
	"steward/web/account/accounttest"
	"steward/web/ui"
	"steward/web/webtest"
)

// A site is a dashboard over fakes.
type site struct {
	fake     *webtest.Fake
	accounts *account.Accounts
	stream   *web.Stream
	routes   chi.Router
	handler  http.Handler
}

func newSite(t *testing.T, fake *webtest.Fake) *site {
	t.Helper()
	return newSiteOf(t, fake, fake.Services())
}

// newSiteOf is newSite over other services than those of the fake alone.
func newSiteOf(t *testing.T, fake *webtest.Fake, services web.Services) *site {
	t.Helper()
	s := &site{fake: fake, accounts: account.New(account.Options{Stores: &accounttest.Memory{}}), stream: &web.Stream{}}
	log := slog.New(slog.DiscardHandler)
	now := func() time.Time { return webtest.Noon }
	u, err := ui.New(ui.Options{
		Services: services, Door: account.Door{Accounts: s.accounts, Instance: "t", Now: now},
		Stream: s.stream, Registry: registry.Default(), Provider: "Alpha <b>", Version: "1", Now: now, Log: log,
		Contract: restContract(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.routes = u.Routes()
	s.handler = web.Stack(web.StackOptions{Log: log, Now: now, Deny: u.Fail}, s.routes)
	return s
}

// session returns the cookie of somebody with that role, nil for nobody.
func (s *site) session(t *testing.T, role web.Role) *http.Cookie {
	t.Helper()
	if role == web.RoleNone {
		return nil
	}
	link, err := s.accounts.Invite(t.Context(), web.System(), string(role), role, webtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.accounts.SignIn(t.Context(), link, account.Visit{}, webtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Cookie{Name: "steward_t", Value: secret}
}

// do sends one request. A form makes it a POST's body.
func (s *site) do(t *testing.T, method, target string, c *http.Cookie, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c != nil {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// pages lists the path of each page that a GET shows.
var pages = []string{
	"/", "/account", "/people", "/people/admin", "/devices", "/devices?q=none&state=online", "/devices/" + webtest.ID,
	"/certificates",
	"/certificates?within=30",
	"/certificates/" + webtest.ID, "/updates", "/updates/new", "/updates/" + webtest.ID, "/transfers", "/transfers/new",
	"/transfers/" + webtest.ID, "/transfers/" + webtest.ID + "/devices/" + webtest.ID, "/partners",
	"/partners/" + webtest.ID, "/activity",
	"/transfers/" + webtest.ID + "/mandate", "/transfers/" + webtest.ID + "/report",
	"/activity?subject=x", "/updates/releases/" + webtest.ID, "/updates/releases/" + webtest.ID + "/parts",
	"/devices/" + webtest.ID + "/charts", "/devices/" + webtest.ID + "/charts?path=/3/0/9&range=week",
	"/devices/" + webtest.ID + "/queue", "/updates/vulnerabilities", "/devices?exposed=CVE-1&release=x", "/observations",
	"/devices?columns=model&columns=id&columns=created&columns=version&columns=manufacturer&group=g&insecure=true",
	"/onboard", "/onboard/list", "/onboard/scan", "/onboard/labels?device=" + webtest.ID,
	"/onboard/labels?scope=all&filter=tag%3Dx",
	"/devices/" + webtest.ID + "/security", "/devices/" + webtest.ID + "/timeline?action=x",
	"/devices/" + webtest.ID + "/firmware", "/devices/" + webtest.ID + "/settings",
	"/settings", "/find", "/find?q=x", "/groups", "/groups/x", "/bulk", "/bulk/" + webtest.ID,
	"/bulk/new?device=" + webtest.ID + "&action=write",
	"/bulk/new?scope=all&filter=tag%3Dx&action=execute",
	"/devices/" + webtest.ID + "/trace", "/devices/" + webtest.ID + "/trace?q=x", "/objects",
}

// restPages are those of the REST API and of webhooks.
var restPages = []string{"/explorer", "/explorer/operate", "/webhooks", "/webhooks/" + webtest.ID}

// TestPagesEscape renders each page for each role with text that tries to
// become markup, full and empty.
func TestPagesEscape(t *testing.T) {
	const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(2)>javascript:alert(3){{.}}` +
		"\u2028</title></textarea>"
	markup := []string{
		"<script>alert", "<img", "onerror=alert(2)>", "</title></textarea>", `href="javascript`, "Alpha <b>", "ZgotmplZ",
	}
	for _, empty := range []bool{false, true} {
		for _, role := range []web.Role{web.RoleViewer, web.RoleAdmin} {
			s := newSite(t, &webtest.Fake{Text: hostile, Empty: empty})
			c := s.session(t, role)
			for _, path := range slices.Concat(pages, restPages) {
				if role == web.RoleViewer && (strings.Contains(path, "/new") || strings.HasPrefix(path, "/people") ||
					strings.HasPrefix(path, "/webhooks")) {
					continue
				}
				r := s.do(t, http.MethodGet, path, c, nil)
				text := r.Body.String()
				if strings.Contains(text, "%!") || strings.Contains(text, "&lt;nil&gt;") {
					t.Errorf("a value is shown as Go sees it:\n%s", text)
				}
				if r.Code != http.StatusOK {
					t.Errorf("GET %s as %s = %d\n%s", path, role, r.Code, text)
				}
				for _, bad := range markup {
					if strings.Contains(text, bad) {
						t.Errorf("GET %s as %s contains %q", path, role, bad)
					}
				}
				for _, inline := range []string{" style=", " onclick=", "<style", "<script>"} {
					if strings.Contains(text, inline) {
						t.Errorf("GET %s contains %q, which the policy forbids", path, inline)
					}
				}
				if !strings.HasSuffix(strings.TrimSpace(text), "</html>") {
					t.Errorf("GET %s is cut off", path)
				}
			}
		}
	}
}

func TestSignIn(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	link, err := s.accounts.Invite(t.Context(), web.System(), "alice", web.RoleAdmin, webtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // looking does not use the link up
		if text := s.do(t, http.MethodGet, "/sign-in?link="+link, nil, nil).Body.String(); !strings.Contains(text, "alice") {
			t.Fatalf("sign-in page does not name alice:\n%s", text)
		}
	}
	r := s.do(t, http.MethodPost, "/sign-in", nil, url.Values{"link": {link}})
	if r.Code != http.StatusSeeOther || r.Header().Get("Location") != "/" || len(r.Result().Cookies()) != 1 {
		t.Fatalf("POST /sign-in = %d, %v", r.Code, r.Header())
	}
	cookie := r.Result().Cookies()[0]
	if r := s.do(t, http.MethodGet, "/", cookie, nil); r.Code != http.StatusOK {
		t.Errorf("GET / with the session = %d", r.Code)
	}
	if r := s.do(t, http.MethodPost, "/sign-in", nil, url.Values{"link": {link}}); r.Code != http.StatusForbidden {
		t.Errorf("second POST /sign-in = %d, want 403", r.Code)
	}
	if r := s.do(t, http.MethodGet, "/sign-in?link="+link, nil, nil); r.Code != http.StatusForbidden {
		t.Errorf("GET of a used link = %d, want 403", r.Code)
	}
	r = s.do(t, http.MethodPost, "/sign-out", cookie, url.Values{})
	if r.Code != http.StatusSeeOther {
		t.Errorf("POST /sign-out = %d", r.Code)
	}
	if r := s.do(t, http.MethodGet, "/", cookie, nil); r.Header().Get("Location") != "/sign-in" {
		t.Errorf("GET / after signing out = %d to %q, want a redirect to /sign-in", r.Code, r.Header().Get("Location"))
	}
}

func TestInviteIsShownOnce(t *testing.T) {
	s := newSite(t, &webtest.Fake{})
	c := s.session(t, web.RoleAdmin)
	text := s.do(t, http.MethodPost, "/people", c, url.Values{"name": {"bob"}, "role": {"operator"}}).Body.String()
	_, after, ok := strings.Cut(text, "/sign-in?link=")
	if !ok {
		t.Fatalf("no link in\n%s", text)
	}
	link, _, _ := strings.Cut(after, "<")
	if _, err := s.accounts.CheckLink(t.Context(), link, webtest.Noon); err != nil {
		t.Errorf("the link shown: %v", err)
	}
	if strings.Contains(s.do(t, http.MethodGet, "/people", c, nil).Body.String(), link) {
		t.Error("the link is shown again")
	}
	r := s.do(t, http.MethodPost, "/people", c, url.Values{"name": {"<b>"}, "role": {"viewer"}})
	if r.Code != http.StatusSeeOther {
		t.Errorf("bad name = %d, want a redirect with a message", r.Code)
	}
}

func TestSecurityHeaders(t *testing.T) {
	r := newSite(t, &webtest.Fake{}).do(t, http.MethodGet, "/sign-in", nil, nil)
	for name, part := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
		"Cache-Control":           "no-store",
	} {
		if got := r.Header().Get(name); !strings.Contains(got, part) {
			t.Errorf("%s = %q, want %q in it", name, got, part)
		}
	}
	if policy := r.Header().Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") ||
		!strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy = %q", policy)
	}
}

func TestCrossOriginIsRefused(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleAdmin)
	for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		form := strings.NewReader("op=read&path=/3/0/0")
		r := httptest.NewRequest(http.MethodPost, "/devices/"+webtest.ID+"/operations", form)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(header, value)
		r.AddCookie(c)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("POST with %s: %s = %d, want 403", header, value, w.Code)
		}
	}
	if calls := s.fake.Calls(); len(calls) != 0 {
		t.Errorf("calls = %v, want none", calls)
	}
}

func TestFormsReachTheServices(t *testing.T) {
	const (
		id           = webtest.ID
		dev          = "/devices/" + id
		operations   = dev + "/operations"
		certificates = "/certificates/" + id
		transfer     = "/transfers/" + id
	)
	for _, row := range []struct {
		path    string
		form    url.Values
		service string // "" when it must not get there
		to      string
	}{
		{operations, url.Values{"op": {"read"}, "path": {"/3/0/0"}}, "Do", dev + "#p/3/0/0"},
		{operations, url.Values{"op": {"write"}, "path": {"/3/0/15"}, "value": {"UTC"}}, "Do", dev + "#p/3/0/15"},
		{operations, url.Values{"op": {"write"}, "path": {"/1/0/1"}, "value": {"x"}}, "", dev},
		{operations, url.Values{"op": {"erase"}, "path": {"/1/0/1"}}, "", dev},
		{operations, url.Values{"op": {"read"}, "path": {"x"}}, "", dev},
		{operations + "/" + id + "/cancel", url.Values{}, "CancelOperation", dev + "/queue"},
		{"/factories", url.Values{"certificate": {"x"}}, "AddFactoryAuthority", "/certificates"},
		{certificates + "/revoke", url.Values{"reason": {"superseded"}, "confirm": {"revoke"}}, "Revoke", certificates},
		{certificates + "/revoke", url.Values{"reason": {"superseded"}}, "", certificates},
		{"/updates", url.Values{"name": {"n"}, "release": {id}, "device": {id, id}}, "CreateCampaign", "/updates/" + id},
		{"/updates/" + id + "/commands", url.Values{"action": {"pause"}}, "CommandCampaign", "/updates/" + id},
		{
			"/updates/" + id + "/commands",
			url.Values{"action": {"abort"}, "reason": {"why"}, "confirm": {"5"}},
			"CommandCampaign", "/updates/" + id,
		},
		{"/updates/" + id + "/commands", url.Values{"action": {"abort"}, "confirm": {"4"}}, "", "/updates/" + id},
		{"/transfers", url.Values{"partner": {id}, "device": {id}, "latest": {"2026-03-02T10:00"}}, "Draft", transfer},
		{transfer + "/commands", url.Values{"action": {"submit"}}, "Command", transfer},
		{transfer + "/commands", url.Values{"action": {"approve"}, "confirm": {"5"}}, "Command", transfer},
		{transfer + "/commands", url.Values{"action": {"approve"}, "confirm": {"4"}}, "", transfer},
		{"/partners", url.Values{"identity": {"{}"}}, "AddPartner", "/partners"},
		{"/partners", url.Values{"identity": {"{"}}, "", "/partners"},
		{"/partners/" + id + "/limits", url.Values{"devices": {"5"}, "reason": {"r"}}, "SetPartnerLimits", "/partners/" + id},
		{"/partners/" + id + "/limits", url.Values{"devices": {"many"}}, "", "/partners/" + id},
		{"/partners/" + id + "/state", url.Values{"state": {"suspended"}}, "SetPartnerState", "/partners"},
	} {
		t.Run(row.path+" "+row.form.Encode(), func(t *testing.T) {
			s := newSite(t, &webtest.Fake{Text: "x"})
			r := s.do(t, http.MethodPost, row.path, s.session(t, web.RoleAdmin), row.form)
			if r.Code != http.StatusSeeOther || r.Header().Get("Location") != row.to {
				t.Errorf("= %d to %q, want 303 to %q\n%s", r.Code, r.Header().Get("Location"), row.to, r.Body.String())
			}
			calls := s.fake.Calls()
			switch {
			case row.service == "" && len(calls) > 0:
				t.Errorf("calls = %v, want none", calls)
			case row.service != "" && (len(calls) != 1 || calls[0].Service != row.service || calls[0].By.Name != "admin"):
				t.Errorf("calls = %+v, want one of %s by admin", calls, row.service)
			}
		})
	}
}

// TestRefusalsAreSaid checks that what a service refuses is said on the next
// page, and that a long form comes back with what was typed.
func TestRefusalsAreSaid(t *testing.T) {
	fake := &webtest.Fake{Text: "x", Err: web.Refused("4.05", "no such luck")}
	s := newSite(t, fake)
	c := s.session(t, web.RoleAdmin)
	r := s.do(t, http.MethodPost, "/devices/"+webtest.ID+"/operations", c, url.Values{"op": {"read"}, "path": {"/3/0/0"}})
	next := httptest.NewRequest(http.MethodGet, "/devices/"+webtest.ID, nil)
	next.AddCookie(c)
	for _, set := range r.Result().Cookies() {
		next.AddCookie(set)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, next)
	if text := w.Body.String(); !strings.Contains(text, "4.05") || !strings.Contains(text, "no such luck") {
		t.Error("the next page does not say what the device answered")
	}

	fake.Err = web.Invalid("devices", "too many")
	form := url.Values{
		"partner": {webtest.ID}, "device": {webtest.ID}, "note": {"typed-note"}, "latest": {"2026-03-02T10:00"},
	}
	r = s.do(t, http.MethodPost, "/transfers", c, form)
	text := r.Body.String()
	if r.Code != http.StatusUnprocessableEntity || !strings.Contains(text, "typed-note") ||
		!strings.Contains(text, "too many") {
		t.Errorf("refused draft = %d, without the typed text or the reason", r.Code)
	}

	fake.Err = errors.New("secret detail of the database")
	r = s.do(t, http.MethodPost, "/transfers", c, form)
	if text := r.Body.String(); r.Code != http.StatusInternalServerError || strings.Contains(text, "secret detail") {
		t.Errorf("fault = %d:\n%s", r.Code, text)
	}
}

func TestPagingLinks(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	c := s.session(t, web.RoleViewer)
	text := s.do(t, http.MethodGet, "/activity?page_size=2&actor=a", c, nil).Body.String()
	if !strings.Contains(text, "/activity?actor=a&amp;page_size=2&amp;page_token=2") {
		t.Error("no link to the next part with the filter kept")
	}
	text = s.do(t, http.MethodGet, "/activity?page_size=2&page_token=4", c, nil).Body.String()
	if strings.Contains(text, `rel="next"`) {
		t.Error("the last part links to a next one")
	}
	long := "page_token=" + strings.Repeat("a", 300)
	for _, bad := range []string{"page_size=0", "page_size=1000", "page_size=x", long} {
		if r := s.do(t, http.MethodGet, "/activity?"+bad, c, nil); r.Code != http.StatusUnprocessableEntity {
			t.Errorf("GET /activity?%s = %d, want 422", bad, r.Code)
		}
	}
}

func TestStaticFiles(t *testing.T) {
	s := newSite(t, &webtest.Fake{})
	for name, kind := range map[string]string{
		"steward.css": "text/css", "steward.js": "text/javascript", "icon.svg": "image/svg+xml",
	} {
		r := s.do(t, http.MethodGet, "/static/"+name, nil, nil)
		if r.Code != http.StatusOK || !strings.HasPrefix(r.Header().Get("Content-Type"), kind) {
			t.Errorf("GET /static/%s = %d, %q", name, r.Code, r.Header().Get("Content-Type"))
		}
		if text := r.Body.String(); strings.Contains(text, "http://") && name != "icon.svg" ||
			strings.Contains(text, "https://") {
			t.Errorf("%s refers to another site", name)
		}
	}
	for path, want := range map[string]int{
		"/static/..%2fui.go": http.StatusNotFound, "/static/none": http.StatusNotFound,
		"/static/": http.StatusSeeOther, "/static/../ui.go": http.StatusSeeOther, // to where one signs in
	} {
		if r := s.do(t, http.MethodGet, path, nil, nil); r.Code != want {
			t.Errorf("GET %s = %d, want %d", path, r.Code, want)
		}
	}
}
