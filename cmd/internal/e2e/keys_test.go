package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keys types them into whatever has the focus.
func (p *tab) keys(t *testing.T, keys string, options ...chromedp.KeyOption) {
	t.Helper()
	p.do(t, fmt.Sprintf("keys %q", keys), chromedp.KeyEvent(keys, options...))
}

// focused says what has the focus.
func (p *tab) focused(t *testing.T) string {
	t.Helper()
	return eval[string](t, p, `(() => { const e = document.activeElement;
  return (e.name || e.textContent.trim().replace(/\s+/g, " ") || e.tagName).slice(0, 60); })()`)
}

// at waits until the page has that path.
func (p *tab) at(t *testing.T, path string) {
	t.Helper()
	p.waitFor(t, waitLimit, "document.readyState + ' ' + location.pathname + location.search",
		func(s string) bool { return s == "complete "+path })
}

// headed waits until the page has that heading, and its scripts run.
func (p *tab) headed(t *testing.T, title string) {
	t.Helper()
	p.waitFor(t, waitLimit, "document.readyState + ' ' + document.querySelector('h1')?.innerText",
		func(s string) bool { return s == "complete "+title })
}

// TestKeyboard does an operator's work without a pointer: it finds a device, filters,
// tags many devices, and reads the help.
func TestKeyboard(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, b := serve(t, "Alpha"), newBrowser(t)
	for i := range 3 {
		alpha.post(t, "/api/v1/devices", map[string]any{"endpoint": fmt.Sprint("meter-", i), "nosec": true})
	}
	person := b.tab(t)
	person.signIn(t, alpha.link)

	// Letters jump, but not while somebody types.
	person.keys(t, "gd")
	person.at(t, "/devices")
	person.keys(t, "/")
	if on := person.focused(t); on != "q" {
		t.Fatalf("/ leads to %q, want the filter", on)
	}
	person.keys(t, "gometer-1")
	if typed := eval[string](t, person, "document.activeElement.value"); !strings.HasSuffix(typed, "gometer-1") {
		t.Errorf("the filter has %q", typed)
	}
	person.keys(t, kb.Escape)
	person.keys(t, "ga")
	person.at(t, "/activity")

	// The help opens, closes, and gives the focus back.
	eval[bool](t, person, "document.querySelector('.rail a').focus(), true")
	before := person.focused(t)
	person.keys(t, "?")
	const help = "String(document.getElementById('keys').open)"
	person.waitFor(t, waitLimit, help, func(s string) bool { return s == "true" })
	person.keys(t, kb.Escape)
	person.waitFor(t, waitLimit, help, func(s string) bool { return s == "false" })
	if on := person.focused(t); on != before {
		t.Errorf("after the help the focus is on %q, want %q", on, before)
	}

	// The palette finds a device.
	person.keys(t, "k", chromedp.KeyModifiers(chromedp.ModifierCtrl))
	person.keys(t, "meter-2")
	person.waitText(t, waitLimit, `#palette-list [aria-selected="true"]`,
		func(s string) bool { return s == "Device meter-2" })
	person.shoot(t, "palette")
	person.keys(t, kb.Enter)
	person.headed(t, "meter-2")

	// Many devices get a tag: filter, choose, confirm, by tabs and keys alone.
	person.keys(t, "gd")
	person.at(t, "/devices")
	person.tabTo(t, "select[name=scope]")
	person.keys(t, kb.ArrowDown)
	person.tabTo(t, "button[formaction='/bulk/new']")
	person.keys(t, kb.Enter)
	person.headed(t, "With 3 devices")
	for _, l := range looks {
		person.show(t, l)
		for _, problem := range person.problems(t) {
			t.Errorf("bulk at %s: %s", l, problem)
		}
	}
	person.tabTo(t, "input[name=tag_name]")
	person.keys(t, "north")
	person.tabTo(t, "form[action='/bulk'] button.primary")
	person.keys(t, kb.Enter)
	person.waitText(t, waitLimit, "#bulk", func(s string) bool { return strings.Contains(s, "3 done") })
	person.shoot(t, "bulk")
	devices, err := alpha.devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range devices {
		if len(d.Tags) != 1 || d.Tags[0] != "north" {
			t.Errorf("%s has the tags %v", name, d.Tags)
		}
	}
}

// tabTo presses the tab key until the element has the focus.
func (p *tab) tabTo(t *testing.T, css string) {
	t.Helper()
	const most = 120 // stops: more would be too many for people
	for range most {
		p.keys(t, kb.Tab)
		if eval[bool](t, p, fmt.Sprintf("document.activeElement.matches(%q)", css)) {
			return
		}
	}
	t.Fatalf("%s cannot be reached by the tab key", css)
}

// TestNewPages looks at the pages of groups, onboarding and finding, narrow and wide.
func TestNewPages(t *testing.T) {
	slow(t)
	t.Parallel()
	alpha, b := serve(t, "Alpha"), newBrowser(t)
	alpha.post(t, "/api/v1/devices", map[string]any{"endpoint": "meter-1", "nosec": true, "tags": []string{"north"}})
	alpha.put(t, "/api/v1/groups/north", map[string]any{"kind": "dynamic", "filter": "tag=north"})
	person := b.tab(t)
	person.signIn(t, alpha.link)
	for _, l := range looks {
		person.show(t, l)
		for path, title := range map[string]string{
			"/groups": "Groups", "/groups/north": "north", "/onboard": "Onboard", "/onboard/list": "Onboard a list",
			"/onboard/scan": "Scan a label", "/onboard/labels?scope=all&filter=tag%3Dnorth": "Labels", "/find?q=m": "Find",
			"/bulk": "Bulk actions", "/settings": "Settings", "/requests": "Requests", "/renewals": "Renewals",
			"/attestation":  "Attestation",
			"/certificates": "Certificates", "/devices/ep:meter-1/settings": "meter-1",
			"/devices/ep:meter-1/firmware": "meter-1",
			"/devices/ep:meter-1/timeline": "meter-1", "/devices/ep:meter-1/security": "meter-1",
			"/transfers/new": "Hand devices over", "/devices?tag=north&columns=model&columns=id": "Devices",
		} {
			name := strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "-", "%", "-").Replace(path[1:])
			person.inspect(t, "http://"+alpha.http+path, title, name+"-"+l.String())
		}
	}
	// A label that was printed is scanned: it leads to its device.
	person.open(t, "http://"+alpha.http+"/onboard/scan")
	person.headed(t, "Scan a label")
	person.keys(t, "LWM2M:e=meter-1"+kb.Enter)
	person.headed(t, "meter-1")
}
