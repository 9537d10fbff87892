package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"steward/cmd/internal/config"
)

// knownVariables returns the names of the variables that mean something.
func knownVariables() []string {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	serveFlags(f, &config.Options{})
	known := []string{config.PassphraseVariable}
	for _, name := range []string{"config", "log-level", "log-json"} {
		known = append(known, envName(name))
	}
	f.VisitAll(func(flag *pflag.Flag) { known = append(known, envName(flag.Name)) })
	return known
}

// errVariables reports variables that mean nothing.
var errVariables = errors.New("variables of the environment that mean nothing")

// serviceLink is what Kubernetes gives every container for a service named steward.
var serviceLink = regexp.MustCompile(
	`^STEWARD_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_[A-Z]+(_[A-Z]+)?)?)$`)

// checkVariables returns errVariables if the environment has variables that begin as
// ours do and mean nothing: a misspelt setting must not go unnoticed.
func checkVariables(environ []string) error {
	known := knownVariables()
	var strange []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || serviceLink.MatchString(name) {
			continue
		}
		text := name
		if near := nearest(name, known); near != "" {
			text += " (" + near + "?)"
		}
		strange = append(strange, text)
	}
	if len(strange) == 0 {
		return nil
	}
	slices.Sort(strange)
	return fmt.Errorf("%w: %s", errVariables, strings.Join(strange, ", "))
}

// refuseVariables has "serve", and "config show" which speaks for it, refuse variables
// that mean nothing; other commands warn of them.
func refuseVariables(cmd *cobra.Command, _ []string) error {
	err := checkVariables(os.Environ())
	switch {
	case err == nil, cmd.Hidden:
		return nil
	case cmd.CommandPath() == "steward serve", cmd.CommandPath() == "steward config show":
		return fmt.Errorf("%w: %w", errMisused, err)
	default:
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "steward: warning:", err)
		return nil
	}
}

// nearest returns the one of known that differs from name in the fewest letters; "" if
// none is near.
func nearest(name string, known []string) (near string) {
	least := len(name[len(envPrefix):])/3 + 1 //nolint:mnd // a third of the letters may be wrong
	for _, k := range known {
		if d := distance(name, k); d <= least {
			near, least = k, d-1
		}
	}
	return near
}

// distance is how many bytes must be put in, taken out or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := min(row[j], row[j+1]) + 1
			if a[i] == b[j] {
				next = min(next, diagonal)
			} else {
				next = min(next, diagonal+1)
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
