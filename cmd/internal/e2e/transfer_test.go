package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestTransferPages walks a hand-over to its end as two administrators do, each
// at the own provider's dashboard: one drafts, submits and approves, the other
// approves, and both watch.
func TestTransferPages(t *testing.T) {
	slow(t)
	t.Parallel()
	w, b := newWorld(t, 2), newBrowser(t)
	w.introduce(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	alice, bob := b.tab(t), b.tab(t)
	alice.signIn(t, w.alpha.link)
	bob.signIn(t, w.beta.link)

	// Alice chooses the devices in the list and drafts.
	alice.open(t, "http://"+w.alpha.http+"/devices")
	for i := range w.names {
		alice.do(t, "choose", chromedp.Click(chromedp.CSS(fmt.Sprintf(`tbody tr:nth-child(%d) input[type=checkbox]`, i+1))))
	}
	alice.submit(t, `button[formaction^="/transfers/new"]`)
	alice.shoot(t, "transfer-new")
	for range 3 { // partner, what leaves, review
		alice.submit(t, "main form button.primary")
	}
	alice.state(t, "DRAFT")
	alice.shoot(t, "transfer-draft")
	alice.submit(t, `button[value=submit]`)

	// Bob finds it on his first page, sees what he gets, and approves.
	bob.open(t, "http://"+w.beta.http+"/transfers")
	bob.waitText(t, handOverLimit, "#transfers", func(s string) bool { return strings.Contains(s, "info accepted") })
	bob.submit(t, `#transfers a[href^="/transfers/"]`)
	bob.look(t, "transfer-decision-beta")
	bob.do(t, "wrong count", chromedp.SendKeys(chromedp.CSS("input[name=confirm]"), "1000"))
	bob.submit(t, `button[value=approve]`)
	if text := bob.text(t, ".flash"); !strings.Contains(text, "type the number of devices") {
		t.Errorf("approving 1000 devices says %q", text)
	}
	bob.approve(t, len(w.names))

	// Alice sees the offer arrive, without a reload, and where her devices go.
	alice.state(t, "OFFERED")
	alice.open(t, eval[string](t, alice, "location.href"))
	alice.look(t, "transfer-decision-alpha")
	if text := alice.text(t, "main"); !strings.Contains(text, w.beta.coaps) {
		t.Errorf("the approval does not name the new server %s:\n%s", w.beta.coaps, text)
	}
	alice.approve(t, len(w.names))
	alice.shoot(t, "transfer-running")

	// Both watch it end.
	alice.state(t, "COMPLETE")
	bob.state(t, "COMPLETE")
	alice.look(t, "transfer-complete-alpha")
	bob.look(t, "transfer-complete-beta")
	bob.submit(t, `#rows a[href*="/devices/"]:not([href^="/devices/"])`)
	bob.look(t, "receipts")
	if text := bob.text(t, "main"); !strings.Contains(text, "finalised") {
		t.Errorf("receipts show none of FINALISED:\n%s", text)
	}
	bob.open(t, "http://"+w.beta.http+"/devices")
	bob.follow(t, w.names[0])
	bob.do(t, "unfold /3/0", unfold("/3/0"))
	bob.submit(t, `button[aria-label="Read /3/0/0"]`)
	bob.waitText(t, onlineLimit, `output[data-path="/3/0/0"]`, func(s string) bool { return s == "Steward" })
	alice.visit(t, w.alpha, "after-alpha")
	bob.visit(t, w.beta, "after-beta")
	for name, at := range w.ends(t) {
		if at != w.beta.name {
			t.Errorf("%s ended at %s", name, at)
		}
	}
}

// unfold opens an object of a device page.
func unfold(path string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.getElementById("p%s").open = true`, path))
}

// state waits until the transfer page shows a state, by itself.
func (p *tab) state(t *testing.T, want string) {
	t.Helper()
	script := `document.querySelector("#progress [data-state]")?.dataset.state ?? ""`
	p.waitFor(t, handOverLimit, script, func(s string) bool { return s == want })
}

// approve confirms the number of devices and approves.
func (p *tab) approve(t *testing.T, devices int) {
	t.Helper()
	p.do(t, "confirm", chromedp.SetValue(chromedp.CSS("input[name=confirm]"), fmt.Sprint(devices)),
		chromedp.SetValue(chromedp.CSS("form.fields input[name=reason]"), "as ordered"))
	p.submit(t, `button[value=approve]`)
	if text := p.text(t, ".flash"); !strings.Contains(text, "done") {
		t.Errorf("approving says %q", text)
	}
}

// look looks at the page that is open in every way.
func (p *tab) look(t *testing.T, picture string) {
	t.Helper()
	url, title := eval[string](t, p, "location.href"), p.text(t, "h1")
	for _, l := range looks {
		p.show(t, l)
		p.inspect(t, url, title, picture+"-"+l.String())
	}
}
