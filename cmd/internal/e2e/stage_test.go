package e2e_test

import (
	"cmp"
	"io"
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
	"steward/web/ui"
	"steward/web/webtest"
)

// A stage is the dashboard over services that tell what a test wants: every page
// can be looked at, in whatever state.
type stage struct {
	fake     *webtest.Fake
	accounts *account.Accounts
	stream   *web.Stream
	url      string
}

func newStage(t *testing.T, fake *webtest.Fake) *stage {
	t.Helper()
	s := &stage{fake: fake, accounts: account.New(account.Options{Stores: &accounttest.Memory{}}), stream: &web.Stream{}}
	log, now := slog.New(slog.DiscardHandler), func() time.Time { return webtest.Noon }
	server := httptest.NewUnstartedServer(nil)
	s.url = "http://" + server.Listener.Addr().String()
	u, err := ui.New(ui.Options{
		Services: fake.Services(), Door: account.Door{Accounts: s.accounts, Instance: "t", Now: now},
		Stream: s.stream, Registry: registry.Default(), Provider: "Alpha", Version: "1", BaseURL: s.url, Now: now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = web.Stack(web.StackOptions{Log: log, Now: now, Deny: u.Fail}, u.Routes())
	server.Start()
	t.Cleanup(func() {
		s.stream.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return s
}

// person is a tab in which an administrator is signed in.
func (s *stage) person(t *testing.T, b browser) *tab {
	t.Helper()
	secret, err := s.accounts.Invite(t.Context(), web.System(), "somebody", web.RoleAdmin, webtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	p := b.tab(t)
	p.signIn(t, s.url+"/sign-in?link="+secret)
	return p
}

// variants are addresses of pages beside those that the router tells: other states
// of the same.
var variants = map[string][]string{
	"/devices":             {"?q=none&state=online&tag=x"},
	"/devices/{id}/charts": {"?path=/3/0/9&range=week"},
	"/certificates":        {"?within=30"},
	"/activity":            {"?subject=x"},
}

// A pageOf is an address and a name for it.
type pageOf struct{ name, path string }

// everyPage lists all that GET shows of a stage, by its router. Streams are no pages.
func (s *stage) everyPage(t *testing.T) (out []pageOf) {
	t.Helper()
	fill := strings.NewReplacer("{id}", webtest.ID, "{device}", webtest.ID,
		"{operation}", webtest.ID, "{name}", "somebody")
	for _, pattern := range ui.Pages() {
		if pattern == "/events" || strings.Contains(pattern, "*") {
			continue
		}
		for _, query := range append([]string{""}, variants[pattern]...) {
			path := fill.Replace(pattern) + query
			if strings.Contains(path, "{") {
				t.Errorf("%s: nobody says what its parameters are", pattern)
				continue
			}
			if s.isPage(t, path) {
				out = append(out, pageOf{nameOf(pattern + query), path})
			}
		}
	}
	return out
}

// isPage reports whether what an address leads to is for people to read.
func (s *stage) isPage(t *testing.T, path string) bool {
	t.Helper()
	secret, err := s.accounts.Invite(t.Context(), web.System(), "somebody", web.RoleAdmin, webtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	session, err := s.accounts.SignIn(t.Context(), secret, account.Visit{}, webtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: "steward_t", Value: session})
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK && strings.HasPrefix(res.Header.Get("Content-Type"), "text/html")
}

// nameOf makes a file's name of a pattern.
func nameOf(pattern string) string {
	plain := strings.NewReplacer("/", "-", "{", "", "}", "", "?", "-", "=", "-", "&", "-").Replace(pattern)
	return cmp.Or(strings.Trim(plain, "-"), "overview")
}

// wrongPages are pages of what went wrong, with their status.
var wrongPages = map[string]int{
	"/devices/nobody":         http.StatusNotFound,
	"/nothing":                http.StatusNotFound,
	"/devices?page_size=1000": http.StatusUnprocessableEntity,
	"/updates/nobody":         http.StatusNotFound,
	"/certificates?within=x":  http.StatusUnprocessableEntity,
	"/sign-in":                http.StatusOK,
	"/sign-in?link=used":      http.StatusForbidden,
}

// foreign serves a page of another origin.
func foreign(t *testing.T, page string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,">`+page)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
