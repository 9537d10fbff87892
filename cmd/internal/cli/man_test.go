package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steward/cmd/internal/cli"
)

// TestManuals writes all pages: each has a name, a synopsis and a description, and no
// line that man(7) would take for a request of its own.
func TestManuals(t *testing.T) {
	dir := t.TempDir()
	var out, talk bytes.Buffer
	if code := cli.Run(t.Context(), []string{"man", "--dir", dir}, &out, &talk); code != 0 {
		t.Fatalf("exit status %d: %s", code, &talk)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "steward*.1"))
	if err != nil || len(pages) < 60 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	known := map[string]bool{
		"TH": true, "SH": true, "B": true, "BR": true, "TP": true, "PP": true, "br": true, "nf": true, "fi": true,
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range []string{".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n", ".SH EXIT STATUS\n"} {
			if !strings.Contains(string(text), section) {
				t.Errorf("%s lacks %q", filepath.Base(page), section)
			}
		}
		_, short, _ := strings.Cut(string(text), " \\- ")
		if short, _, _ = strings.Cut(short, "\n"); len(short) < 10 {
			t.Errorf("%s says no more than %q", filepath.Base(page), short)
		}
		for line := range strings.Lines(string(text)) {
			if request, ok := strings.CutPrefix(line, "."); ok {
				request, _, _ = strings.Cut(strings.TrimSpace(request), " ")
				if !known[request] {
					t.Errorf("%s: %q", filepath.Base(page), line)
				}
			}
		}
	}
}

// TestOperationHasExamples holds that commands for operating a provider show how.
func TestOperationHasExamples(t *testing.T) {
	for _, command := range []string{
		"backup", "restore", "reconcile", "reconcile open", "doctor", "config show", "man", "log-level",
		"devices list", "devices read", "devices write", "devices import", "transfer draft", "transfer wait", "partners add",
	} {
		var out, talk bytes.Buffer
		if code := cli.Run(t.Context(), append(strings.Fields(command), "--help"), &out, &talk); code != 0 {
			t.Errorf("%s: exit status %d: %s", command, code, &talk)
		}
		if !strings.Contains(out.String(), "Examples:\n  steward ") {
			t.Errorf("%s has no example", command)
		}
	}
}
