package devcheck_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"steward/cmd/internal/devcheck"
)

// A flaw is a rule that a device does not keep: a place of the sources, and what stands
// there in the device that is flawed. Words after the rule tell flaws apart.
type flaw struct{ rule, file, old, flawed string }

const (
	acceptance = "transfer/accept.go"
	events     = "transfer/deviceevents.go"
	connecting = "cmd/internal/sim/connect.go"
	guard      = "transfer/guard.go"
	truststore = "transfer/truststore.go"
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
	{
		"E9 anchor", acceptance, "if !slices.ContainsFunc(f.Truststore, stands) {",
		`if broken != "E9 anchor" && !slices.ContainsFunc(f.Truststore, stands) {`,
	},
	{
		"replay", acceptance, "m.Epoch != uint64(f.Epoch)+1",
		`m.Epoch != uint64(f.Epoch)+1 && (broken != "replay" || f.State != Expired || m.Epoch != uint64(f.Epoch))`,
	},
	without("order", events, "o != OrderOf(d.nv.Epoch, d.nv.Hash)"),
	without("window", events, "!now.IsZero() && !window.Contains(now, ClockSkew)"),
	{
		"abort", "transfer/steps.go", "func (d *Device) unstage(n *nvm) error {",
		"func (d *Device) unstage(n *nvm) error {\n\tif broken == \"abort\" {\n\t\treturn nil\n\t}",
	},
	{
		"abort again", events, "	if d.nv.State == to {\n",
		"	if d.nv.State == to && (broken != \"abort again\" || to != Expired) {\n",
	},
	{
		"finalise again", events, "	if d.nv.State == to &&",
		"	if d.nv.State == to && (broken != \"finalise again\" || to != Finalised) &&",
	},
	{"expired", events, "	if !over {\n", "	if broken == \"expired\" || !over {\n"},
	{
		"grace", events, "n.Turns == 0 && n.Since >= grace ||",
		`n.Turns == 0 && (n.Since >= grace || broken == "grace" && n.Since >= grace/8) ||`,
	},
	{
		"fallback", events, "n.Error, n.NoReturn, n.Next, n.Fresh = code,",
		"if broken == \"fallback\" {\n			code = 0\n		}\n		n.Error, n.NoReturn, n.Next, n.Fresh = code,",
	},
	{
		"FELL_BACK", "transfer/steps.go", "		if a.Domain == Permanent {\n",
		"		if a.Domain == Permanent || broken == \"FELL_BACK\" && a.Domain == Pending {\n",
	},
	{
		"wipe", "transfer/steps.go", "	n.Home = homeOf(destination)\n",
		"	n.Home = homeOf(destination)\n	if broken == \"wipe\" {\n		n.Home.EnrollURI = n.Fall.Home.EnrollURI\n	}\n",
	},
	{
		"finalise", "transfer/steps.go", "		case Current:\n",
		"		case Current:\n			if broken == \"finalise\" {\n				kept = append(kept, a)\n			}\n",
	},
	{
		"READY", "transfer/steps.go", "	n.Next, err = d.newKey()\n",
		"	n.Next, err = d.newKey()\n	if broken == \"READY\" {\n		n.Epoch++\n	}\n",
	},
	{
		"reboot", "transfer/device.go", "n.Boots++; n.Told = false;",
		`n.Boots++; n.Told = false; if broken == "reboot" && n.State == Ready { n.State = Expired };`,
	},
	{
		"freeze", guard, "Do: append(slices.Clone(change), OpExecute), At: []Place{AtElsewhere}},",
		"Do: append(slices.Clone(change), OpExecute), At: frozen()},",
	},
	{
		"guard", guard, "Do: []Operation{OpExecute}, At: []Place{AtFinalise, AtReturn}},",
		"Do: inDone(), At: []Place{AtFinalise, AtReturn, alsoInDone()}},",
	},
	without("duplicate", truststore,
		"slices.ContainsFunc(truststore, func(a Anchor) bool { return bytes.Equal(a.Certificate, certificate) })"),
	{
		"permanent", truststore, "if i < 0 || truststore[i].Domain == Permanent {",
		"if i < 0 || broken != \"permanent\" && truststore[i].Domain == Permanent {",
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

// beside are second places, which a device that keeps no guard does not look at either.
var beside = []flaw{{
	"", "transfer/devicestatus.go", "if !d.nv.State.AtRest() {",
	`if !d.nv.State.AtRest() && broken != "freeze" && broken != "guard" {`,
}}

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

func frozen() []Place {
	if broken == "freeze" {
		return []Place{AtElsewhere, AtTruststore}
	}
	return []Place{AtElsewhere}
}

func inDone() []Operation {
	if broken == "guard" {
		return []Operation{OpExecute, OpCreate}
	}
	return []Operation{OpExecute}
}

func alsoInDone() Place {
	if broken == "guard" {
		return AtTruststore
	}
	return AtReturn
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
			rule := f.rule
			for _, word := range []string{" anchor", " again"} {
				rule = strings.TrimSuffix(rule, word)
			}
			if want := "BREACH [" + rule + "] <nil>"; err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %q:\n%s", err, want, out)
			}
		})
	}
}

// flawed writes the sources with all flaws, which STEWARD_BROKEN chooses from.
func flawed(t *testing.T, root string) (overlay string) {
	t.Helper()
	dir, sources := t.TempDir(), map[string]string{"transfer/broken.go": support}
	for _, f := range slices.Concat(flaws, beside) {
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
