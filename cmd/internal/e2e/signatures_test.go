package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// noting is what is added to crypto/ecdsa: each check of a signature writes one line, with
// the functions that it was called by.
const noting = `package ecdsa

import (
	"os"
	"runtime"
)

func note() {
	path := os.Getenv("STEWARD_SIGNATURES")
	if path == "" {
		return
	}
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	line := ""
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		line += f.Function + " "
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(line + "\n")
	}
	if err != nil {
		panic(err)
	}
	_ = file.Close()
}
`

// counting writes an overlay of the Go tree in which crypto/ecdsa notes who verifies.
func counting(t *testing.T) (overlay string) {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir, pkg := t.TempDir(), filepath.Join(strings.TrimSpace(string(root)), "src", "crypto", "ecdsa")
	source, err := os.ReadFile(filepath.Join(pkg, "ecdsa.go"))
	if err != nil {
		t.Fatal(err)
	}
	begin := regexp.MustCompile(`(?m)^func VerifyASN1\(.*\) bool \{$`)
	if n := len(begin.FindAll(source, -1)); n != 1 {
		t.Fatalf("crypto/ecdsa has %d functions by which all are verified", n)
	}
	replace := map[string]string{}
	for name, text := range map[string]string{
		"ecdsa.go": begin.ReplaceAllString(string(source), "$0 note()"), "note.go": noting,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(pkg, name)] = path
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// TestT23SignatureChecks is T23 of the transfer protocol (§9), "one extra signature
// check", by count: a crypto/ecdsa that notes each check is built into a simulated device
// with two providers (TestSignatureChecks in cmd/internal/sim), which compares a
// hand-over with an enrolment and registration.
func TestT23SignatureChecks(t *testing.T) {
	slow(t)
	t.Parallel()
	const enough = 5 * time.Minute // to build, on a slow machine
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	notes := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(notes, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", counting(t), "-count=1", "-vet=off", "-v",
		"-run", "^TestSignatureChecks$", "steward/cmd/internal/sim")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "STEWARD_")
	}), "STEWARD_SIGNATURES="+notes)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestSignatureChecks") {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "signatures_test.go") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
