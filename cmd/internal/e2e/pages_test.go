package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// pagePaths are the pages that every provider has, with the text of their h1.
var pagePaths = []struct{ name, path, title string }{
	{"overview", "/", "Overview"},
	{"devices", "/devices", "Devices"},
	{"certificates", "/certificates", "Certificates"},
	{"updates", "/updates", "Updates"},
	{"transfers", "/transfers", "Transfers"},
	{"partners", "/partners", "Partners"},
	{"activity", "/activity", "Activity"},
	{"account", "/account", "Account"},
}

// TestSignIn signs in by the link that the server prints, which works once.
func TestSignIn(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, b := serve(t, "Alpha"), newBrowser(t)
	person := b.tab(t)
	person.open(t, "http://"+alpha.http+"/devices")
	if at := eval[string](t, person, "location.pathname"); at != "/sign-in" {
		t.Errorf("a stranger who opens /devices is at %s, want /sign-in", at)
	}
	for _, l := range looks {
		person.show(t, l)
		person.open(t, alpha.link)
		person.shoot(t, "sign-in-"+l.String())
		for _, problem := range person.problems(t) {
			t.Errorf("sign-in at %s: %s", l, problem)
		}
	}
	person.signIn(t, alpha.link)
	if cookies := eval[string](t, person, "document.cookie"); cookies != "" {
		t.Errorf("scripts can read %q, want no cookie", cookies)
	}

	// A second visitor with the same link, and a form of the link used up.
	other := b.tab(t)
	other.expect("403")
	other.open(t, alpha.link)
	if text := other.text(t, "main"); !strings.Contains(text, "used already") {
		t.Errorf("the link again shows %q", text)
	}
	other.shoot(t, "sign-in-refused")

	// Signing out ends the session for good.
	person.submit(t, "form[action='/sign-out'] button")
	person.open(t, "http://"+alpha.http+"/")
	if at := eval[string](t, person, "location.pathname"); at != "/sign-in" {
		t.Errorf("after signing out, / leads to %s", at)
	}
}

// TestCrossSite lets a page of another origin post to the dashboard of somebody
// who is signed in there.
func TestCrossSite(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, b := serve(t, "Alpha"), newBrowser(t)
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,">
			<form method="post" action="http://`+alpha.http+`/sign-out"><button>You have won</button></form>`)
	}))
	t.Cleanup(foreign.Close)
	person := b.tab(t)
	person.signIn(t, alpha.link)
	person.expect("403 (Forbidden)")
	person.open(t, foreign.URL)
	if status := person.submit(t, "button"); status != http.StatusForbidden {
		t.Errorf("form of another origin: status %d, want 403", status)
	}
	person.open(t, "http://"+alpha.http+"/")
	if at := eval[string](t, person, "location.pathname"); at != "/" {
		t.Errorf("a foreign form signed the person out: / leads to %s", at)
	}
}

// TestPages opens every page of a new provider, narrow and wide, light and dark.
func TestPages(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, b := serve(t, "Alpha"), newBrowser(t)
	person := b.tab(t)
	person.signIn(t, alpha.link)
	person.visit(t, alpha, "empty")
}

// visit opens the pages that every provider has in every look and takes pictures.
func (p *tab) visit(t *testing.T, at *provider, prefix string) {
	t.Helper()
	for _, l := range looks {
		p.show(t, l)
		for _, page := range pagePaths {
			p.inspect(t, "http://"+at.http+page.path, page.title, prefix+"-"+page.name+"-"+l.String())
		}
	}
}

// inspect opens one page, looks for what is wrong with it and takes a picture.
func (p *tab) inspect(t *testing.T, url, title, picture string) {
	t.Helper()
	p.open(t, url)
	if got := p.text(t, "h1"); !strings.Contains(got, title) {
		t.Errorf("%s is headed %q, want %q", url, got, title)
	}
	for _, problem := range p.problems(t) {
		t.Errorf("%s: %s", picture, problem)
	}
	p.shoot(t, picture)
}
