package arch_test

import (
	"bufio"
	"go/ast"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are the files at the root whose every reference is checked.
var documents = []string{
	"README.md", "ARCHITECTURE.md", conformance, "SECURITY.md",
	"docs/README.md", "docs/connect-leshan.md", "docs/connect-anjay.md", "docs/connect-zephyr.md", "docs/sub-ca.md",
	"docs/rollout.md", "docs/hand-over.md", "docs/porting.md", "docs/backup.md", "docs/night.md", "docs/sizing.md",
}

var (
	quoted   = regexp.MustCompile("`([^`]+)`")
	flagName = regexp.MustCompile(`^--([a-z-]+)\b`)
	testName = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
	// filePath is a path from the root: below one of the folders, or a document.
	// CoAP and HTTP paths begin with a slash.
	filePath = regexp.MustCompile(`^(lwm2m|objects|suit|est|transfer|web|cmd|docs|\.ci)(/[\w.-]+)+$|^[A-Z]\w+\.md$`)
)

// conformance is the document whose lines name a test beside the file it is for.
const conformance = "CONFORMANCE.md"

// TestDocumentsNameWhatExists checks the references in the documents: a path
// exists, and a test is declared somewhere, in CONFORMANCE.md in a directory that
// its line names, if it names one.
func TestDocumentsNameWhatExists(t *testing.T) {
	tests := declaredTests(t)
	for _, document := range documents {
		for n, line := range lines(t, document) {
			var dirs, names []string
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				switch name := m[1]; {
				case testName.MatchString(name):
					names = append(names, name)
				case filePath.MatchString(name):
					dirs = append(dirs, directory(t, document, n, name))
				}
			}
			if document != conformance {
				dirs = nil
			}
			for _, name := range names {
				if !declared(tests[name], dirs) {
					t.Errorf("%s:%d: no test %s in %v", document, n+1, name, dirs)
				}
			}
		}
	}
}

// directory returns the directory of a path, which must exist.
func directory(t *testing.T, document string, n int, name string) string {
	t.Helper()
	info, err := os.Stat("../../../" + name)
	if err != nil {
		t.Errorf("%s:%d: %s does not exist", document, n+1, name)
		return name
	}
	if info.IsDir() {
		return name
	}
	return path.Dir(name)
}

// TestDocumentsNameFlags checks that a flag in the documents is one of the command
// line, whose package declares it by a string.
func TestDocumentsNameFlags(t *testing.T) {
	var declared strings.Builder
	for _, f := range parsed(t, func(name string) bool { return path.Dir(name) == "cmd/internal/cli" }) {
		ast.Inspect(f.File, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok {
				declared.WriteString(s.Value)
			}
			return true
		})
	}
	for _, document := range documents {
		for n, line := range lines(t, document) {
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				flag := flagName.FindStringSubmatch(m[1])
				if flag != nil && !strings.Contains(declared.String(), `"`+flag[1]+`"`) {
					t.Errorf("%s:%d: no flag --%s", document, n+1, flag[1])
				}
			}
		}
	}
}

// declared reports whether a test that stands in the directories in stands in one
// of dirs; without dirs, whether it stands anywhere.
func declared(in, dirs []string) bool {
	if len(dirs) == 0 {
		return len(in) > 0
	}
	return slices.ContainsFunc(dirs, func(d string) bool { return slices.Contains(in, d) })
}

// declaredTests maps the names of tests and fuzz targets to the directories in
// which they stand.
func declaredTests(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, f := range parsed(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") }) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && testName.MatchString(fn.Name.Name) {
				out[fn.Name.Name] = append(out[fn.Name.Name], f.dir)
			}
		}
	}
	return out
}

// lines returns the lines of a document outside fenced blocks; others are empty.
func lines(t *testing.T, document string) (out []string) {
	t.Helper()
	f, err := os.Open("../../../" + document)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read only
	fenced := false
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if fenced {
			line = ""
		}
		out = append(out, line)
	}
	return out
}
