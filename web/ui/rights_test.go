package ui_test

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"steward/lwm2m/machine/machinetest"
	"steward/web"
	"steward/web/webtest"
)

// rights says who may use each route, by hand: a new route fails the test below
// until somebody has decided.
var rights = map[string]web.Role{
	"GET /static/{file}": web.RoleNone, "GET /sign-in": web.RoleNone, "POST /sign-in": web.RoleNone,
	"POST /sign-out": web.RoleNone, "POST /sign-in/password": web.RoleNone,

	"GET /sign-in/oidc": web.RoleNone, "GET /sign-in/oidc/callback": web.RoleNone,
	"POST /sign-in/passkey": web.RoleNone, "POST /sign-in/passkey/begin": web.RoleNone,
	"POST /account/passkeys": web.RoleViewer, "POST /account/passkeys/begin": web.RoleViewer,
	"POST /account/passkeys/change": web.RoleViewer,
	"POST /account/password":        web.RoleViewer, "POST /account/tokens": web.RoleViewer,
	"POST /account/end": web.RoleViewer, "GET /people": web.RoleAdmin, "POST /people": web.RoleAdmin,
	"GET /people/{name}": web.RoleAdmin, "POST /people/{name}": web.RoleAdmin,
	"POST /people/{name}/commands": web.RoleAdmin,

	"GET /": web.RoleViewer, "GET /events": web.RoleViewer, "GET /account": web.RoleViewer,
	"GET /devices": web.RoleViewer, "GET /devices/{id}": web.RoleViewer, "GET /certificates": web.RoleViewer,
	"GET /certificates/ca.pem": web.RoleViewer, "GET /certificates/{id}": web.RoleViewer, "GET /updates": web.RoleViewer,
	"GET /updates/{id}": web.RoleViewer, "GET /transfers": web.RoleViewer, "GET /transfers/{id}": web.RoleViewer,
	"GET /transfers/{id}/record":  web.RoleViewer,
	"GET /transfers/{id}/mandate": web.RoleViewer, "GET /transfers/{id}/mandate/request": web.RoleViewer,
	"GET /transfers/{id}/report": web.RoleViewer, "GET /transfers/{id}/report.json": web.RoleViewer,
	"GET /transfers/{id}/report.csv":       web.RoleViewer,
	"POST /transfers/{id}/mandate":         web.RoleOperator,
	"GET /transfers/{id}/devices/{device}": web.RoleViewer, "GET /partners": web.RoleViewer,
	"GET /partners/identity.json": web.RoleViewer, "GET /activity": web.RoleViewer,

	"GET /devices/{id}/charts": web.RoleViewer, "POST /devices/{id}/charts": web.RoleAdmin,
	"GET /objects": web.RoleViewer, "POST /objects": web.RoleAdmin, "POST /objects/remove": web.RoleAdmin,
	"GET /requests": web.RoleViewer, "POST /requests/{id}": web.AnyOf(web.RoleOperator, web.RoleSecurity),
	"GET /attestation": web.RoleViewer, "POST /attestation": web.RoleAdmin,
	"GET /renewals": web.RoleViewer, "POST /devices/{id}/enrolment": web.RoleOperator,
	"POST /devices/{id}/attestation": web.RoleOperator,
	"GET /devices/{id}/trace":        web.RoleViewer, "POST /devices/{id}/trace": web.RoleOperator,
	"POST /devices/{id}/operations": web.RoleOperator,
	"GET /updates/releases/{id}":    web.RoleViewer, "POST /updates/releases": web.RoleRelease,
	"POST /updates/releases/{id}/commands": web.RoleRelease, "POST /updates/releases/{id}/bill": web.RoleRelease,
	"GET /updates/releases/{id}/bill.json": web.RoleViewer, "GET /updates/releases/{id}/parts": web.RoleViewer,
	"GET /updates/vulnerabilities": web.RoleViewer, "POST /updates/vulnerabilities": web.RoleRelease,
	"POST /updates/vulnerabilities/{id}/remove": web.RoleRelease,
	"GET /updates/new":                          web.RoleOperator, "POST /updates": web.RoleOperator,
	"POST /updates/{id}/commands": web.RoleOperator, "POST /updates/preview": web.RoleOperator,
	"GET /updates/preview":     web.RoleOperator,
	"GET /updates/{id}/report": web.RoleViewer, "GET /transfers/new": web.RoleOperator,
	"POST /transfers": web.RoleOperator, "POST /transfers/{id}/commands": web.RoleOperator,

	"GET /devices/{id}/queue": web.RoleViewer, "POST /devices/{id}/operations/{operation}/cancel": web.RoleOperator,
	"POST /views": web.RoleViewer, "POST /views/{id}/remove": web.RoleViewer, "POST /devices/{id}/tags": web.RoleOperator,
	"GET /settings":              web.RoleViewer,
	"GET /devices/{id}/security": web.RoleViewer, "GET /devices/{id}/timeline": web.RoleViewer,
	"GET /devices/{id}/firmware": web.RoleViewer, "GET /devices/{id}/settings": web.RoleViewer,
	"POST /devices/{id}/retire": web.RoleSecurity,
	"POST /devices/{id}/erase":  web.RoleAdmin,
	"GET /find":                 web.RoleViewer, "GET /groups": web.RoleViewer, "POST /groups": web.RoleOperator,
	"GET /groups/{name}":         web.RoleViewer,
	"POST /groups/{name}/remove": web.RoleOperator,
	"GET /bulk":                  web.RoleViewer, "POST /bulk": web.AnyOf(web.RoleOperator, web.RoleSecurity),
	"GET /bulk/new": web.AnyOf(web.RoleOperator, web.RoleSecurity),
	"GET /onboard":  web.RoleViewer, "POST /onboard": web.RoleOperator, "GET /onboard/list": web.RoleViewer,
	"POST /onboard/list": web.RoleOperator, "GET /onboard/scan": web.RoleViewer, "POST /onboard/scan": web.RoleOperator,
	"GET /onboard/labels": web.RoleViewer,
	"GET /bulk/{id}":      web.RoleViewer, "POST /bulk/{id}/commands": web.AnyOf(web.RoleOperator, web.RoleSecurity),

	"GET /webhooks": web.RoleAdmin, "POST /webhooks": web.RoleAdmin, "GET /webhooks/{id}": web.RoleAdmin,
	"POST /webhooks/{id}": web.RoleAdmin, "POST /webhooks/{id}/commands": web.RoleAdmin,
	"POST /webhooks/{id}/remove": web.RoleAdmin, "POST /webhooks/{id}/letters/{letter}": web.RoleAdmin,

	"GET /explorer": web.RoleViewer, "GET /explorer/{operation}": web.RoleViewer,
	"GET /observations": web.RoleViewer, "POST /observations": web.RoleOperator,
	"POST /observations/remove": web.RoleOperator,

	"POST /factories":                web.RoleSecurity,
	"POST /certificates/{id}/revoke": web.RoleSecurity, "GET /bootstrap": web.RoleViewer,
	"POST /bootstrap": web.RoleSecurity, "POST /bootstrap/remove": web.RoleSecurity,
	"POST /devices/{id}/keys":   web.RoleSecurity,
	"POST /partners":            web.RoleAdmin,
	"POST /partners/{id}/state": web.RoleAdmin, "POST /partners/{id}/limits": web.RoleAdmin,
	"GET /partners/{id}": web.RoleViewer,
}

