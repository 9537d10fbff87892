// Package arch_test holds the architecture as tests.
package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "steward/"

// layers lists, for each package, every package of this module that it may
// import. A package missing here may import nothing; cmd may import all.
var layers = map[string][]string{
	"lwm2m/fleet":               {"lwm2m"},
	"lwm2m/machine/machinetest": {},
	"lwm2m/dcbor":               {},
	"lwm2m/sheet":               {},
	"lwm2m/tlv":                 {"lwm2m"},
	"lwm2m/internal/cbor":       {"lwm2m"},
	"lwm2m/senml":               {"lwm2m", "lwm2m/internal/cbor"},
	"lwm2m/lwcbor":              {"lwm2m", "lwm2m/internal/cbor"},
	"lwm2m/plain":               {"lwm2m", "lwm2m/internal/cbor"},
	"lwm2m/linkformat":          {"lwm2m"},
	"lwm2m/codec":               {"lwm2m", "lwm2m/tlv", "lwm2m/senml", "lwm2m/lwcbor", "lwm2m/plain", "lwm2m/linkformat"},
	"lwm2m/dtls":                {"lwm2m/coap"},
	"lwm2m/dtls/handshake":      {"lwm2m/coap", "lwm2m/dtls"},
	"lwm2m/transport":           {"lwm2m/coap", "lwm2m/dtls", "lwm2m/dtls/handshake", "lwm2m/journal"},
	"lwm2m/server": {
		"lwm2m", "lwm2m/codec", "lwm2m/linkformat", "lwm2m/coap", "lwm2m/machine", "lwm2m/fleet", "lwm2m/audit",
	},
	"lwm2m/server/servertest": {
		"lwm2m", "lwm2m/codec", "lwm2m/coap", "lwm2m/server", "lwm2m/fleet", "lwm2m/audit",
	},
	"lwm2m/queue":              {"lwm2m", "lwm2m/server", "lwm2m/coap", "lwm2m/machine", "lwm2m/fleet", "lwm2m/audit"},
	"lwm2m/queue/queuetest":    {"lwm2m/queue", "lwm2m/fleet", "lwm2m/audit"},
	"lwm2m/bootstrap":          {"lwm2m", "lwm2m/codec", "lwm2m/linkformat", "lwm2m/coap", "lwm2m/machine", "lwm2m/fleet"},
	"lwm2m/bootstrap/boottest": {"lwm2m", "lwm2m/bootstrap", "lwm2m/fleet"},
	"lwm2m/client":             {"lwm2m", "lwm2m/codec", "lwm2m/linkformat", "lwm2m/coap", "lwm2m/machine"},
	"objects":                  {"lwm2m", "objects/registry"},
	"objects/registry":         {"lwm2m"},
	"objects/ddf":              {"lwm2m", "objects/registry"},
	"suit":                     {"suit/cose"},
	"suit/process":             {"suit", "suit/cose"},
	"suit/process/processtest": {"suit", "suit/cose", "suit/process"},
	"suit/author":              {"suit", "suit/cose"},
	"suit/rollout": {
		"suit", "suit/sbom", "suit/cose", "suit/author", "objects", "lwm2m", "lwm2m/coap", "lwm2m/machine",
		"lwm2m/fleet", "lwm2m/audit", "lwm2m/sheet",
	},
	"suit/rollout/rolltest":        {"suit", "suit/sbom", "suit/rollout", "lwm2m/fleet", "lwm2m/audit"},
	"est":                          {"est/c509", "suit/cose", "lwm2m/dcbor", "lwm2m/machine", "lwm2m/audit"},
	"est/attest":                   {"suit/cose", "lwm2m/dcbor", "lwm2m/coap", "lwm2m/audit"},
	"est/attest/attesttest":        {"est/attest", "lwm2m/audit"},
	"est/attest/rounds":            {"est/attest", "lwm2m/machine", "lwm2m/fleet", "lwm2m/audit"},
	"est/attest/rounds/roundstest": {"est/attest/rounds", "est/attest", "lwm2m/fleet", "lwm2m/audit"},
	"est/estcoap":                  {"est", "est/c509", "lwm2m/coap"},
	"est/enrol":                    {"est", "objects", "lwm2m", "lwm2m/machine", "lwm2m/fleet", "lwm2m/audit"},
	"est/enrol/enroltest":          {"est", "est/enrol", "lwm2m/fleet", "lwm2m/audit"},
	"est/esthttp":                  {"est", "est/estcoap", "lwm2m/audit"},
	"est/esttest":                  {"est", "lwm2m/audit"},
	"transfer": {
		"lwm2m", "lwm2m/dcbor", "lwm2m/machine", "suit/cose", "est", "est/attest", "est/c509",
	},
	"transfer/coordinator": {
		"transfer", "objects", "lwm2m", "lwm2m/machine", "est", "est/attest", "lwm2m/fleet", "lwm2m/audit",
	},
	"transfer/explore":               {}, // tests only
	"transfer/minimal":               {},
	"transfer/coordinator/coordtest": {"transfer", "transfer/coordinator", "lwm2m/fleet", "lwm2m/audit"},
	"web":                            {"lwm2m", "lwm2m/audit", "lwm2m/sheet"},
	"web/account":                    {"lwm2m/audit", "web"},
	"web/account/accounttest":        {"web", "web/account", "lwm2m/audit"},
	"web/passkey":                    {"web", "web/account"},
	"web/oidc":                       {"web", "web/account"},
	"web/scope":                      {"web", "lwm2m", "lwm2m/audit"},
	"web/webtest":                    {"web", "lwm2m", "lwm2m/audit"},
	"web/contract":                   {},
	"web/hook":                       {"web", "lwm2m/audit", "lwm2m/machine"},
	"web/hook/hooktest":              {"web", "web/hook", "lwm2m/audit"},
	"web/once":                       {"web"},
	"web/onboard":                    {"web", "lwm2m"},
	"web/once/oncetest":              {"web/once"},
	"web/compat/leshan":              {"web", "lwm2m", "objects/registry"},
	"web/api": {
		"web", "web/account", "web/once", "web/contract", "web/compat/leshan", "lwm2m", "lwm2m/audit", "lwm2m/sheet",
		"objects/registry",
	},
	"web/ui": {
		"web", "web/passkey", "web/oidc", "web/account", "web/contract", "web/onboard", "lwm2m", "lwm2m/audit", "lwm2m/sheet",
		"objects", "objects/registry",
	},
	"web/peer": {"web", "transfer", "transfer/coordinator", "est", "est/c509"},
}

