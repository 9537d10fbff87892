package e2e_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// serveLocalhost starts a provider whose dashboard has a name, for browsers make no
// passkeys for addresses.
func serveLocalhost(t *testing.T) *provider {
	t.Helper()
	const host = "127.0.0.1"
	p := &provider{host: host, data: filepath.Join(t.TempDir(), "data"), logs: &tail{}}
	var err error
	for _, addr := range []*string{&p.http, &p.coaps} {
		if *addr, err = freeAddr(host); err != nil {
			t.Fatal(err)
		}
	}
	_, port, err := net.SplitHostPort(p.http)
	if err != nil {
		t.Fatal(err)
	}
	p.http = "localhost:" + port
	p.args = []string{
		"serve", "--name", "Alpha", "--data", p.data, "--host", host, "--http", p.http, "--coaps", p.coaps,
		"--peer", "off", "--pki", "off", "--allow-test-range",
	}
	showOnFailure(t, "Alpha", p.logs)
	p.restart(t)
	return p
}

// TestPasskey makes a passkey with a virtual authenticator, signs in with it and a
// password, and is refused once it is removed.
func TestPasskey(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, b := serveLocalhost(t), newBrowser(t)
	base := "http://" + alpha.http
	person := b.tab(t)
	person.do(t, "a virtual authenticator", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
			Options: &webauthn.VirtualAuthenticatorOptions{
				Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
				HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
			},
		})
		return err
	}))
	person.signIn(t, alpha.link)
	person.open(t, base+"/account")
	person.do(t, "add a passkey", chromedp.Click(chromedp.CSS("[data-passkey=add]")))
	has := func(text string) func(string) bool { return func(s string) bool { return strings.Contains(s, text) } }
	person.waitText(t, browserLimit, "#passkeys ~ table", has("My passkey"))
	person.shoot(t, "account-passkey")

	person.submit(t, "form[action='/sign-out'] button")
	person.do(t, "sign in with it", chromedp.Click(chromedp.CSS("[data-passkey=sign-in]")))
	person.waitText(t, browserLimit, "h1", has("Overview"))
	person.open(t, base+"/account")
	if text := person.text(t, "#sessions ~ table"); !strings.Contains(text, "by passkey") {
		t.Errorf("sessions: %q", text)
	}

	// A password too; it takes the place of all sessions but this one.
	const password = "correct horse battery"
	fill := func(css, text string) {
		t.Helper()
		person.do(t, "type into "+css, chromedp.SendKeys(chromedp.CSS(css), text))
	}
	fill("form[action='/account/password'] [name=next]", password)
	person.submit(t, "form[action='/account/password'] button")
	person.submit(t, "form[action='/sign-out'] button")
	fill("[name=name]", "admin")
	fill("[name=password]", "wrong horse battery")
	person.expect("403")
	person.submit(t, "form[action='/sign-in/password'] button")
	if text := person.text(t, "main"); !strings.Contains(text, "wrong") {
		t.Errorf("a wrong password shows %q", text)
	}
	person.shoot(t, "sign-in-wrong")
	fill("[name=password]", password)
	person.submit(t, "form[action='/sign-in/password'] button")
	if at := eval[string](t, person, "location.pathname"); at != "/" {
		t.Fatalf("the password leads to %s: %s", at, person.text(t, "main"))
	}

	// Without the key here, the authenticator's is worth nothing.
	person.open(t, base+"/account")
	person.do(t, "open", chromedp.Click(chromedp.CSS("#passkeys ~ table summary")))
	person.submit(t, "#passkeys ~ table button.danger")
	person.submit(t, "form[action='/sign-out'] button")
	person.do(t, "sign in with it again", chromedp.Click(chromedp.CSS("[data-passkey=sign-in]")))
	person.waitText(t, browserLimit, "[data-passkey-fault]", has("could not be used"))
}
