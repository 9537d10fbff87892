package e2e_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestUpdatePages brings an image to devices as an operator does: a release from
// a file, then a campaign, once for each way of delivery.
func TestUpdatePages(t *testing.T) {
	slow(t)
	t.Parallel()
	w, b := newWorld(t, 2), newBrowser(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	person := b.tab(t)
	person.signIn(t, w.alpha.link)
	for i, delivery := range []string{"push", "pull"} {
		version := fmt.Sprintf("%d.0.0", i+2)
		person.release(t, w, version)
		if i == 0 {
			person.bill(t, w)
		}
		person.open(t, "http://"+w.alpha.http+"/devices")
		person.do(t, "choose", chromedp.Click(chromedp.CSS("tbody tr:nth-child(1) input[type=checkbox]")),
			chromedp.Click(chromedp.CSS("tbody tr:nth-child(2) input[type=checkbox]")))
		person.submit(t, `button[formaction^="/updates/new"]`)
		if i == 0 {
			person.plan(t)
		}
		person.do(t, "fill in", chromedp.SendKeys(chromedp.CSS("input[name=name]"), "by "+delivery),
			chromedp.Click(chromedp.CSS("input[value="+delivery+"]")))
		person.submit(t, "main form button.primary")
		person.waitText(t, handOverLimit, "#campaign .pill", func(s string) bool { return strings.Contains(s, "done") })
		person.look(t, "campaign-"+delivery)
		person.exposed(t, w, 2-2*i)
		for _, name := range w.names {
			w.operate(t, name, "read", "/3/0/3")
			if got := w.value(t, name, "/3/0/3"); !strings.Contains(got, version) {
				t.Errorf("after %s, %s reports firmware %s, want %s", delivery, name, got, version)
			}
		}
	}
	person.visit(t, w.alpha, "updated")
	person.review(t, w)

	// An image that is no envelope is refused in words.
	person.open(t, "http://"+w.alpha.http+"/updates")
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("not a manifest"), 0o600); err != nil {
		t.Fatal(err)
	}
	person.do(t, "junk", chromedp.Click(chromedp.CSS("details summary")),
		chromedp.SendKeys(chromedp.CSS("input[name=name]"), "junk"),
		chromedp.SetUploadFiles(chromedp.CSS("input[name=envelope]"), []string{junk}))
	person.expect("422")
	if status := person.submit(t, `form[action="/updates/releases"] button`); status >= http.StatusInternalServerError {
		t.Errorf("junk as an envelope: status %d", status)
	}
	if text := person.text(t, "main"); !strings.Contains(text, "not done") {
		t.Errorf("junk as an envelope says\n%s", text)
	}
	person.shoot(t, "release-refused")
}

// release adds a release with an image for the simulated devices.
func (p *tab) release(t *testing.T, w *world, version string) {
	t.Helper()
	image := make([]byte, 20<<10)
	_, _ = rand.Read(image) // never fails
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, image, 0o600); err != nil {
		t.Fatal(err)
	}
	p.open(t, "http://"+w.alpha.http+"/updates")
	if !eval[bool](t, p, `document.querySelector("details.card").open`) {
		p.do(t, "unfold", chromedp.Click(chromedp.CSS("details.card summary")))
	}
	p.do(t, "fill in", chromedp.SendKeys(chromedp.CSS("input[name=name]"), "firmware "+version),
		chromedp.SendKeys(chromedp.CSS("input[name=version]"), version),
		chromedp.SendKeys(chromedp.CSS("input[name=vendor]"), "steward.example"),
		chromedp.SendKeys(chromedp.CSS("input[name=class]"), "simulated"),
		chromedp.SetUploadFiles(chromedp.CSS("input[name=image]"), []string{file}))
	p.submit(t, `form[action="/updates/releases"] button`)
	if text := p.text(t, "main"); !strings.Contains(text, "firmware "+version) || !strings.Contains(text, "draft") {
		t.Fatalf("release was not added:\n%s", text)
	}
	p.submit(t, `form[action$="/commands"] button.primary`)
	if text := p.text(t, ".head"); !strings.Contains(text, "approved") {
		t.Fatalf("release was not approved:\n%s", text)
	}
}

