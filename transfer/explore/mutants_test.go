package explore_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/lwm2m/machine"
	"steward/transfer"
)

// settingsOfMutants are small: a mutant is dead at the first that breaks.
var settingsOfMutants = []setting{
	{name: "honest", devices: 1, coarse: true},
	{name: "one loss", devices: 1, losses: 1, coarse: true, limit: 30_000},
	{name: "withdrawn", devices: 1, withdraw: true, coarse: true, limit: 30_000},
	{name: "gates", devices: 1, gates: attests | updates, coarse: true, limit: 30_000},
	{name: "attested", devices: 1, gates: attests, sure: true, coarse: true, limit: 15_000},
	{name: "updated", devices: 1, gates: updates, sure: true, coarse: true, limit: 15_000},
	{name: "revised", devices: 1, revise: true, coarse: true, limit: 15_000},
	{name: "dishonest SP1", devices: 1, dishonest: "SP1", coarse: true, limit: 30_000},
	{name: "dishonest SP2", devices: 1, dishonest: "SP2", coarse: true, limit: 30_000},
	{name: "thief", devices: 1, dishonest: "thief", coarse: true, limit: 20_000},
}

// TestMutant explores what a mutant is to be found by. It is run by TestMutants.
func TestMutant(t *testing.T) {
	if os.Getenv("STEWARD_MUTANT") == "" {
		t.Skip("no mutant: see make mutants")
	}
	for _, s := range settingsOfMutants {
		g := explore(newModel(t, s))
		if g.report(t, time.Now()); t.Failed() {
			return
		}
	}
}

// TestTablesLackNothing takes rows out of the tables of the model, one after the other:
// the exploration finds each. All rows and checks are taken out by make mutants.
func TestTablesLackNothing(t *testing.T) {
	honest := settingsOfMutants[0]
	outgoing, incoming := transfer.OutgoingTable(), transfer.IncomingTable()
	lacks := func(table transfer.RowTable, from transfer.RowState, on transfer.RowEvent) transfer.RowTable {
		var out transfer.RowTable
		for _, r := range table {
			if r.From != from || r.On != on {
				out = append(out, r)
			}
		}
		if len(out) != len(table)-1 {
			t.Errorf("no row %s on %s", from, on)
		}
		return out
	}
	for name, change := range map[string]func(*model){
		"COMMITTED after Commit": func(m *model) { m.outgoing = lacks(outgoing, transfer.RowReady, transfer.RowCommit) },
		"RETURNED after the status": func(m *model) {
			m.outgoing = lacks(outgoing, transfer.RowCommitted, transfer.RowFallback)
		},
		"the right opens":   func(m *model) { m.incoming = lacks(incoming, transfer.RowCommitted, transfer.RowPass) },
		"FINALISED counts":  func(m *model) { m.outgoing = lacks(outgoing, transfer.RowReturned, transfer.RowFinal) },
		"ABORTED is not it": func(m *model) { m.outgoing = lacks(outgoing, transfer.RowAborted, transfer.RowCommit) },
	} {
		t.Run(name, func(t *testing.T) {
			s := honest
			if name == "ABORTED is not it" {
				s.losses = 1
			}
			for _, s.reduce = range []bool{false, name == "FINALISED counts"} {
				m := newModel(t, s)
				change(m)
				g := explore(m)
				_, stuck := g.stuck()
				if g.trace == "" && !stuck {
					t.Errorf("the mutant lives; states put together: %t", s.reduce)
				}
			}
		})
	}
}

// A mutant is one change of the sources, switched on by its name. What is checked twice
// has none: the length of a message, and that Commit finds the truststore as it was in
// READY, which freezes it.
type mutant struct {
	name, by string
	of       string // package: "" for the tables
}

// meets reports whether a hunter can notice a mutant at all: what the coordinator checks,
// nobody else runs.
func (m *mutant) meets(hunter string) bool { return m.of != coordinators || hunter == coordinators }

const coordinators = "transfer/coordinator"

// An edit makes a place of a source a mutant: it takes effect where machine.Mutant is
// its name. Old stands once, or in every line of a block.
type edit struct{ file, name, old, mutated string }

