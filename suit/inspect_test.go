package suit_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"steward/suit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestInspect compares what people are shown of examples with golden files.
func TestInspect(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"manifest_ex2_es256", "base_dependency", "libcsuit_U2"} {
		e, err := suit.Decode(loadVector(t, name), suit.Limits{})
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		golden := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(e.Inspect()), 0o600); err != nil {
				t.Fatalf("writing golden file: %v", err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatalf("reading golden file: %v", err)
		}
		if got := e.Inspect(); got != string(want) {
			t.Errorf("%s: Inspect =\n%s", name, got)
		}
	}
}

// TestInspectEverything shows all vectors: the words hold no control characters.
func TestInspectEverything(t *testing.T) {
	t.Parallel()
	for _, name := range vectorNames(t) {
		e, err := suit.Decode(loadVector(t, name), suit.Limits{Untagged: true})
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		text := e.Inspect()
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s: Inspect has %q", name, text[i:])
		}
		if !strings.Contains(text, "manifest") {
			t.Errorf("%s: Inspect =\n%s", name, text)
		}
	}
}
