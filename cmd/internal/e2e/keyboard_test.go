package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"steward/web"
	"steward/web/webtest"
)

// maxTabs is how often Tab may be pressed until what is wanted has the focus.
const maxTabs = 400

// press types keys to whatever has the focus.
func (p *tab) press(t *testing.T, keys string) {
	t.Helper()
	p.do(t, fmt.Sprintf("press %q", keys), chromedp.KeyEvent(keys))
}

// reach presses Tab until what css means has the focus.
func (p *tab) reach(t *testing.T, css string) {
	t.Helper()
	for range maxTabs {
		p.press(t, "\t")
		if eval[bool](t, p, fmt.Sprintf("!!document.activeElement?.matches(%q)", css)) {
			return
		}
	}
	t.Fatalf("Tab never reaches %s on %s", css, eval[string](t, p, "location.href"))
}

// enter presses Enter and waits for the page that it leads to.
func (p *tab) enter(t *testing.T) {
	t.Helper()
	eval[bool](t, p, "window.left = true")
	p.press(t, "\r")
	if err := poll(t.Context(), browserLimit, func() error {
		stays, err := tryEval[bool](p, "!!window.left || document.readyState !== 'complete'")
		if err == nil && stays {
			err = errStays
		}
		return err
	}); err != nil {
		t.Fatalf("Enter on %s: %v", eval[string](t, p, "document.activeElement?.outerHTML.slice(0, 200)"), err)
	}
}

// errStays reports a page that nothing led away from.
var errStays = errors.New("it leads nowhere")

// call returns the command that reached a service.
func (s *stage) call(t *testing.T, service string) webtest.Call {
	t.Helper()
	for _, c := range s.fake.Calls() {
		if c.Service == service {
			return c
		}
	}
	t.Errorf("nothing called %s: %+v", service, s.fake.Calls())
	return webtest.Call{}
}

// A task is one of the main ones, done from the page at which it begins; what it is
// to call, and a word of that.
type task struct {
	name, at, service, want string
	steps                   []string
}

// The keys of a task: "tab CSS" presses Tab until that has the focus, "open CSS WORDS"
// unfolds the summary that says so, "type TEXT" types, "enter" leads to another page.
func tasks() []task {
	const id = webtest.ID
	return []task{
		{"find a device", "/", "", "/devices/" + id, []string{
			`tab a[href="/devices"]`, "enter", "tab input[type=search]", "type lamp", "enter",
			`tab main a[href="/devices/` + id + `"]`, "enter",
		}},
		{"read a resource", "/devices/" + id, "Do", "read", []string{"tab td button[value=read]", "enter"}},
		{"write a resource", "/devices/" + id, "Do", "write", []string{
			"open Write…", "tab details[open] input[name=value]", "type 7", "enter",
		}},
		{"approve a release", "/updates/releases/" + id, "DecideRelease", "approve", []string{
			"tab main form input[name=reason]", "type tried on the bench", "enter",
		}},
		{"begin an update", "/devices", "CreateCampaign", id, []string{
			"tab tbody input[name=device]", "type  ", `tab button[formaction^="/updates/new"]`, "enter",
			"tab input[name=name]", "type spring", "tab main form button.primary", "enter",
		}},
		{"pause an update", "/updates/" + id, "CommandCampaign", "pause", []string{"tab button[value=pause]", "enter"}},
		{"hand a device over", "/devices", "Draft", id, []string{
			"tab tbody input[name=device]", "type  ", `tab button[formaction^="/transfers/new"]`, "enter",
			"tab main form button.primary", "enter", // partner and time
			"tab main form button.primary", "enter", // what leaves
			"tab main form button.primary", "enter",
		}},
		{"approve a hand-over", "/transfers/" + id, "Command", "approve", []string{
			"tab input[name=confirm]", "type 5", "tab button[value=approve]", "enter",
		}},
		{"revoke a certificate", "/certificates/" + id, "Revoke", "", []string{
			"tab input[name=confirm]", "type revoke", "enter",
		}},
		{"import a factory's certificate", "/certificates", "AddFactoryAuthority", "", []string{
			"open factory", "tab details[open] textarea", "type PEM", "tab details[open] button", "enter",
		}},
	}
}

// TestKeyboardTasks does each of the main tasks without a pointer.
func TestKeyboardTasks(t *testing.T) {
	slow(t)
	t.Parallel()
	b := newBrowser(t)
	for _, task := range tasks() {
		t.Run(task.name, func(t *testing.T) {
			s := newStage(t, &webtest.Fake{Text: "Meter"})
			p := s.person(t, b)
			p.show(t, looks[2])
			p.open(t, s.url+task.at)
			for _, step := range task.steps {
				p.step(t, step)
			}
			if task.service == "" {
				if at := eval[string](t, p, "location.pathname"); at != task.want {
					t.Errorf("it leads to %s, want %s", at, task.want)
				}
				return
			}
			if c := s.call(t, task.service); !strings.Contains(fmt.Sprint(c.ID, c.Arg), task.want) {
				t.Errorf("%s was called with %+v, want %q", task.service, c, task.want)
			}
		})
	}
}