// unless is the edit by which a check never fails.
func unless(file, name, old string) edit {
	condition := strings.TrimSuffix(strings.TrimPrefix(old, "if "), " {")
	before := ""
	if i := strings.LastIndex(condition, "; "); i >= 0 {
		before, condition = condition[:i+2], condition[i+2:]
	}
	return edit{file, name, old, fmt.Sprintf("if %smachine.Mutant != %q && (%s) {", before, name, condition)}
}

// never is the edit by which a case never holds. Old is its condition.
func never(file, name, old string) edit {
	return edit{file, name, old, fmt.Sprintf("machine.Mutant != %q && (%s)", name, old)}
}

// always is the edit by which a condition holds always.
func always(file, name, old string) edit {
	return edit{file, name, old, fmt.Sprintf("(machine.Mutant == %q || %s)", name, old)}
}

// edits are the checks that are taken out, each by itself.
var edits = []edit{
	unless("transfer/accept.go", "E1 tag", "if bytes.HasPrefix(raw, tagSign1) {"),
	{
		"transfer/accept.go", "E2 signer", "if a.Domain == Pending || a.Staged || !a.Purposes.Has(purpose) || " +
			"KeyIDOf(a.Certificate) != kid {",
		`if KeyIDOf(a.Certificate) != kid || machine.Mutant != "E2 signer" && ` +
			`(a.Domain == Pending || a.Staged || !a.Purposes.Has(purpose)) {`,
	},
	{
		"transfer/accept.go", "E3 signature", "for _, signer := range signers { // two",
		"if machine.Mutant == \"E3 signature\" {\n\t\treturn unproven, " +
			"nil\n\t}\n\tfor _, signer := range signers { // two",
	},
	unless("transfer/accept.go", "E4 target", "if m.Factory != f.Factory || m.Subject != f.Subject {"),
	unless("transfer/accept.go", "E5 epoch", "if m.Epoch != uint64(f.Epoch)+1 {"),
	unless("transfer/accept.go", "E6 order", "if m.NotBefore >= m.Expires {"),
	unless("transfer/accept.go", "E6 expiry",
		"if !now.IsZero() && !now.Add(-ClockSkew).Before(m.Expires.Time()) {"),
	unless("transfer/deviceevents.go", "E6 at Commit", "if !now.IsZero() && !window.Contains(now, ClockSkew) {"),
	unless("transfer/accept.go", "E7 one too many", "if !slices.ContainsFunc(refs, same) {"),
	unless("transfer/accept.go", "E7 one is missing", "if i < 0 || err != nil {"),
	unless("transfer/accept.go", "E8 URI", "if _, err := HostOf(uri); err != nil {"),
	unless("transfer/accept.go", "E9 host", "if err != nil || here != there {"),
	unless("transfer/accept.go", "E9 anchor", "if !slices.ContainsFunc(f.Truststore, stands) {"),
	unless("transfer/accept.go", "E10 state and installation", "if !f.State.AtRest() || f.Installing {"),
	{
		"transfer/accept.go", "E11 mandate", "return a, f.checkMandate(a)",
		"if machine.Mutant == \"E11 mandate\" {\n\t\treturn a, nil\n\t}\n\treturn a, f.checkMandate(a)",
	},
	never("transfer/accept.go", "E11 the mandate of the message", "signed.Hash != a.Message.Mandate"),
	always("transfer/accept.go", "E11 device", "m.Names(f.Factory, f.Subject)"),
	always("transfer/accept.go", "E11 application", "(!keeps || m.MayKeepApplication())"),
	always("transfer/mandate.go", "E11 outgoing provider", "m.From == from"),
	always("transfer/mandate.go", "E11 incoming provider", "m.To == to"),
	always("transfer/mandate.go", "E11 window", "w.Within(m.Window)"),
	always("transfer/mandate.go", "mandate: list", "slices.Contains(m.Devices.Factory, factory)"),
	always("transfer/mandate.go", "mandate: prefix", "strings.HasPrefix(subject, prefix)"),
	always("transfer/mandate.go", "as strict: attestation", "(m.NeedsAttestation() || !first.NeedsAttestation())"),
	always("transfer/mandate.go", "as strict: sequence", "m.SequenceLimit() <= first.SequenceLimit()"),
	always("transfer/mandate.go", "as strict: application", "(!m.MayKeepApplication() || first.MayKeepApplication())"),
	never("transfer/coordinator/extend.go", "extension: not later", "w.Latest <= t.Window.Latest"),
	never("transfer/coordinator/extend.go", "extension: nothing was asked", "t.Asked.Latest == 0 || err != nil"),
	never("transfer/coordinator/extend.go", "extension: another end than asked",
		"!e.Latest.IsZero() && transfer.SecondsOf(e.Latest) != t.Asked.Latest"),
	never("transfer/coordinator/extend.go", "extension: issuer of the mandate",
		"b.Issuer != a.Issuer || b.From != a.From || b.To != a.To"),
	never("transfer/coordinator/extend.go", "extension: window of the mandate",
		"!x.Window.Within(b.Window) || b.Expires < x.Window.Latest"),
	never("transfer/coordinator/extend.go", "extension: as strict", "!b.AsStrictAs(a)"),
	never("transfer/coordinator/extend.go", "extension: device not in the mandate", "err == nil && !named"),
	never("transfer/coordinator/extend.go", "extension: to another offer",
		"a.Issuer != from.Name || a.Audience != c.o.Name || string(a.Transfer) != string(t.Key()) || a.Offer != t.Offer"),
	never("transfer/coordinator/extend.go", "extension: not what was asked",
		"a.Window != t.Asked || a.Mandate != t.AskedMandate"),
	never("transfer/coordinator/renew.go", "extension: message outlived",
		"err == nil && !now.Before(m.Body.Expires.Time())"),
	{
		"transfer/coordinator/revise.go", "revision: voids the offer it was sent under",
		"if t.Revised, t.Reason = true, \"\"; t.State != transfer.BatchStaging {",
		"if t.Revised, t.Reason = true, \"\"; machine.Mutant != \"revision: voids the offer it was sent under\" && " +
			"t.State != transfer.BatchStaging {",
	},
	{
		"transfer/coordinator/revise.go", "revision: voids the offer it answers",
		"if t.State != transfer.BatchStaging {\n\t\tt.void()",
		"if machine.Mutant != \"revision: voids the offer it answers\" && t.State != transfer.BatchStaging {\n\t\tt.void()",
	},
	never("transfer/coordinator/revise.go", "revision: not later", "info.Body.IssuedAt <= old.Body.IssuedAt"),
	never("transfer/coordinator/revise.go", "revision: of other devices", "!sameDevices(rows, info.Body.Devices)"),
	never("transfer/coordinator/revise.go", "revision: another mandate", "info.Body.Mandate != old.Body.Mandate"),
	never("transfer/coordinator/revise.go", "revision: another verifier",
		"!sameDemand(info.Body.Devices, old.Body.Devices[0])"),
	unless("transfer/coordinator/revise.go", "revision: READY says something else",
		"if err != nil || !transfer.SameManifests(ready.Body.Installed, p.Switch.Manifests) {"),
	unless("transfer/coordinator/staging.go", "revision: READY waits for it",
		"if s.row.outdated(signed.Body.Installed) {"),
	unless("transfer/deviceevents.go", "the order names the message",
		"if o != OrderOf(d.nv.Epoch, d.nv.Hash) {"),
	unless("transfer/deviceevents.go", "Commit in READY alone", "if d.nv.State != Ready {"),
	unless("transfer/steps.go", "certificate is for the key",
		"if !ok || !public.Equal(certificate.PublicKey) {"),
	unless("transfer/truststore.go", "signer bits",
		"if purposes&^(knownPurposes&^SignerPurposes&^Fallback|before) != 0 {"),
	unless("transfer/truststore.go", "permanent anchors stay",
		"if i < 0 || truststore[i].Domain == Permanent {"),
	{
		"transfer/guard.go", "the rule table", "return slices.ContainsFunc(GuardTable()",
		"if machine.Mutant == \"the rule table\" {\n\t\treturn " +
			"true\n\t}\n\treturn slices.ContainsFunc(GuardTable()",
	},
	unless("transfer/twicesigned.go", "receipt: a signature",
		"if _, err := message.Verify(i, verifier, nil, k.aad()); err != nil {"),
	unless("transfer/receipt.go", "receipt: the device",
		"if factory == nil || signed.Body.Factory != HashOf(factory.Raw) || "+
			"signed.Signer != KeyIDOf(factory.Raw) {"),
	unless("transfer/receipt.go", "receipt: the chain",
		"if r.Previous != previous.Hash || r.Factory != p.Factory || r.Message "+
			"!= p.Message || r.Epoch != p.Epoch ||\n\t\tr.Destination != "+
			"p.Destination {"),
	unless("transfer/coordinator/evidence.go", "the inventory",
		"if record.Kind != est.KindOperational || record.Factory != "+
			"r.factoryHash() {"),
	unless("transfer/coordinator/evidence.go", "revocation", "if err := record.Live(time.Now()); err != nil {"),
	unless("transfer/coordinator/devicecalls.go", "7b",
		"if err := c.compareReady(ctx, t, r, signed); err != nil {"),
	unless("transfer/coordinator/fallback.go", "FALLBACK follows READY",
		"if err := signed.Body.Follows(ready); err != nil {"),
	unless("transfer/coordinator/rights.go", "the row is as it was read", "if now.Version != s.row.Version {"),
	unless("est/enrol.go", "the right", "if err := ca.admits(right, o.csr.SPKI); err != nil {"),
	unless("est/enrol.go", "the right's key", "if r.SPKI != (Hash{}) && r.SPKI != spki {"),
	unless("est/enrol.go", "the right's end",
		"if r.State == RightOpen && !r.Until.IsZero() && now.After(r.Until) {"),
}

