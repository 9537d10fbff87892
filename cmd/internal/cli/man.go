package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"steward/cmd/internal/app"
)

func newMan() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "man", Short: "Write the manual pages, one for each command", Args: noArgs,
		Long: `Writes manual pages of section 1 to a directory: steward.1 and one for each command,
such as steward-serve.1.`,
		Example: "  steward man --dir /usr/local/share/man/man1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return fmt.Errorf("%w: --dir is needed", errMisused)
			}
			if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // G301: manuals are for everybody
				return misusedFile(err)
			}
			return writeManuals(dir, cmd.Root())
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`directory` to write them to")
	return cmd
}

// writeManuals writes the page of a command and of all below it.
func writeManuals(dir string, cmd *cobra.Command) error {
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	err := os.WriteFile(filepath.Join(dir, name+".1"), []byte(manual(cmd)), 0o644) //nolint:gosec // G306: as above
	if err != nil {
		return misusedFile(err)
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			if err := writeManuals(dir, sub); err != nil {
				return err
			}
		}
	}
	return nil
}

// manual returns the page of a command in the language of man(7). It has no date, so
// that the same program makes the same page.
func manual(cmd *cobra.Command) string {
	var b strings.Builder
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %q 1 \"\" %q \"Steward\"\n", strings.ToUpper(name), "steward "+app.Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s", paragraphs(long))
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	options(&b, "OPTIONS", cmd.NonInheritedFlags())
	options(&b, "OPTIONS OF THE COMMANDS ABOVE", cmd.InheritedFlags())
	b.WriteString(".SH EXIT STATUS\n0 for success, 1 for failed, 2 for misused.\n")
	var see []string
	if cmd.HasParent() {
		see = append(see, strings.ReplaceAll(cmd.Parent().CommandPath(), " ", "-"))
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			see = append(see, strings.ReplaceAll(sub.CommandPath(), " ", "-"))
		}
	}
	if len(see) > 0 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n")
		for i, s := range see {
			comma := ","
			if i == len(see)-1 {
				comma = ""
			}
			fmt.Fprintf(&b, ".BR %s (1)%s\n", roff(s), comma)
		}
	}
	return b.String()
}

// options writes a section with flags, if there are any.
func options(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		short := ""
		if f.Shorthand != "" {
			short = "-" + f.Shorthand + ", "
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s", roff(strings.TrimSpace(short+"--"+f.Name+" "+kind)), paragraphs(usage))
	})
}

// paragraphs writes text: empty lines part paragraphs, and what is set in stays as it
// is.
func paragraphs(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		switch bare := strings.TrimSpace(line); {
		case bare == "":
			b.WriteString(".PP\n")
		case line[0] == ' ':
			b.WriteString(".br\n" + roff(strings.TrimSuffix(line, "\n")) + "\n.br\n")
		default:
			b.WriteString(roff(bare) + "\n")
		}
	}
	return b.String()
}

// roff escapes what man(7) takes for its own.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
