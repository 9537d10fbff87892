package cli_test

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"steward/cmd/internal/cli"
)

// TestExamples holds that every command shows examples, and that these are of commands,
// flags and numbers of arguments that there are.
func TestExamples(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" {
			return
		}
		if c.Example == "" {
			t.Errorf("%s has no example: give it one, or a line in examples", c.CommandPath())
		}
		own := false
		for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", " ")) {
			_, line, ok := strings.Cut(" "+line, " steward ") // after variables of the environment
			if !ok {
				continue
			}
			line, _, _ = strings.Cut(line, " | ")
			line, _, _ = strings.Cut(line, " > ")
			line, _, _ = strings.Cut(line, " #")
			line = strings.TrimSuffix(strings.TrimSpace(line), " &")
			parse(t, c.CommandPath(), line)
			own = own || strings.HasPrefix("steward "+line, c.CommandPath())
		}
		if !own {
			t.Errorf("%s: no example is of it: %q", c.CommandPath(), c.Example)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(cli.NewRoot())
}

// parse has a fresh command tree take the words of an example, up to running it.
func parse(t *testing.T, of, line string) {
	t.Helper()
	args := words(line)
	cmd, rest, err := cli.NewRoot().Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil {
		t.Errorf("%s: the example %q: %v", of, strings.TrimSpace(line), err)
	}
}

// words splits a line as a shell does, with quotes of one kind.
func words(line string) (all []string) {
	for i, part := range strings.Split(strings.ReplaceAll(line, `"`, "'"), "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

// TestExamplesAreUsed has no line in examples be of no command, or of one that has
// examples of its own.
func TestExamplesAreUsed(t *testing.T) {
	for command := range cli.Examples() {
		found, rest, err := cli.NewRoot().Find(strings.Fields(command))
		if err != nil || len(rest) > 0 || found == nil {
			t.Errorf("examples has %q, which is no command", command)
		}
	}
}