// claims are the comparisons that stand one in a line.
var claims = []struct{ file, function, name string }{
	{"transfer/evidence.go", "func CompareReady(", "7b"},
	{"transfer/evidence.go", "func CompareDone(", "DONE"},
	{"transfer/evidence.go", "func CompareFinalised(", "FINALISED"},
	{"transfer/evidence.go", "func CompareFellBack(", "FELL_BACK"},
	{"transfer/planner.go", "func VerifyOffer(", "offer"},
	{"transfer/rightstatus.go", "func CompareRight(", "RightStatus"},
	{"transfer/rightstatus.go", "func CompareEnrolled(", "RightStatus"},
	{"transfer/rightstatus.go", "func CompareClosed(", "RightStatus"},
}

// tables are those whose rows are taken out.
var tables = []struct{ file, name, old, mutated string }{
	{
		"transfer/devicetable.go", "device", "func DeviceTable() machine.Table[DeviceState, DeviceEvent, " +
			"DeviceEffect] {",
		"func DeviceTable() machine.Table[DeviceState, DeviceEvent, " +
			"DeviceEffect] {\n\treturn machine.Without(\"device\", " +
			"deviceTable())\n}\n\nfunc deviceTable() machine.Table[DeviceState, " +
			"DeviceEvent, DeviceEffect] {",
	},
	{
		"transfer/row.go", "outgoing", "func OutgoingTable() RowTable {",
		"func OutgoingTable() RowTable { return machine.Without(\"outgoing\", " +
			"outgoingTable()) }\n\nfunc outgoingTable() RowTable {",
	},
	{
		"transfer/row.go", "incoming", "func IncomingTable() RowTable {",
		"func IncomingTable() RowTable { return machine.Without(\"incoming\", " +
			"incomingTable()) }\n\nfunc incomingTable() RowTable {",
	},
	{
		"transfer/batch.go", "batch", "func BatchTable() machine.Table[BatchState, BatchEvent, BatchEffect] {",
		"func BatchTable() machine.Table[BatchState, BatchEvent, BatchEffect] " +
			"{\n\treturn machine.Without(\"batch\", batchTable())\n}\n\nfunc " +
			"batchTable() machine.Table[BatchState, BatchEvent, BatchEffect] {",
	},
	{
		"est/right.go", "right", "var RightTable = machine.Table[RightState, RightEvent, RightEffect]{",
		"var RightTable = machine.Without(\"right\", rightTable)\n\nvar " +
			"rightTable = machine.Table[RightState, RightEvent, RightEffect]{",
	},
}

