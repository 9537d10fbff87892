package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"steward/suit"
	"steward/suit/process"
)

func newSUITRun() *cobra.Command {
	var d simDevice
	var asJSON bool
	cmd := &cobra.Command{
		Use: "run [flags] ENVELOPE", Short: "Carry a manifest out on a simulated device", Args: one("envelope"),
		Long: `Carries a manifest out on a device in memory, which is gone afterwards: the update,
and then the start of what was installed. Each command is printed before it runs,
as SECTION@OFFSET, its name and the index of the component; then the outcome and
the device's report (draft-ietf-suit-report).

The device trusts each --key, has the components of the manifest, empty, and is of
the vendor and class that the manifest asks for; flags make it another one. What it
fetches comes from --payload. It is charged, its user agrees to everything, and
what it waits for comes at once.

The exit status is 1 if the update fails.`,
		Example: "  steward suit run --key author.pub.pem --payload coap://host/fw=fw.bin signed.suit",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd, args[0], d, asJSON) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&d.keys, "key", nil, "public key `file` that the device trusts; may be repeated")
	f.StringArrayVar(&d.decrypt, "decrypt", nil, "key `file` of the device or its group; may be repeated")
	f.StringArrayVar(&d.payloads, "payload", nil, "what the device fetches, `URI=FILE`; may be repeated")
	f.StringArrayVar(&d.components, "component", nil, "`path` of a further component, for dependencies; may be repeated")
	f.StringVar(&d.vendor, "vendor", "", "vendor's domain or UUID (default that of the manifest)")
	f.StringVar(&d.class, "class", "", "UUID, or name with --vendor (default that of the manifest)")
	f.StringVar(&d.device, "device", "", "UUID of the device (default that of the manifest)")
	f.Uint64Var(&d.slot, "slot", 0, "slot of the components that is to be written (A/B)")
	f.Uint64Var(&d.installed, "installed", 0, "sequence number of what is installed (default nothing is)")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// A trial is what "suit run --json" prints.
type trial struct {
	Steps     []string       `json:"steps"`
	Installed bool           `json:"installed"`
	Sizes     map[string]int `json:"components"` // bytes
	Invoked   []string       `json:"invoked"`
	Error     string         `json:"error,omitempty"`
	Result    string         `json:"result"`
	Records   []string       `json:"records"`
	Report    []byte         `json:"report"` // CBOR
}

func run(cmd *cobra.Command, name string, d simDevice, asJSON bool) error {
	switch {
	case len(d.keys) == 0:
		return errNoKey
	case d.class != "" && d.vendor == "" && uuidOr(d.class, zeroUUID).IsZero():
		return fmt.Errorf("%w: --class %q needs --vendor", errMisused, d.class)
	}
	raw, e, err := decodeInput(cmd, name)
	if err != nil {
		return err
	}
	o, target, err := d.options(e)
	if err != nil {
		return err
	}
	t := trial{Steps: []string{}}
	out := cmd.OutOrStdout()
	var broken error // of stdout
	o.Trace = func(s process.Step) {
		t.Steps = append(t.Steps, s.String())
		if !asJSON && broken == nil {
			_, broken = fmt.Fprintln(out, s)
		}
	}
	p, err := processor(o)
	if err != nil {
		return err
	}
	report, failed := tryOut(cmd.Context(), p, raw)
	t.finish(target, report, failed)
	switch {
	case asJSON:
		broken = json.NewEncoder(out).Encode(t)
	case broken == nil:
		broken = t.print(out)
	}
	if failed != nil {
		failed = fmt.Errorf("%s: %w", name, failed)
	}
	return errors.Join(failed, broken)
}

// tryOut updates the device, starts it, and returns its report.
func tryOut(ctx context.Context, p *process.Processor, raw []byte) (*suit.Report, error) {
	k, err := p.Open(ctx, raw)
	if err != nil {
		return p.Report(raw, err, nil), err
	}
	if err = k.Install(ctx); err == nil && len(k.Manifest.Sections[suit.SectionInvoke]) > 0 {
		err = k.Invoke(ctx)
	}
	return k.Report(err, nil), err
}

// finish describes the device afterwards.
func (t *trial) finish(target *simTarget, report *suit.Report, err error) {
	t.Installed = len(target.installed.Envelope) > 0
	t.Sizes = make(map[string]int, len(target.contents))
	for id, content := range target.contents {
		t.Sizes[id.String()] = len(content)
	}
	t.Invoked, t.Report, t.Result = texts(target.invoked), report.Encode(), suit.ReportOK.String()
	if err != nil {
		t.Error = err.Error()
	}
	t.Records = make([]string, 0, len(report.Records))
	for _, r := range report.Records {
		t.Records = append(t.Records, describeRecord(r))
	}
	if f := report.Failure; f != nil {
		t.Result = f.Reason.String()
		if f.Record.Section != 0 { // a command failed
			t.Result += ": " + describeRecord(f.Record)
		}
	}
}

// print prints what came after the steps.
func (t *trial) print(w io.Writer) error {
	var b strings.Builder
	if t.Installed {
		b.WriteString("installed\n")
	} else {
		b.WriteString("not installed\n")
	}
	for _, id := range t.Invoked {
		_, _ = fmt.Fprintf(&b, "invoked %s\n", id)
	}
	_, _ = fmt.Fprintf(&b, "report: %s\n", t.Result)
	for _, r := range t.Records {
		_, _ = fmt.Fprintf(&b, "  %s\n", r)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// describeRecord says where a command stands, and what it measured.
func describeRecord(r suit.Record) string {
	var b strings.Builder
	for _, n := range r.Manifest {
		_, _ = fmt.Fprintf(&b, "%d/", n)
	}
	if r.System != "" {
		b.WriteString(r.System.String())
	} else {
		_, _ = fmt.Fprintf(&b, "%s@%d [%d]", sectionOf(r.Section), r.Offset, r.Component)
	}
	for _, p := range r.Parameters {
		_, _ = fmt.Fprintf(&b, " %v=%v", p.Key, p)
	}
	return b.String()
}

// sectionOf returns the section that stands in an element.
func sectionOf(element suit.Element) suit.Section {
	for _, s := range []suit.Section{
		suit.SectionDependencies, suit.SectionFetch, suit.SectionCandidate, suit.SectionInstall, suit.SectionValidate,
		suit.SectionLoad, suit.SectionInvoke, suit.SectionUninstall,
	} {
		if s.Element() == element {
			return s
		}
	}
	return suit.SectionShared
}
