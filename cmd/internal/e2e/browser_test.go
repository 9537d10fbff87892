package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browserLimit bounds what a browser does at a time.
const browserLimit = 60 * time.Second

// artefacts is where pictures go; git does not take them.
const artefacts = "../../../e2e-artefacts"

// A tab is one page of a browser with cookies of its own. What its pages
// complain about on the console fails the test.
type tab struct {
	ctx context.Context //nolint:containedctx // chromedp finds the tab in it

	mu       sync.Mutex
	expected []string // parts of complaints that the test provokes
}

// A browser is a headless Chromium.
type browser struct {
	ctx context.Context //nolint:containedctx // chromedp finds the browser in it
}

// newBrowser starts Chromium, without a sandbox, for CI runs as root, and cut
// off from the network: what it looks up at each start cannot be reached.
func newBrowser(t *testing.T) browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: apt-get install chromium", err)
	}
	if err := os.MkdirAll(artefacts, 0o755); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.*, EXCLUDE localhost"),
		chromedp.WSURLReadTimeout(browserLimit),
	)
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		closeBrowser()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return browser{ctx}
}

// tab opens a tab with no cookies.
func (b browser) tab(t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		t.Fatal(err)
	}
	p := &tab{ctx: ctx}
	messages := chromedp.Console(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			bad := m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning
			if bad && !p.expects(m.Text) {
				t.Errorf("console: %s (%s)", m, m.URL)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return p
}

// expect lets the console complain in words that contain text.
func (p *tab) expect(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, text)
}

func (p *tab) expects(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, part := range p.expected {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// do runs actions, or fails t.
func (p *tab) do(t *testing.T, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, browserLimit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.shoot(t, "failed-"+strings.ReplaceAll(t.Name(), "/", "-"))
		t.Fatalf("%s: %v\npage: %s", what, err, p.text(t, "body"))
	}
}

// text returns what a person reads in the first element that matches.
func (p *tab) text(t *testing.T, css string) string {
	t.Helper()
	return eval[string](t, p, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", css))
}

// eval evaluates JavaScript in the page.
func eval[T any](t *testing.T, p *tab, script string) T {
	t.Helper()
	out, err := tryEval[T](p, script)
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out
}

// tryEval is eval for a page that may be on its way to another, in which nothing can be
// evaluated for a moment.
func tryEval[T any](p *tab, script string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, browserLimit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script))
}

// open goes to a page.
func (p *tab) open(t *testing.T, url string) {
	t.Helper()
	p.do(t, url, chromedp.Navigate(url))
}

// submit clicks what leads to another page, waits for that and returns its status.
func (p *tab) submit(t *testing.T, css string) int {
	t.Helper()
	p.do(t, "click "+css, chromedp.WaitVisible(chromedp.CSS(css)))
	ctx, cancel := context.WithTimeout(p.ctx, browserLimit)
	defer cancel()
	res, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(css)))
	if err != nil {
		p.shoot(t, "failed-"+strings.ReplaceAll(t.Name(), "/", "-"))
		t.Fatalf("click %s: %v\npage: %s", css, err, p.text(t, "body"))
	}
	return int(res.Status)
}

// follow clicks the link with the text, and waits for its page.
func (p *tab) follow(t *testing.T, text string) {
	t.Helper()
	script := fmt.Sprintf(`(() => {
  const link = [...document.querySelectorAll("a")].find((a) => a.textContent.trim() === %q);
  if (link) link.dataset.follow = "1";
  return !!link;
})()`, text)
	if !eval[bool](t, p, script) {
		t.Fatalf("no link %q on %s", text, eval[string](t, p, "location.href"))
	}
	p.submit(t, "a[data-follow]")
}

// waitText waits until the first element that matches reads as want demands.
func (p *tab) waitText(t *testing.T, limit time.Duration, css string, want func(string) bool) string {
	t.Helper()
	return p.waitFor(t, limit, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", css), want)
}

// waitFor waits until a script's value is as want demands.
func (p *tab) waitFor(t *testing.T, limit time.Duration, script string, want func(string) bool) string {
	t.Helper()
	var text string
	if err := poll(t.Context(), limit, func() (err error) {
		if text, err = tryEval[string](p, script); err == nil && !want(text) {
			err = fmt.Errorf("value %q", text)
		}
		return err
	}); err != nil {
		p.shoot(t, "failed-"+strings.ReplaceAll(t.Name(), "/", "-"))
		t.Fatalf("%s: %v\npage: %s", script, err, p.text(t, "body"))
	}
	return text
}

// A look is one way to look at a page.
type look struct {
	width int64
	dark  bool
}

var looks = []look{{width: 360}, {width: 360, dark: true}, {width: 1440}, {width: 1440, dark: true}}

func (l look) String() string {
	if l.dark {
		return fmt.Sprintf("%d-dark", l.width)
	}
	return fmt.Sprintf("%d-light", l.width)
}

// show makes the browser look that way.
func (p *tab) show(t *testing.T, l look) {
	t.Helper()
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	height := int64(900)
	if l.width < 600 {
		height = 740
	}
	p.do(t, l.String(), chromedp.EmulateViewport(l.width, height))
	p.emulate(t, "prefers-color-scheme", scheme)
}

// emulate makes a media feature have a value.
func (p *tab) emulate(t *testing.T, name, value string) {
	t.Helper()
	p.do(t, name, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: name, Value: value}},
		})
		return err
	}))
}

// disableScript keeps the scripts of pages from running.
func (p *tab) disableScript(t *testing.T) {
	t.Helper()
	p.do(t, "disable script", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{
			Value: true,
		})
		return err
	}))
}

// shoot takes a picture of the whole page.
func (p *tab) shoot(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, browserLimit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Logf("picture %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(artefacts, name+".png"), png, 0o600); err != nil {
		t.Error(err)
	}
}

// signIn signs in by a one-time link, as a person does.
func (p *tab) signIn(t *testing.T, link string) {
	t.Helper()
	p.open(t, link)
	p.submit(t, "form button.primary")
	if at := eval[string](t, p, "location.pathname"); at != "/" {
		t.Fatalf("signing in led to %s: %s", at, p.text(t, "main"))
	}
}

// problems returns what is wrong with the layout and the markup of the page: parts
// that stick out at the side, inputs without labels, no heading.
func (p *tab) problems(t *testing.T) []string {
	t.Helper()
	return eval[[]string](t, p, layoutScript)
}

const layoutScript = `(() => {
  const out = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) {
    for (const e of document.querySelectorAll("main *:not(thead, thead *)")) {
      const box = e.getBoundingClientRect();
      if (box.right > width + 1 && box.width > 0) {
        out.push("sticks out: " + e.outerHTML.slice(0, 120));
        break;
      }
    }
    if (!out.length) out.push("page is wider than the window");
  }
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!e.labels?.length && !e.ariaLabel) out.push("no label: " + e.outerHTML.slice(0, 120));
  }
  for (const e of document.querySelectorAll("button, a")) {
    if (!e.textContent.trim() && !e.ariaLabel) out.push("no name: " + e.outerHTML.slice(0, 120));
  }
  if (document.querySelectorAll("h1").length !== 1) out.push("not one h1");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) out.push("id twice: " + id);
  return [...new Set(out)];
})()`
