package ui_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"steward/objects/registry"
	"steward/web"
	"steward/web/account"
	"steward/web/account/accounttest"
	"steward/web/oidc"
	"steward/web/ui"
	"steward/web/webtest"
)

// TestCookieOfIdentities: with TLS, the cookie that binds a sign-in to its browser is
// one that other hosts of the domain cannot set (RFC 6265bis §4.1.3.2).
func TestCookieOfIdentities(t *testing.T) {
	accounts := account.New(account.Options{Stores: &accounttest.Memory{}})
	now := func() time.Time { return webtest.Noon }
	p, err := oidc.New(oidc.Options{
		Issuer: "https://id.example.com", ClientID: "c", Redirect: "https://a.example.com/sign-in/oidc/callback",
		Roles: map[string]web.Role{"x": web.RoleViewer}, Now: now, Accounts: accounts,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		tls  bool
		want []string
	}{
		"TLS":   {true, []string{"__Host-steward_oidc_t=", "Path=/;", "HttpOnly", "Secure"}},
		"plain": {false, []string{"steward_oidc_t=", "Path=/sign-in/oidc;", "HttpOnly"}},
	} {
		fake := &webtest.Fake{}
		u, err := ui.New(ui.Options{
			Services: fake.Services(), Door: account.Door{Accounts: accounts, Instance: "t", TLS: row.tls, Now: now},
			Stream: &web.Stream{}, Registry: registry.Default(), Now: now, Log: slog.New(slog.DiscardHandler), OIDC: p,
		})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/sign-in/oidc/callback", nil)
		u.Routes().ServeHTTP(w, r)
		got := strings.Join(w.Header().Values("Set-Cookie"), "|")
		for _, want := range row.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: the cookie is %q, without %q", name, got, want)
			}
		}
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: an answer that nobody asked for = %d", name, w.Code)
		}
	}
}
