package e2e_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"steward/web/webtest"
)

// TestEveryPage opens every page that the router has, with and without data, and
// those of what went wrong, narrow and wide, light and dark: nothing sticks out,
// everything has a name, and axe-core finds nothing serious. Pictures of all stay
// in e2e-artefacts.
func TestEveryPage(t *testing.T) {
	slow(t)
	rules := needAxe(t)
	t.Parallel()
	b := newBrowser(t)
	for name, fake := range map[string]*webtest.Fake{
		"full":  {Text: "Meter in the cellar, third door on the left"},
		"empty": {Text: "Meter", Empty: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, fake)
			p := s.person(t, b)
			pages := s.everyPage(t)
			if len(pages) < 20 {
				t.Errorf("%d pages, want all", len(pages))
			}
			for path := range wrongPages {
				pages = append(pages, pageOf{"wrong-" + nameOf(path), path})
			}
			p.expect("Failed to load resource")
			for _, l := range looks {
				p.show(t, l)
				for _, page := range pages {
					p.examine(t, s.url+page.path, name+"-"+page.name+"-"+l.String(), rules)
				}
			}
		})
	}
}

// examine opens a page, unfolds it, and looks for what is wrong with it.
func (p *tab) examine(t *testing.T, url, picture, rules string) {
	t.Helper()
	p.open(t, url)
	for _, problem := range p.problems(t) {
		t.Errorf("%s: %s", picture, problem)
	}
	p.shoot(t, picture)
	// What is folded must be as good as what is seen at once.
	eval[bool](t, p, `document.querySelectorAll("details").forEach((d) => d.open = true), true`)
	for _, problem := range p.problems(t) {
		t.Errorf("%s, unfolded: %s", picture, problem)
	}
	for _, v := range p.violations(t, rules) {
		t.Errorf("%s: %s", picture, v)
	}
}

// TestWithoutScript reads every page with script disabled: the same words are there,
// and every form can be sent.
func TestWithoutScript(t *testing.T) {
	slow(t)
	t.Parallel()
	b := newBrowser(t)
	s := newStage(t, &webtest.Fake{Text: "Meter"})
	p, read, pages := s.person(t, b), map[string]string{}, s.everyPage(t)
	// What tells the time moves.
	const words = `[...document.querySelectorAll("main, nav")].map((e) => {
  const copy = e.cloneNode(true);
  copy.querySelectorAll("time, script, [data-script]").forEach((t) => t.remove());
  return copy.textContent;
}).join(" ").split(/\s+/).join(" ")`
	for _, page := range pages {
		p.open(t, s.url+page.path)
		read[page.path] = eval[string](t, p, words)
	}
	p.disableScript(t)
	for _, page := range pages {
		p.open(t, s.url+page.path)
		if got := eval[string](t, p, words); got != read[page.path] {
			t.Errorf("%s reads otherwise without script:\n%s\n%s", page.path, got, read[page.path])
		}
		for _, form := range eval[[]string](t, p, `[...document.forms].filter((f) => f.checkVisibility() && !f.querySelector(
  "button:not([type=button]), input[type=submit]")).map((f) => f.outerHTML.slice(0, 160))`) {
			t.Errorf("%s: a form that only script can send: %s", page.path, form)
		}
		for _, problem := range p.problems(t) {
			t.Errorf("%s without script: %s", page.path, problem)
		}
	}
}

// TestReducedMotion finds nothing that moves where people asked for no motion.
func TestReducedMotion(t *testing.T) {
	slow(t)
	t.Parallel()
	b := newBrowser(t)
	s := newStage(t, &webtest.Fake{Text: "Meter"})
	p := s.person(t, b)
	p.emulate(t, "prefers-reduced-motion", "reduce")
	for _, page := range s.everyPage(t) {
		p.open(t, s.url+page.path)
		const moving = `[...document.querySelectorAll("*")].filter((e) => {
  const s = getComputedStyle(e);
  return s.animationName !== "none" || parseFloat(s.transitionDuration) > 0 || s.scrollBehavior === "smooth";
}).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3)`
		for _, e := range eval[[]string](t, p, moving) {
			t.Errorf("%s moves: %s", page.path, e)
		}
	}
}