// bill adds the bill of materials of the release on the page, and a list that knows
// something against it.
func (p *tab) bill(t *testing.T, w *world) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"bill": `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
			{"name": "mbedtls", "version": "3.5.0", "purl": "pkg:github/mbed-tls/mbedtls@3.5.0"},
			{"name": "<script>alert(1)</script>", "version": "1"}]}`,
		"list": `[{"id": "CVE-2026-0001", "summary": "an overread", "database_specific": {"severity": "HIGH"},
			"affected": [{"package": {"purl": "pkg:github/mbed-tls/mbedtls"}, "versions": ["3.5.0"]}]}]`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	release := eval[string](t, p, "location.href")
	p.look(t, "release")
	p.do(t, "bill", chromedp.Click(chromedp.CSS("details.card summary")),
		chromedp.SetUploadFiles(chromedp.CSS("input[name=bill]"), []string{filepath.Join(dir, "bill")}))
	p.submit(t, `form[action$="/bill"] button`)
	p.open(t, "http://"+w.alpha.http+"/updates/vulnerabilities")
	p.do(t, "list", chromedp.SendKeys(chromedp.CSS("input[name=name]"), "nightly"),
		chromedp.SetUploadFiles(chromedp.CSS("input[name=list]"), []string{filepath.Join(dir, "list")}))
	p.submit(t, `form[action="/updates/vulnerabilities"] button`)
	if text := p.text(t, "main"); !strings.Contains(text, "CVE-2026-0001") {
		t.Fatalf("the vulnerability is not listed:\n%s", text)
	}
	p.look(t, "vulnerabilities")
	p.open(t, release)
	if text := p.text(t, "main"); !strings.Contains(text, "CVE-2026-0001") || !strings.Contains(text, "2 parts") {
		t.Fatalf("the release does not show what is known against it:\n%s", text)
	}
	p.look(t, "release-known")
	p.follow(t, "2 parts")
	if text := p.text(t, "main"); !strings.Contains(text, "<script>alert(1)</script>") {
		t.Errorf("the parts are\n%s", text)
	}
}

// plan fills in a canary with a gate, and looks at the preview.
func (p *tab) plan(t *testing.T) {
	t.Helper()
	p.look(t, "update-new")
	unfold := func() { eval[bool](t, p, `[...document.querySelectorAll("form details")].every((d) => d.open = true)`) }
	unfold()
	p.do(t, "canary", chromedp.SendKeys(chromedp.CSS("input[name=canary]"), "1"),
		chromedp.SendKeys(chromedp.CSS("input[name=success]"), "100"))
	p.submit(t, `button[formaction="/updates/preview"]`)
	if text := p.text(t, "main"); !strings.Contains(text, "2 devices in, 0 not") || !strings.Contains(text, "canary: 1") {
		t.Fatalf("the preview says\n%s", text)
	}
	p.shoot(t, "update-preview")
}

// review drafts a campaign, submits it, and aborts it by typing how many devices it
// has.
func (p *tab) review(t *testing.T, w *world) {
	t.Helper()
	p.open(t, "http://"+w.alpha.http+"/updates/new")
	p.do(t, "draft", chromedp.SendKeys(chromedp.CSS("input[name=name]"), "for review"),
		chromedp.Click(chromedp.CSS("input[name=device]")))
	p.submit(t, "button[value=draft]")
	p.look(t, "campaign-draft")
	p.submit(t, "button[value=submit]")
	p.look(t, "campaign-review")
	for _, step := range []struct{ confirm, want string }{{"2", "review"}, {"1", "aborted"}} {
		// The browser itself would refuse a wrong number; the server must too.
		eval[bool](t, p, `(document.querySelector("input[name=confirm]").pattern = "[0-9]+", true)`)
		p.do(t, "abort", chromedp.SendKeys(chromedp.CSS("#abort input[name=reason]"), "no"),
			chromedp.SendKeys(chromedp.CSS("input[name=confirm]"), step.confirm))
		p.submit(t, "#abort button.danger")
		if text := p.text(t, "#campaign .pill"); !strings.Contains(text, step.want) {
			t.Errorf("after typing %s the campaign is %q, want %s", step.confirm, text, step.want)
		}
	}
}

// exposed checks how many devices run a release with a known vulnerability.
func (p *tab) exposed(t *testing.T, w *world, want int) {
	t.Helper()
	p.open(t, "http://"+w.alpha.http+"/devices?exposed=CVE-2026-0001")
	const rows = `document.querySelectorAll("#devices tbody tr").length`
	if got := eval[int](t, p, rows); got != want {
		t.Errorf("%d devices are exposed, want %d:\n%s", got, want, p.text(t, "main"))
	}
}

// TestRevokePage revokes a device's certificate at the dashboard, which ends its
// session at once.
func TestRevokePage(t *testing.T) {
	slow(t)
	t.Parallel()
	w, b := newWorld(t, 1), newBrowser(t)
	w.devices.run(t)
	w.online(t, w.alpha)
	w.answers(t, w.alpha, w.names[0])
	person := b.tab(t)
	person.signIn(t, w.alpha.link)
	person.open(t, "http://"+w.alpha.http+"/certificates?q="+w.names[0])
	person.submit(t, `tbody a[href^="/certificates/"]`)
	person.look(t, "certificate")
	person.do(t, "confirm", chromedp.SendKeys(chromedp.CSS("input[name=confirm]"), "revoke"))
	person.submit(t, "button.danger")
	if text := person.text(t, ".head"); !strings.Contains(text, "revoked") {
		t.Errorf("after revoking, the page is headed %q", text)
	}
	person.shoot(t, "certificate-revoked")
	err := w.alpha.do(t.Context(), http.MethodPost, "/api/v1/devices/ep:"+w.names[0]+"/operations",
		map[string]string{"op": "read", "path": "/3/0/0"}, nil)
	if err == nil {
		t.Error("the device of the revoked certificate still answers")
	}
	eventually(t, onlineLimit, "its next handshake is refused", func() error {
		if len(refusals(t, w.alpha)) == 0 {
			return fmt.Errorf("no refusal is audited")
		}
		return nil
	})
}