var update = flag.Bool("update", false, "rewrite golden texts in testdata")

func TestRights(t *testing.T) {
	matrix := webtest.Matrix{Title: "Who may use which page"}
	s := newSite(t, &webtest.Fake{Text: "x"})
	s.stream.Close() // its route answers at once
	everyone := append([]web.Role{web.RoleNone}, web.Roles()...)
	err := chi.Walk(s.routes, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		need, known := rights[method+" "+pattern]
		if !known {
			t.Errorf("%s %s: nobody decided who may", method, pattern)
		}
		path := strings.NewReplacer("{id}", webtest.ID, "{device}", webtest.ID, "{operation}", webtest.ID,
			"{file}", "icon.svg", "{name}", "admin").Replace(pattern)
		let := map[web.Role]bool{}
		for _, role := range everyone {
			before := len(s.fake.Calls())
			var form url.Values
			if method == http.MethodPost {
				form = url.Values{}
			}
			r := s.do(t, method, path, s.session(t, role), form)
			refused := r.Code == http.StatusForbidden || r.Code == http.StatusUnauthorized ||
				r.Header().Get("Location") == "/sign-in"
			let[role] = !refused || strings.HasPrefix(pattern, "/sign-")
			if strings.HasPrefix(pattern, "/sign-") {
				continue // they answer by the link and by a redirect, whoever asks
			}
			if allowed := role.Includes(need); refused == allowed {
				t.Errorf("%s %s as %q = %d, want allowed %v", method, path, role, r.Code, allowed)
			}
			if refused && len(s.fake.Calls()) > before {
				t.Errorf("%s %s as %q was refused but reached the service", method, path, role)
			}
		}
		matrix.Add(method, pattern, func(r web.Role) bool { return let[r] })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	machinetest.Golden(t, "testdata/rights.md", matrix.Markdown(), *update)
}

// TestForgedRequests has other sites make an administrator's browser send each form
// of the router, and follow each address: nothing is done.
func TestForgedRequests(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	s.stream.Close()
	admin := s.session(t, web.RoleAdmin)
	err := chi.Walk(s.routes, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		path := strings.NewReplacer("{id}", webtest.ID, "{device}", webtest.ID, "{operation}", webtest.ID,
			"{file}", "icon.svg", "{name}", "admin").Replace(pattern)
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
			r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("a=b"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(header[0], header[1])
			r.AddCookie(admin)
			before, w := len(s.fake.Calls()), httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if method != http.MethodGet && w.Code != http.StatusForbidden {
				t.Errorf("%s %s with %v = %d, want 403", method, pattern, header, w.Code)
			}
			if len(s.fake.Calls()) != before {
				t.Errorf("%s %s with %v reached a service", method, pattern, header)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.do(t, http.MethodGet, "/", admin, nil); r.Code != http.StatusOK {
		t.Errorf("the session of before = %d", r.Code)
	}
}

// TestApprovalNeedsAdministrator covers what the route alone does not decide.
func TestApprovalNeedsAdministrator(t *testing.T) {
	s := newSite(t, &webtest.Fake{Text: "x"})
	for action, want := range map[string]int{
		"approve": http.StatusForbidden, "reject": http.StatusForbidden,
		"submit": http.StatusSeeOther, "cancel": http.StatusSeeOther,
	} {
		form := url.Values{"action": {action}, "confirm": {"5"}}
		r := s.do(t, http.MethodPost, "/transfers/"+webtest.ID+"/commands", s.session(t, web.RoleOperator), form)
		if r.Code != want {
			t.Errorf("%s as operator = %d, want %d", action, r.Code, want)
		}
	}
}
