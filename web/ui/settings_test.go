package ui_test

import (
	"os"
	"regexp"
	"testing"

	"steward/web/ui"
)

// TestLicences compares the list with go.mod: each module stands in it once, with the
// name of a free licence, and no other does.
func TestLicences(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	required := regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+) v\d`)
	for _, m := range required.FindAllStringSubmatch(string(text), -1) {
		wanted[m[1]] = true
	}
	free := regexp.MustCompile(`^(MIT|ISC|BSD-[23]-Clause|Apache-2\.0|MPL-2\.0)$`)
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([^,\n]+),(.*)$`).FindAllStringSubmatch(ui.Licences, -1) {
		if !wanted[m[1]] || seen[m[1]] || !free.MatchString(m[2]) {
			t.Errorf("%s, %q: not in go.mod, there twice, or not free", m[1], m[2])
		}
		seen[m[1]] = true
	}
	for path := range wanted {
		if !seen[path] {
			t.Errorf("licences.csv lacks %s", path)
		}
	}
	if len(wanted) < 20 {
		t.Errorf("go.mod has %d modules only: it is not read", len(wanted))
	}
}
