package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"steward/cmd/internal/config"
)

// envPrefix begins the variables that give settings: STEWARD_PUBLIC_COAPS is
// --public-coaps.
const envPrefix = "STEWARD_"

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// environment sets the flags that variables give and the command line does not.
func environment(f *pflag.FlagSet) (err error) {
	f.VisitAll(func(flag *pflag.Flag) {
		value, there := os.LookupEnv(envName(flag.Name))
		if !there || flag.Changed || err != nil {
			return
		}
		if e := flag.Value.Set(value); e != nil {
			err = fmt.Errorf("%w: %s: %w", errMisused, envName(flag.Name), e)
		}
	})
	return err
}

// layers are the settings, from the weakest source to the strongest.
type layers struct {
	byDefault, file, environment, flags config.Options
}

// layersOf reads the settings of the file, of the environment, and of the flags in
// given, as serveFlags names them.
func layersOf(file string, given *pflag.FlagSet) (l layers, err error) {
	l.byDefault = config.Default()
	l.file = config.Default()
	if file != "" {
		if err := l.file.Load(file); err != nil {
			return l, fmt.Errorf("%w: %w", errMisused, err)
		}
	}
	l.environment = l.file
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	serveFlags(f, &l.environment)
	if err := environment(f); err != nil {
		return l, err
	}
	l.flags = merge(given, l.environment)
	return l, nil
}

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "The settings of a provider, and where each comes from", Args: noArgs,
		Long: `Settings come from defaults, then the file (--config), then variables of the environment
(STEWARD_ and the flag's name: STEWARD_PUBLIC_COAPS), then flags.`,
		Example: "  steward config show --config /etc/steward/steward.toml",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigShow())
	return cmd
}

// A shownSetting is a setting as "config show" prints it.
type shownSetting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"` // default, file, environment, flag
}

func newConfigShow() *cobra.Command {
	flags := config.Default()
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show", Short: "Show the settings that \"steward serve\" would have, and where each comes from", Args: noArgs,
		Long: `Shows the settings that "steward serve" would have with the same flags, the same file and
the same environment: name (as the file has it), value, source. Secrets are not shown.
Settings that cannot be used are refused as serve refuses them; keys of the file that
nobody knows, too.`,
		Example: `  steward config show --config steward.toml
  STEWARD_COAPS=:15684 steward config show --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := layersOf(cmp.Or(file, os.Getenv(envName("config"))), cmd.Flags())
			if err != nil {
				return err
			}
			if _, err := config.New(l.flags); err != nil {
				return fmt.Errorf("%w: %w", errMisused, err)
			}
			all, err := l.shown()
			if err != nil {
				return err
			}
			o := operator{asJSON: asJSON}
			return o.print(cmd, all, func() [][]string {
				rows := [][]string{{"SETTING", "VALUE", "SOURCE"}}
				for _, s := range all {
					rows = append(rows, []string{s.Name, s.Value, s.Source})
				}
				return rows
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "TOML `file` with settings")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	serveFlags(f, &flags)
	return cmd
}

// shown returns the settings with their sources, in the order of their names.
func (l layers) shown() ([]shownSetting, error) {
	sources := []struct {
		name string
		o    config.Options
	}{{"default", l.byDefault}, {"file", l.file}, {"environment", l.environment}, {"flag", l.flags}}
	var out []shownSetting
	at := map[string]int{}
	for _, source := range sources {
		values, err := source.o.Flat()
		if err != nil {
			return nil, err
		}
		for name, value := range values {
			i, there := at[name]
			if !there {
				i = len(out)
				at[name] = i
				out = append(out, shownSetting{Name: name, Value: value, Source: source.name})
			} else if out[i].Value != value {
				out[i].Value, out[i].Source = value, source.name
			}
		}
	}
	slices.SortFunc(out, func(a, b shownSetting) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}