// switchSource is added to package machine.
const switchSource = `package machine

import (
	"os"
	"slices"
)

// Mutant is the name of the mutant that is on.
var Mutant = os.Getenv("STEWARD_MUTANT")

// Without returns t without the row that is the mutant.
func Without[S, E, D ~string](name string, t Table[S, E, D]) Table[S, E, D] {
	return slices.DeleteFunc(slices.Clone(t), func(r Row[S, E, D]) bool {
		return Mutant == name+": "+string(r.From)+" on "+string(r.On)
	})
}
`

func rows[S, E, D ~string](name string, t machine.Table[S, E, D]) (out []mutant) {
	for _, r := range t {
		out = append(out, mutant{name: fmt.Sprintf("%s: %s on %s", name, r.From, r.On)})
	}
	return out
}

// overlay writes the mutated sources and returns the file for -overlay, and the
// mutants.
func overlay(t *testing.T, root string) (string, []mutant) {
	t.Helper()
	dir, sources := t.TempDir(), map[string]string{}
	source := func(file string) string {
		if _, ok := sources[file]; !ok {
			raw, err := os.ReadFile(filepath.Join(root, file))
			check(t, err)
			sources[file] = string(raw)
		}
		return sources[file]
	}
	var mutants []mutant
	replace := func(file, old, mutated string) {
		if n := strings.Count(source(file), old); n == 0 {
			t.Errorf("%s: %q does not stand there", file, old)
		}
		sources[file] = strings.Replace(source(file), old, mutated, 1)
	}
	for _, e := range edits {
		replace(e.file, e.old, e.mutated)
		mutants = append(mutants, mutant{name: e.name, of: path.Dir(e.file)})
	}
	for _, c := range claims {
		before, rest, _ := strings.Cut(source(c.file), c.function)
		body, after, _ := strings.Cut(rest, "\n}\n")
		lines := strings.Split(body, "\n")
		for i, l := range lines {
			claim, what, ok := strings.Cut(strings.TrimSpace(l), `, "`)
			what, _, end := strings.Cut(what, `"},`)
			if !ok || !end || !strings.HasPrefix(claim, "{") {
				continue
			}
			name := c.name + " " + what
			lines[i] = fmt.Sprintf("{machine.Mutant == %q || (%s), %q},", name, claim[1:], what)
			mutants = append(mutants, mutant{name: name})
		}
		sources[c.file] = before + c.function + strings.Join(lines, "\n") + "\n}\n" + after
	}
	for _, table := range tables {
		replace(table.file, table.old, table.mutated)
	}
	mutants = slices.Concat(mutants, rows("device", transfer.DeviceTable()), rows("outgoing", transfer.OutgoingTable()),
		rows("incoming", transfer.IncomingTable()), rows("batch", transfer.BatchTable()), rows("right", est.RightTable))
	sources["lwm2m/machine/mutant.go"] = switchSource
	replaced := map[string]string{}
	for i, file := range slices.Sorted(maps.Keys(sources)) {
		text := sources[file]
		if !strings.Contains(text, "steward/lwm2m/machine") && file != "lwm2m/machine/mutant.go" {
			text = strings.Replace(text, "import (\n", "import (\n\t\"steward/lwm2m/machine\"\n", 1)
		}
		to := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		check(t, os.WriteFile(to, []byte(text), 0o600))
		replaced[filepath.Join(root, file)] = to
	}
	raw, err := json.Marshal(map[string]any{"Replace": replaced})
	check(t, err)
	name := filepath.Join(dir, "overlay.json")
	check(t, os.WriteFile(name, raw, 0o600))
	return name, mutants
}