// step does one step of a task.
func (p *tab) step(t *testing.T, step string) {
	t.Helper()
	switch verb, what, _ := strings.Cut(step, " "); verb {
	case "tab":
		p.reach(t, what)
	case "open":
		p.unfold(t, what)
	case "type":
		p.press(t, what)
	default:
		p.enter(t)
	}
}

// unfold reaches a summary of the page that says words, and unfolds it.
func (p *tab) unfold(t *testing.T, words string) {
	t.Helper()
	for range maxTabs {
		p.reach(t, "main summary")
		if eval[bool](t, p, fmt.Sprintf("document.activeElement.textContent.includes(%q)", words)) {
			p.press(t, "\r")
			return
		}
	}
	t.Fatalf("nothing says %q", words)
}

// TestKeyboardSignIn signs in by the link alone.
func TestKeyboardSignIn(t *testing.T) {
	slow(t)
	t.Parallel()
	b := newBrowser(t)
	s := newStage(t, &webtest.Fake{})
	secret, err := s.accounts.Invite(t.Context(), web.System(), "somebody", web.RoleAdmin, webtest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	p := b.tab(t)
	p.open(t, s.url+"/sign-in?link="+secret)
	p.reach(t, "form button.primary")
	p.enter(t)
	if at := eval[string](t, p, "location.pathname"); at != "/" {
		t.Errorf("signing in leads to %s", at)
	}
}

// TestFocus walks over every page with Tab: the focus can be seen wherever it
// stands, goes where the page is read, comes out again, and passes all that can be
// used.
func TestFocus(t *testing.T) {
	slow(t)
	t.Parallel()
	b := newBrowser(t)
	s := newStage(t, &webtest.Fake{Text: "Meter"})
	p := s.person(t, b)
	for _, l := range []look{looks[0], looks[3]} {
		p.show(t, l)
		for _, page := range s.everyPage(t) {
			p.open(t, s.url+page.path)
			for _, problem := range p.walk(t) {
				t.Errorf("%s at %s: %s", page.path, l, problem)
			}
		}
	}
}

// walk presses Tab until the focus leaves the page, and says what was wrong.
func (p *tab) walk(t *testing.T) (problems []string) {
	t.Helper()
	total := eval[int](t, p, focusScript)
	begun := time.Now()
	for n := range total + 2 { // one to come in, one to come out
		p.press(t, "\t")
		switch said := eval[string](t, p, "stepped()"); said {
		case "":
		case "out":
			if missed := eval[string](t, p, "missed()"); missed != "" {
				problems = append(problems, "Tab passes by "+missed)
			}
			return problems
		default:
			problems = append(problems, said)
		}
		if n > maxTabs || time.Since(begun) > 2*browserLimit {
			break
		}
	}
	return append(problems, fmt.Sprintf("Tab does not come out after %d stops", total))
}

// focusScript notes what can have the focus, and judges where it stands.
const focusScript = `(() => {
  const usable = () => [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
    .filter((e) => !e.disabled && e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length);
  const radios = new Set();
  const all = usable().filter((e) => e.type !== "radio" || !radios.has(e.name) && radios.add(e.name));
  let last = null;
  const start = document.querySelector("[autofocus]"); // what is before it is reached the other way round
  start?.focus();
  const passed = new Set(start ? [start] : []);
  window.stepped = () => {
    const e = document.activeElement;
    if (!e || e === document.body || e === document.documentElement) return last ? "out" : "";
    if (passed.has(e) && e !== last) return "out";
    passed.add(e);
    const former = last;
    last = e;
    const named = e.outerHTML.slice(0, 120);
    if (former && !(former.compareDocumentPosition(e) & 4) && e !== former) return "the focus goes back to " + named;
    const s = getComputedStyle(e);
    if (s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2) return "no focus is seen on " + named;
    const box = e.getBoundingClientRect();
    if (box.bottom < 0 || box.top > innerHeight) return "the focus is out of sight on " + named;
    return "";
  };
  const before = (e) => !!start && !!(e.compareDocumentPosition(start) & 4);
  const left = (e) => e.isConnected && !passed.has(e) && e.type !== "radio" && !before(e);
  window.missed = () => all.find(left)?.outerHTML.slice(0, 160) ?? "";
  const dates = document.querySelectorAll("input[type=datetime-local], input[type=date], input[type=time]");
  return all.length + 8 * dates.length; // each part of a date is a stop
})()`