// owners names the packages that may import each third-party module.
var owners = map[string][]string{
	"github.com/plgd-dev/go-coap":         {"lwm2m/coap"},
	"github.com/pion":                     {"lwm2m/dtls", "lwm2m/transport"},
	"github.com/veraison/go-cose":         {"suit/cose"},
	"github.com/smallstep/pkcs7":          {"est/estcoap"},
	"github.com/go-jose/go-jose":          {"transfer"},
	"github.com/go-chi/chi":               {"web", "web/api", "web/ui", "web/peer", "web/account"},
	"modernc.org/sqlite":                  {"cmd/internal/sqlite"},
	"database/sql":                        {"cmd/internal/sqlite"},
	"go.step.sm/crypto":                   {"cmd/internal/keys"},
	"github.com/spf13/cobra":              {"cmd/internal/cli"},
	"github.com/BurntSushi/toml":          {"cmd/internal/config"},
	"go.yaml.in/yaml":                     {"suit/author", "web/contract"},
	"github.com/go-webauthn/webauthn":     {"web/passkey"},
	"github.com/coreos/go-oidc":           {"web/oidc"},
	"golang.org/x/oauth2":                 {"web/oidc"},
	"github.com/prometheus/client_golang": {"cmd/internal/app", "web"},
	"github.com/oklog/ulid":               {"cmd/internal/app", "cmd/internal/sqlite"},
	"github.com/chromedp":                 {"cmd/internal/e2e"},
	"rsc.io/qr":                           {"web/ui"},
}

// spawners may start goroutines and read the clock. Everything else is called,
// takes the time as a parameter, and returns.
var spawners = []string{
	"lwm2m/coap", "lwm2m/dtls", "lwm2m/transport", "lwm2m/server", "lwm2m/queue", "lwm2m/bootstrap", "lwm2m/client",
	"suit/rollout", "est/enrol", "est/attest/rounds", "transfer/coordinator", "web/hook", "cmd",
}

func TestLayers(t *testing.T) {
	for _, f := range sources(t) {
		for _, spec := range f.Imports {
			imp, _ := strconv.Unquote(spec.Path.Value)
			if inner, ok := strings.CutPrefix(imp, module); ok {
				if !under(f.dir, "cmd") && !slices.Contains(layers[f.dir], inner) {
					t.Errorf("%s: %s must not import %s", f.name, f.dir, inner)
				}
			}
			for prefix, allowed := range owners {
				if under(imp, prefix) && !slices.Contains(allowed, f.dir) {
					t.Errorf("%s: %s belongs to %s", f.name, imp, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

// TestFoldersAreOrdered checks the table itself: a folder imports only those to
// its left.
func TestFoldersAreOrdered(t *testing.T) {
	order := []string{"lwm2m", "objects", "suit", "est", "transfer", "web", "cmd"}
	rank := func(pkg string) int {
		top, _, _ := strings.Cut(pkg, "/")
		return slices.Index(order, top)
	}
	for pkg, imports := range layers {
		for _, imp := range imports {
			if rank(pkg) < 0 || rank(imp) < 0 || rank(imp) > rank(pkg) {
				t.Errorf("%s imports %s, which is not to its left", pkg, imp)
			}
		}
	}
}

func TestGoroutineAndClockOwners(t *testing.T) {
	for _, f := range sources(t) {
		if slices.ContainsFunc(spawners, func(s string) bool { return under(f.dir, s) }) {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if _, spawns := n.(*ast.GoStmt); spawns {
				t.Errorf("%s starts a goroutine", f.name)
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if sel.Sel.Name == "Go" { // errgroup.Group.Go, sync.WaitGroup.Go
				t.Errorf("%s starts a goroutine", f.name)
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, sel.Sel.Name) &&
				!under(f.dir, "web") { // requests arrive at some time, and streams need a pulse
				t.Errorf("%s uses time.%s", f.name, sel.Sel.Name)
			}
			return true
		})
	}
}

// clock lists what reads or waits for the real time.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func TestEveryPackageIsDocumentedOnce(t *testing.T) {
	docs := map[string]int{}
	for _, f := range sources(t) {
		docs[f.dir] += 0
		if f.Doc != nil {
			docs[f.dir]++
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1", dir, n)
		}
	}
}

func under(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }

type source struct {
	*ast.File

	name, dir string // slash-separated, relative to the module root
}

// sources parses every non-test file.
func sources(t *testing.T) []source {
	t.Helper()
	return parsed(t, func(name string) bool { return !strings.HasSuffix(name, "_test.go") })
}

// parsed parses the Go files that want selects itself, rather than ask "go list":
// the test cache sees files that a test opens, not those its child processes open.
func parsed(t *testing.T, want func(name string) bool) (out []source) {
	t.Helper()
	root := os.DirFS("../../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".go" || !want(name) {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		out = append(out, source{f, name, path.Dir(name)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
