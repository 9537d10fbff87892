package devcheck_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"steward/cmd/internal/devcheck"
)

// A flaw is a rule that a device does not keep: a place of the sources, and what stands
// there in the device that is flawed.
type flaw struct{ rule, file, old, flawed string }

const (
	acceptance = "transfer/accept.go"
	events     = "transfer/deviceevents.go"
	connecting = "cmd/internal/sim/connect.go"
)

// without is the flaw by which a check never fails.
func without(rule, file, condition string) flaw {
	return flaw{rule, file, "if " + condition + " {", fmt.Sprintf("if broken != %q && (%s) {", rule, condition)}
}

// flaws are named as the rule that is to be found.
var flaws = []flaw{
	without("E1", acceptance, "bytes.HasPrefix(raw, tagSign1)"),
	{"E2", acceptance, "|| !a.Purposes.Has(purpose) ||", `|| broken != "E2" && !a.Purposes.Has(purpose) ||`},
	{
		"E3", acceptance, "	for _, signer := range signers { // two",
		"	if broken == \"E3\" {\n\t\treturn unproven, nil\n\t}\n	for _, signer := range signers { // two",
	},
	without("E4", acceptance, "m.Factory != f.Factory || m.Subject != f.Subject"),
	without("E5", acceptance, "m.Epoch != uint64(f.Epoch)+1"),
	without("E6", acceptance, "m.NotBefore >= m.Expires"),
	without("E7", acceptance, "!slices.ContainsFunc(refs, same)"),
	{
		"E8", acceptance, `for _, uri := range append(a.Destination.URIs(), a.Message.FallbackURI`,
		`for _, uri := range append(a.Destination.URIs()[:checkedURIs()], a.Message.FallbackURI`,
	},
	without("E9", acceptance, "err != nil || here != there"),
	without("E10", acceptance, "!f.State.AtRest() || f.Installing"),
	{
		"E11", acceptance, "if !slices.ContainsFunc(f.Truststore, held) {",
		`if broken == "E11" || !slices.ContainsFunc(f.Truststore, held) {`,
	},
	without("order", events, "o != OrderOf(d.nv.Epoch, d.nv.Hash)"),
	without("window", events, "!now.IsZero() && !window.Contains(now, ClockSkew)"),
	{
		"abort", "transfer/steps.go", "func (d *Device) unstage(n *nvm) error {",
		"func (d *Device) unstage(n *nvm) error {\n\tif broken == \"abort\" {\n\t\treturn nil\n\t}",
	},
	{
		"receipt", "transfer/steps.go", "	n.Next, err = d.newKey()\n",
		"	n.Next, err = d.newKey()\n	if broken == \"receipt\" {\n		n.Next = n.Key\n	}\n",
	},
	{
		"DONE", "transfer/steps.go", "	if ok && !slices.Contains(n.Wiped, class) {",
		`	if ok && !slices.Contains(n.Wiped, class) && (broken != "DONE" || class != 3) {`,
	},
	without("signer bits", "transfer/truststore.go", "purposes&^(knownPurposes&^SignerPurposes&^Fallback|before) != 0"),
	without("identical", acceptance, "f.State == Ready && len(f.Stored) > 0 && bytes.Equal(raw, f.Stored)"),
	{
		"server", connecting, "est.CheckServer(parsed[0], host, registrar, now)",
		`est.CheckServer(parsed[0], host, registrar && os.Getenv("STEWARD_BROKEN") != "server", now)`,
	},
}

// support is added to the flawed device's packages.
const support = `package transfer

import "os"

var broken = os.Getenv("STEWARD_BROKEN")

func checkedURIs() int {
	if broken == "E8" {
		return 1
	}
	return 3
}
`

// TestBroken runs a flawed device until its flaw is found, for TestBrokenDevices.
func TestBroken(t *testing.T) {
	if os.Getenv("STEWARD_BROKEN") == "" {
		t.Skip("no flaw: see TestBrokenDevices")
	}
	c := check(t, devcheck.Options{First: true})
	device(t, c, nil)
	report, err := c.Run(t.Context())
	fmt.Println("BREACH", breaches(t, report), err)
}

// TestBrokenDevices builds our device with one rule broken, rule by rule: the check
// names that rule.
func TestBrokenDevices(t *testing.T) {
	if os.Getenv("STEWARD_MUTANTS") == "" {
		t.Skip("takes a minute: make mutants")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "flawed")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-trimpath", "-overlay", flawed(t, root), "-o", bin,
		"./cmd/internal/devcheck")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, f := range flaws {
		t.Run(f.rule, func(t *testing.T) {
			t.Parallel()
			run := exec.CommandContext(t.Context(), bin, "-test.run", "^TestBroken$", "-test.timeout", "2m")
			run.Env = append(os.Environ(), "STEWARD_BROKEN="+f.rule)
			out, err := run.CombinedOutput()
			if want := "BREACH [" + f.rule + "] <nil>"; err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %q:\n%s", err, want, out)
			}
		})
	}
}

// flawed writes the sources with all flaws, which STEWARD_BROKEN chooses from.
func flawed(t *testing.T, root string) (overlay string) {
	t.Helper()
	dir, sources := t.TempDir(), map[string]string{"transfer/broken.go": support}
	for _, f := range flaws {
		text, ok := sources[f.file]
		if !ok {
			raw, err := os.ReadFile(filepath.Join(root, f.file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(raw)
		}
		if !strings.Contains(text, f.old) {
			t.Errorf("%s: %q does not stand there", f.file, f.old)
		}
		sources[f.file] = strings.Replace(text, f.old, f.flawed, 1)
	}
	sources[connecting] = strings.Replace(sources[connecting], "import (\n", "import (\n\t\"os\"\n", 1)
	replaced := map[string]string{}
	for file, text := range sources {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced[filepath.Join(root, file)] = to
	}
	raw, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// TestFlawsStand: each place that a flaw changes is there.
func TestFlawsStand(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	flawed(t, root)
}
