package cli_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"steward/cmd/internal/cli"
	"steward/lwm2m/machine/machinetest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestCommandReference keeps the reference of all commands as the program says it.
func TestCommandReference(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Commands\n\nMade from the program by `make golden`: the same as `steward help COMMAND`.\n")
	describe(&b, cli.NewRoot())
	machinetest.Golden(t, "../../../docs/reference/commands.md", b.String(), *update)
}

func describe(b *strings.Builder, c *cobra.Command) {
	if c.Hidden || c.Name() == "help" {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n", c.CommandPath(), strings.TrimSpace(c.Short)+".")
	fmt.Fprintf(b, "\n```text\n%s\n```\n", c.UseLine())
	if c.Long != "" {
		fmt.Fprintf(b, "\n```text\n%s\n```\n", strings.TrimRight(c.Long, "\n"))
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.TrimRight(c.Example, "\n"))
	}
	head := "\n| flag | default | means |\n|---|---|---|\n"
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, "%s| `--%s` | %s | %s |\n", head, strings.TrimSpace(f.Name+" "+name), defaultOf(f), inTable(usage))
		head = ""
	})
	for _, sub := range c.Commands() {
		describe(b, sub)
	}
}

func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "[]", "0", "0s":
		return ""
	default:
		return "`" + inTable(f.DefValue) + "`"
	}
}

// inTable makes text fit for a cell.
func inTable(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(text)
}
