package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The rules of accessibility that pages are checked by, and the digest of the file
// that they are in.
const (
	axeVersion = "4.14.1"
	axeSum     = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
	axeLimit   = 2 * time.Minute // of the download, which is needed once
)

// errAxe reports rules that are not those that are pinned.
var errAxe = errors.New("not the pinned axe-core")

// axe returns the rules as a script, fetched by npm unless a run before did.
var axe = sync.OnceValues(func() (string, error) {
	path := filepath.Join(cacheDir(), "axe-core-"+axeVersion+".min.js")
	if script, err := os.ReadFile(path); err == nil && isAxe(script) {
		return string(script), nil
	}
	script, err := fetchAxe()
	if err != nil {
		return "", err
	}
	if !isAxe(script) {
		return "", errAxe
	}
	part := fmt.Sprint(path, ".", os.Getpid()) // renamed when complete
	if err := os.WriteFile(part, script, 0o600); err == nil {
		_ = os.Rename(part, path) // else it is fetched again
	}
	return string(script), nil
})

func isAxe(script []byte) bool {
	sum := sha256.Sum256(script)
	return hex.EncodeToString(sum[:]) == axeSum
}

// cacheDir is where downloads are kept for the next run: for this one only, if the user
// has no such directory.
func cacheDir() string {
	if cache, err := os.UserCacheDir(); err == nil {
		dir := filepath.Join(cache, "steward")
		if os.MkdirAll(dir, 0o700) == nil {
			if probe, err := os.CreateTemp(dir, "probe"); err == nil {
				_, _ = probe.Close(), os.Remove(probe.Name())
				return dir
			}
		}
	}
	return filepath.Join(os.TempDir(), fmt.Sprint("steward-cache-", os.Getuid()))
}

func fetchAxe() ([]byte, error) {
	dir, err := os.MkdirTemp("", "axe-core")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), axeLimit)
	defer cancel()
	pack := exec.CommandContext(ctx, "npm", "pack", "axe-core@"+axeVersion)
	pack.Dir = dir
	if text, err := pack.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm: %w: %s", err, text)
	}
	packed, err := os.ReadFile(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return nil, err
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(unzipped); ; {
		file, err := files.Next()
		if err != nil {
			return nil, err
		}
		if file.Name == "package/axe.min.js" {
			return io.ReadAll(files)
		}
	}
}

// needAxe returns the rules, or skips t where they cannot be fetched.
func needAxe(t *testing.T) string {
	t.Helper()
	script, err := axe()
	switch {
	case errors.Is(err, errAxe):
		t.Fatal(err)
	case err != nil:
		t.Skipf("NOT TESTED for accessibility: axe-core cannot be fetched: %v", err)
	}
	return script
}

// violations returns what the rules of WCAG 2.2 AA find wrong with the page, serious
// and critical.
func (p *tab) violations(t *testing.T, rules string) []string {
	t.Helper()
	const run = `axe.run(document, {resultTypes: ["violations"], runOnly: {type: "tag",
  values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}).then((r) => r.violations
  .filter((v) => v.impact === "serious" || v.impact === "critical")
  .flatMap((v) => v.nodes.slice(0, 3).map((n) => v.id + ": " + n.html.slice(0, 160) + " " + n.failureSummary)))`
	if !eval[bool](t, p, "typeof axe === 'object'") {
		eval[bool](t, p, rules+";true")
	}
	found := await[[]string](t, p, run)
	for i := range found {
		found[i] = strings.Join(strings.Fields(found[i]), " ")
	}
	return found
}

// await evaluates JavaScript whose value is a promise, and returns what that brings.
func await[T any](t *testing.T, p *tab, script string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, browserLimit)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%.200s: %v", script, err)
	}
	return out
}