// TestMutantsStand: each place that a mutant changes is there.
func TestMutantsStand(t *testing.T) {
	root, err := filepath.Abs("../..")
	check(t, err)
	if _, mutants := overlay(t, root); len(mutants) < 300 {
		t.Errorf("%d mutants", len(mutants))
	}
}

// hunters are what a mutant meets, one after the other: the exploration, then the tests
// of the threats (§9).
var hunters = []struct{ pkg, run string }{
	{"transfer/explore", "^TestMutant$"},
	{
		"transfer", "^(TestT[0-9].*|TestAccept|TestAcceptOnce|TestCompareReady|TestVerifyOffer|TestOfferRefuses.*|" +
			"TestJudgeInfo|TestPartyOf|TestReadyIsFrozen|TestEvidence|TestReceipt|TestReceiptChain|TestTruststore.*|" +
			"TestCommandAnchors|TestDeviceRefusesMisuse|TestDetours|TestDoneFinalisesItself|TestDoneFallsBack|" +
			"TestCompareRight|TestMandateNames|TestAsStrictAs)$",
	},
	{"est", "^(TestT[0-9].*|TestEnrol.*|TestRight.*|TestReopen.*|TestConcurrent.*)$"},
	{
		coordinators, "^(TestT[0-9].*|TestHeldCommit|TestUnknownAfterTheWindow|TestWithdraw|" +
			"TestPause|TestOneRightOpen|TestClosedStaysClosed|TestAgreementComesLate|TestLostAnswers|TestFallback|" +
			"TestHandOver|TestCommands|" +
			"TestExtension.*|TestRevis.*|TestTells.*|TestRightOf.*|TestOfferExpires|TestMandate.*)$",
	},
}

