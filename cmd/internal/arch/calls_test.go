package arch_test

import (
	"go/ast"
	"slices"
	"testing"
)

// callers are the packages that may open connections to others, and to whom. A URI
// that a manifest, a device, a list or a form names is in none of them but those that
// say so: nobody can have the server ask for it.
var callers = map[string]string{
	"lwm2m/transport":        "servers, as a device",
	"web/oidc":               "the provider of identities in the settings",
	"web/hook":               "webhooks, by addresses that its Guard lets pass",
	"cmd/internal/app":       "an external CA in the settings",
	"cmd/internal/remote":    "partners by their pinned keys; a provider, as its command line",
	"cmd/internal/doctor":    "whom its settings name, as a command",
	"cmd/internal/bench":     "a server under load, as a command",
	"cmd/internal/sim":       "servers, as a device",
	"cmd/internal/sim/trial": "servers, as a device",
	"cmd/internal/pagebench": "itself, as a command",
}

// dialling lists what opens a connection, or makes what does.
var dialling = map[string][]string{
	"http": {"Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm"},
	"net":  {"Dialer", "Dial", "DialTimeout", "DialUDP", "DialTCP", "DialIP"},
	"tls":  {"Dialer", "Dial", "DialWithDialer"},
}

// TestWhoCallsOut: packages of the server that take URIs from outside, of firmware among
// them, have nothing to call them with.
func TestWhoCallsOut(t *testing.T) {
	used := map[string]bool{}
	for _, f := range sources(t) {
		ast.Inspect(f.File, func(n ast.Node) bool {
			// A field or parameter may hold somebody else's client; made are values and calls.
			var made ast.Expr
			switch n := n.(type) {
			case *ast.CompositeLit:
				made = n.Type
			case *ast.CallExpr:
				made = n.Fun
			case *ast.SelectorExpr:
				if n.Sel.Name == "DefaultClient" || n.Sel.Name == "DefaultTransport" {
					made = n
				}
			}
			sel, ok := made.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(dialling[x.Name], sel.Sel.Name) {
				used[f.dir] = true
				if callers[f.dir] == "" {
					t.Errorf("%s makes a %s.%s, and is not among those who may call others", f.name, x.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
	for dir := range callers {
		if !used[dir] {
			t.Errorf("%s is among those who call others, and does not", dir)
		}
	}
}
