package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/est"
)

// maintenance are the flags of commands that change a provider that does not run.
type maintenance struct {
	data, file, name string
}

func (m *maintenance) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.data, "data", "", "`directory` of the provider (default that of --config, else steward-data)")
	f.StringVar(&m.file, "config", "", "TOML `file` with the provider's settings: where its keys are")
	f.StringVar(&m.name, "name", "", "the provider's name, where there is no CA yet")
}

// config reads the provider's settings.
func (m *maintenance) config() (config.Config, error) {
	l, err := layersOf(cmp.Or(m.file, os.Getenv(envName("config"))), pflag.NewFlagSet("", pflag.ContinueOnError))
	if err != nil {
		return config.Config{}, err
	}
	o := l.flags
	if m.data != "" {
		o.Data = m.data
	}
	if m.name != "" {
		o.Name = m.name
	}
	cfg, err := config.New(o)
	if err != nil {
		return cfg, fmt.Errorf("%w: %w", errMisused, err)
	}
	return cfg, nil
}

// do opens the provider for one change.
func (m *maintenance) do(ctx context.Context, change func(*app.Maintenance) error) error {
	cfg, err := m.config()
	if err != nil {
		return err
	}
	open, err := app.OpenMaintenance(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(change(open), open.Close())
}

const onlyStopped = `

The provider must not run: this works on its data directory, and the provider takes
it in at its next start.`

func newCAKeys() *cobra.Command {
	var m maintenance
	var asJSON bool
	cmd := &cobra.Command{
		Use: "keys", Short: "The keys of a provider: where they are, how old, with which certificates", Args: noArgs,
		Long: `Lists the generations of a provider's keys. One is in use ("active"). During a
roll-over there is a next one, which those who rely on the key should come to know;
past ones sign nothing new.` + onlyStopped,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.do(cmd.Context(), func(open *app.Maintenance) error {
				lines, err := open.Keys(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(lines)
				}
				return printKeys(cmd, lines)
			})
		},
	}
	m.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(newKeysRotate(), newKeysEncrypt())
	return cmd
}

func printKeys(cmd *cobra.Command, lines []app.KeyLine) error {
	rows := [][]string{{"PURPOSE", "GENERATION", "STATE", "ALGORITHM", "MADE", "CERTIFICATE", "ENDS", "WHERE"}}
	for _, l := range lines {
		end := ""
		if l.NotAfter != nil {
			end = l.NotAfter.Format(time.DateOnly)
		}
		rows = append(rows, []string{
			l.Purpose, strconv.Itoa(l.Generation), l.State, l.Algorithm, l.MadeAt.Format(time.DateOnly), l.Subject, end, l.Where,
		})
	}
	return table(cmd.OutOrStdout(), rows)
}

func newKeysRotate() *cobra.Command {
	var m maintenance
	var step rolloverStep
	cmd := &cobra.Command{
		Use: "rotate PURPOSE", Short: "Give a purpose a new key", Args: one("purpose"),
		Long: `Makes a new key for a purpose: transfer or suit, whose certificates devices hold;
peer, which partners have pinned; server, web or report. (For root and issuing: steward ca rollover.)

A new key of transfer, suit or peer is not used yet: --finish puts it to use. The
certificate of one of transfer or suit is among the anchors that devices are given,
beside the present one, until all devices have it. Devices that were not given it by then refuse what it signs.

A new key of peer, or of transfer, stands in the identity document from the next
start on (steward partners identity): give that to all partners, who add it as they
added the first. They accept both keys until the new one is seen, which is after
--finish and a start.

The other keys are in use at the next start. After one of server, devices with raw public keys need
another bootstrap.` + onlyStopped,
		RunE: func(cmd *cobra.Command, args []string) error {
			purpose := keys.Name(args[0])
			if purpose == keys.Root || purpose == keys.Issuing {
				return fmt.Errorf("%w: steward ca rollover %s", errMisused, purpose)
			}
			return m.do(cmd.Context(), func(open *app.Maintenance) error { return step.take(cmd, open, purpose) })
		},
	}
	m.flags(cmd)
	step.flags(cmd)
	return cmd
}