// TestMutants takes out every row of every table and every check, one at a time: each
// must be found. It prints who found which.
func TestMutants(t *testing.T) {
	if os.Getenv("STEWARD_MUTANTS") == "" {
		t.Skip("takes minutes: make mutants")
	}
	root, err := filepath.Abs("../..")
	check(t, err)
	file, mutants := overlay(t, root)
	if only := os.Getenv("STEWARD_MUTANTS"); only != "1" {
		wanted := regexp.MustCompile(only)
		mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !wanted.MatchString(m.name) })
	}
	bin := t.TempDir()
	for i, h := range hunters {
		build := exec.CommandContext(t.Context(), "go", "test", "-c", "-trimpath", "-overlay", file,
			"-o", filepath.Join(bin, fmt.Sprint(i)), "./"+h.pkg)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range mutants {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			m := &mutants[i]
			hunt(t, root, bin, m)
			t.Logf("%-55s %s", m.name, cmp.Or(m.by, "ALIVE"))
		})
	}
	wg.Wait()
	alive := 0
	for _, m := range mutants {
		if m.by == "" {
			alive++
			t.Errorf("%s: nobody finds it", m.name)
		}
	}
	t.Logf("%d mutants, %d alive", len(mutants), alive)
}

// hunt runs the hunters until one fails.
func hunt(t *testing.T, root, bin string, m *mutant) {
	t.Helper()
	for i, h := range hunters {
		if !m.meets(h.pkg) {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		run := exec.CommandContext(ctx, filepath.Join(bin, fmt.Sprint(i)), "-test.run", h.run, "-test.failfast")
		run.Dir, run.Env = filepath.Join(root, h.pkg), append(os.Environ(), "STEWARD_MUTANT="+m.name)
		out, err := run.CombinedOutput()
		late := ctx.Err() != nil
		cancel()
		if _, failed := errors.AsType[*exec.ExitError](err); err == nil || !failed && !late {
			continue
		}
		m.by = h.pkg + ": " + finding(out, late)
		return
	}
}

// finding is the line that says what was found.
func finding(out []byte, late bool) string {
	if late {
		return "does not end"
	}
	for l := range bytes.SplitSeq(out, []byte("\n")) {
		text := strings.TrimSpace(string(l))
		if strings.HasPrefix(text, "--- FAIL: ") && !strings.HasPrefix(text, "--- FAIL: TestMutant") {
			return strings.Fields(text)[2]
		}
		_, what, ok := strings.Cut(text, "mutants_test.go:")
		if _, what, _ = strings.Cut(what, ": "); ok && what != "" && !strings.Contains(what, " states, ") &&
			!strings.Contains(what, "complete for the first") {
			return what
		}
	}
	return "ends"
}
