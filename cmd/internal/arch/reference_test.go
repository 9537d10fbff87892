package arch_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"steward/lwm2m/machine/machinetest"
)

var update = flag.Bool("update", false, "rewrite golden files")

const reference = "../../../docs/reference/"

// TestMetricsReference keeps the list of metrics as the sources declare them.
func TestMetricsReference(t *testing.T) {
	var rows []string
	for _, f := range sources(t) {
		ast.Inspect(f.File, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 3 {
				return true
			}
			if fn, ok := call.Fun.(*ast.SelectorExpr); !ok || fn.Sel.Name != "NewDesc" {
				return true
			}
			name, help := literal(call.Args[0]), literal(call.Args[1])
			if name == "" || help == "" {
				t.Errorf("%s: a metric whose name or help is not written there", f.name)
			}
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", name, labels(call.Args[2]), help))
			return true
		})
	}
	slices.Sort(rows)
	text := "# Metrics\n\nMade from the program by `make golden`. `GET /metrics` answers in the format of Prometheus, " +
		"to whoever may view; beside these come those of the Go runtime (`go_`) and of the process (`process_`). A name " +
		"that ends with `_total` only rises.\n\n| metric | labels | is |\n|---|---|---|\n" + strings.Join(rows, "")
	machinetest.Golden(t, reference+"metrics.md", text, *update)
}

// literal is the value of a string that is written out; "" for anything else.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		if a, b := literal(e.X), literal(e.Y); a != "" && b != "" {
			return a + b
		}
	}
	return ""
}

func labels(e ast.Expr) string {
	list, ok := e.(*ast.CompositeLit)
	if !ok {
		return ""
	}
	var out []string
	for _, l := range list.Elts {
		out = append(out, "`"+literal(l)+"`")
	}
	return strings.Join(out, " ")
}

// actionName is how an action of the audit is written: a whole one, or the beginning
// of one that is put together.
var actionName = regexp.MustCompile(`^[a-z_]+\.[a-z_]*$`)

// TestAuditReference checks that the reference of the audit has every action that the
// sources write, and none that nothing writes.
func TestAuditReference(t *testing.T) {
	text, err := os.ReadFile(reference + "audit.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z_]+\\.(?:[a-z_]+|…))`").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = false
	}
	var all strings.Builder
	for _, f := range sources(t) {
		if under(f.dir, "cmd/internal/pagebench") || path.Base(f.dir) == "webtest" {
			continue
		}
		written, actions := literals(f.File)
		all.WriteString(written)
		for _, action := range actions {
			prefix, _, _ := strings.Cut(action, ".")
			_, whole := documented[action]
			_, open := documented[prefix+".…"]
			if !whole && !open {
				t.Errorf("%s: docs/reference/audit.md does not name %s", f.name, action)
			}
		}
	}
	for action := range documented {
		if begin := strings.TrimSuffix(action, "…"); !strings.Contains(all.String(), `"`+begin) {
			t.Errorf("docs/reference/audit.md names %s, which nothing writes", action)
		}
	}
}

// literals returns the strings of a file, a line each, and the actions among them.
func literals(file *ast.File) (text string, actions []string) {
	var b strings.Builder
	ast.Inspect(file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			b.WriteString(l.Value + "\n")
		}
		actions = append(actions, actionsIn(n)...)
		return true
	})
	return b.String(), actions
}

// actionsIn returns the actions that a piece of source gives to a row of the audit.
func actionsIn(n ast.Node) (out []string) {
	var value ast.Expr
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Action" {
			value = n.Value
		}
	case *ast.AssignStmt:
		if name, ok := n.Lhs[0].(*ast.Ident); ok && name.Name == "action" && len(n.Rhs) == 1 {
			value = n.Rhs[0]
		}
	}
	if sum, ok := value.(*ast.BinaryExpr); ok {
		value = sum.X
	}
	if value != nil {
		if text := literal(value); actionName.MatchString(text) {
			out = append(out, text)
		}
	}
	return out
}

// unchanging are actions that change nothing that has a state before and after, and why.
var unchanging = map[string]string{
	"account.refuse": "a refusal", "attestation.refuse": "a refusal", "bootstrap.refuse": "a refusal",
	"enrolment.refuse": "a refusal", "est.refuse": "a refusal", "factory.refuse": "a refusal",
	"handshake.refuse": "a refusal", "peer.refuse": "a refusal", "registration.refuse": "a refusal",
	"request.refuse": "a refusal", "transfer.contact": "a refusal",
	"attestation.ask": "a question", "certificate.ending": "a warning", "device.fault": "what a device sent",
	"observation.reconcile": "what a device does not do", "bootstrap.": "how one ended: the action says it",
	"provider.backup": "a copy", "webhook.renew_secret": "a secret",
}

// TestAuditTellsWhatChanged has every row of the audit that is written out say what was
// before or after, but for those of actions that change nothing.
func TestAuditTellsWhatChanged(t *testing.T) {
	used := map[string]bool{}
	for _, f := range sources(t) {
		if under(f.dir, "cmd/internal/pagebench") || strings.HasSuffix(f.dir, "test") {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			row, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			var actions []string
			var tells bool
			for _, e := range row.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					key, _ := kv.Key.(*ast.Ident)
					tells = tells || key != nil && (key.Name == "Before" || key.Name == "After")
					actions = append(actions, actionsIn(kv)...)
				}
			}
			action := strings.Join(actions, "")
			if _, may := unchanging[action]; action != "" && !tells && !may {
				t.Errorf("%s: rows of %s say neither what was before nor what is after", f.name, action)
			}
			used[action] = used[action] || !tells
			return true
		})
	}
	for action := range unchanging {
		if !used[action] {
			t.Errorf("%s needs no exception", action)
		}
	}
}