// rolloverStep is which step of a roll-over is asked for.
type rolloverStep struct{ finish, withdraw bool }

func (s *rolloverStep) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.finish, "finish", false, "end the roll-over: the next key takes the place of the present one")
	cmd.Flags().BoolVar(&s.withdraw, "withdraw", false, "end the roll-over: the present key stays")
	cmd.MarkFlagsMutuallyExclusive("finish", "withdraw")
}

func (s *rolloverStep) take(cmd *cobra.Command, open *app.Maintenance, purpose keys.Name) error {
	do, said := open.Begin, "begun"
	switch {
	case s.finish:
		do, said = open.Finish, "finished"
	case s.withdraw:
		do, said = open.Withdraw, "withdrawn"
	}
	if err := do(cmd.Context(), purpose); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), "Roll-over of %s: %s.\n", purpose, said)
	return err
}

func newKeysEncrypt() *cobra.Command {
	var m maintenance
	var passphrase string
	cmd := &cobra.Command{
		Use: "encrypt", Short: "Encrypt the keys under a passphrase, or another one", Args: noArgs,
		Long: `Encrypts a provider's keys in files under the passphrase in --passphrase-file. What
opens them until now is what the provider's settings, STEWARD_PASSPHRASE or the
service manager give, or the key in DATA/machine, which is removed.

Afterwards give the provider that passphrase (keys.passphrase-file in its settings,
STEWARD_PASSPHRASE, or the credential steward-passphrase). Without it all keys are
lost.` + onlyStopped,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if passphrase == "" {
				return fmt.Errorf("%w: --passphrase-file is needed", errMisused)
			}
			cfg, err := m.config()
			if err != nil {
				return err
			}
			next, err := config.Keys{PassphraseFile: passphrase}.Passphrase()
			if err != nil {
				return err
			}
			return app.EncryptKeys(cfg, next)
		},
	}
	m.flags(cmd)
	cmd.Flags().StringVar(&passphrase, "passphrase-file", "", "`file` with the new passphrase, mode 0600")
	return cmd
}

func newRollover() *cobra.Command {
	var m maintenance
	var step rolloverStep
	cmd := &cobra.Command{
		Use: "rollover issuing|root", Short: "Replace the key of the issuing CA, or of the root",
		Args: one("issuing or root"),
		Long: `Replaces the key and certificate of a provider's CA in two steps.

The first makes the new one. From the next start on devices are certified by it, and
/crts and the anchors that devices are given have both. Servers still show
certificates of the present one, which devices in the field know. CRLs and statuses
of both go on.

The second, --finish, is for when all devices have the new anchor, by renewal or
bootstrap: servers get new certificates at the next start, and the old CA only signs
CRLs and statuses. For 400 days servers also show what leads to it, 400 bytes more in
a handshake, for devices that know it only; not below a CA that forbids a CA below
this one (path length 0). Then give partners the new identity document.

Roll the root over first, then issuing, finish issuing, finish root: meanwhile /crts
also has the new root and what leads from each root to the other (OldWithNew,
NewWithOld: RFC 4210 section 4.4). A CA below somebody else's is rolled over by
"steward ca request" and "steward ca install".` + onlyStopped,
		ValidArgs: []string{string(keys.Issuing), string(keys.Root)},
		RunE: func(cmd *cobra.Command, args []string) error {
			purpose := keys.Name(args[0])
			if purpose != keys.Root && purpose != keys.Issuing {
				return fmt.Errorf("%w: issuing or root", errMisused)
			}
			return m.do(cmd.Context(), func(open *app.Maintenance) error {
				err := step.take(cmd, open, purpose)
				if errors.Is(err, est.ErrRollover) && !step.finish && !step.withdraw {
					return fmt.Errorf("%w (--finish, --withdraw)", err)
				}
				return err
			})
		},
	}
	m.flags(cmd)
	step.flags(cmd)
	return cmd
}