// hostiles try to become markup or script in each place where text can stand.
var hostiles = []string{
	`"'><script>window.struck=1</script><img src=x onerror="window.struck=2"><svg onload="window.struck=3"><x-struck>`,
	`javascript:window.struck=4//`,
	`</title></textarea></select></option></style><x-struck onmouseover=alert(5) style=position:fixed>{{.}}${alert(6)}`,
	`' onfocus='window.struck=7' autofocus x='`,
	"\u202e\u2028<!--<iframe srcdoc='<script>parent.struck=8</script>'></iframe>-->",
}

// struck returns what of hostile text has become more than text.
const struck = `(() => { const attributes = Object.getOwnPropertyDescriptor(Element.prototype, "attributes");
return [...document.querySelectorAll("*")].filter((e) => e.localName === "x-struck" || e.localName === "iframe" ||
  e.localName === "base" || (e.localName === "script" && !e.getAttribute("src")?.startsWith("/static/")) ||
  (e.localName === "img" && e.getAttribute("src") === "x") ||
  [...attributes.get.call(e)].some((a) => a.name.startsWith("on") || a.name === "style" || a.name === "srcdoc" ||
    (["href", "src", "action", "formaction"].includes(a.name) && /^\s*(javascript|data|vbscript):/i.test(a.value))))
  .map((e) => e.outerHTML.slice(0, 200)).concat(window.struck ? ["script ran: " + window.struck] : []); })()`

// TestHostileStrings puts hostile text into everything that devices, partners and
// files can say, and into every filter, and looks at every page in the browser: no
// script ran, no element was made, the policy had nothing to refuse.
func TestHostileStrings(t *testing.T) {
	slow(t)
	t.Parallel()
	b := newBrowser(t)
	for i, text := range hostiles {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := newStage(t, &webtest.Fake{Text: text})
			p := s.person(t, b)
			p.expect("Failed to load resource")
			p.show(t, looks[0])
			for _, page := range s.everyPage(t) {
				p.open(t, s.url+page.path)
				for _, e := range eval[[]string](t, p, struck) {
					t.Errorf("%s: %s", page.path, e)
				}
				for _, problem := range p.problems(t) {
					t.Errorf("%s: %s", page.path, problem)
				}
				if strings.Contains(page.path, "?") {
					continue
				}
				p.open(t, s.url+page.path+hostileQuery(text))
				for _, e := range eval[[]string](t, p, struck) {
					t.Errorf("%s with hostile filters: %s", page.path, e)
				}
			}
		})
	}
}

// hostileQuery gives text to every parameter that some page reads.
func hostileQuery(text string) string {
	q := url.Values{}
	for _, name := range []string{
		"q", "state", "tag", "campaign", "exposed", "release", "subject", "actor", "action", "type", "device", "kind",
		"profile", "issuer", "key", "direction", "partner", "path", "range", "format", "delivery", "name", "link", "view",
		"group", "sort", "columns",
	} {
		q.Set(name, text)
	}
	return "?" + q.Encode()
}

// TestFraming shows that pages cannot be put into a frame of another site.
func TestFraming(t *testing.T) {
	slow(t)
	t.Parallel()
	b := newBrowser(t)
	s := newStage(t, &webtest.Fake{Text: "Meter"})
	p := s.person(t, b)
	p.expect("frame-ancestors")
	p.expect("refused to connect")
	for _, path := range []string{"/", "/devices", "/sign-in"} {
		p.open(t, foreign(t, `<iframe src="`+s.url+path+`"></iframe>`))
		p.do(t, "look into the frame", chromedp.WaitReady(chromedp.CSS("iframe")))
		if seen := eval[bool](t, p, `!!document.querySelector("iframe").contentDocument?.querySelector("main")`); seen {
			t.Errorf("%s is shown in a frame of another site", path)
		}
	}
}
