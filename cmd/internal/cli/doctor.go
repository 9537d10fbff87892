package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/config"
	"steward/cmd/internal/doctor"
)

// errUnwell reports findings that are errors.
var errUnwell = errors.New("something is wrong")

func newDoctor() *cobra.Command {
	flags := config.Default()
	var file string
	var asJSON bool
	o := doctor.Options{Now: time.Now, Built: built()}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look at a provider and its machine, and say what is wrong and what helps", Args: noArgs,
		Long: `Looks at the provider in --data, running or stopped, and at the machine: rights of
files, clock, random numbers, socket buffers, file descriptors, disk, certificates and
their keys, CRLs of factories, schema and integrity of the database, audit chain, ports;
of one that runs also the dashboard and the address that devices are told, by a real DTLS
handshake; partners' listeners with their pinned keys, and when their certificates end.
Give it what "steward serve" is given, by the same flags, file and environment: it looks
at what that would run.

Each finding is ok, warning or error, with its remedy. It changes nothing. The exit
status is 1 if anything is an error.`,
		Example: `  steward doctor --config /etc/steward.toml
  steward doctor --data alpha --coaps :15684 --peer off
  steward doctor --data steward-data --time-url https://partner.example --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := layersOf(cmp.Or(file, os.Getenv(envName("config"))), cmd.Flags())
			if err != nil {
				return err
			}
			if o.Config, err = config.New(l.flags); err != nil {
				return fmt.Errorf("%w: %w", errMisused, err)
			}
			all := doctor.Examine(cmd.Context(), o)
			out := operator{asJSON: asJSON}
			err = out.print(cmd, all, func() [][]string {
				rows := [][]string{{"LEVEL", "CHECK", "FINDING"}}
				for _, f := range all {
					rows = append(rows, []string{string(f.Level), f.Check, f.Text})
					if f.Remedy != "" && f.Level != doctor.OK {
						rows = append(rows, []string{"", "", "→ " + f.Remedy})
					}
				}
				return rows
			})
			if err == nil && doctor.Worst(all) == doctor.Error {
				return fmt.Errorf("%w: see the findings that are errors", errUnwell)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "TOML `file` with settings")
	serveFlags(f, &flags)
	f.StringVar(&o.TimeURL, "time-url", "", "compare the clock with that of this `URL`'s server")
	f.BoolVar(&o.Quick, "quick", false, "do not read the whole database")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// built returns when the program's source was committed; zero if it does not know.
func built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, err := time.Parse(time.RFC3339, s.Value)
			if err == nil {
				return t
			}
		}
	}
	return time.Time{}
}
