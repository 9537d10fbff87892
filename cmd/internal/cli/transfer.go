package cli

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/keys"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// errUnproved reports a record that does not prove what it says.
var errUnproved = errors.New("the record does not prove the hand-over")

func (o *operator) transferRecord() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "record ID", Short: "Fetch the signed record of a transfer", Args: one("transfer"),
		Long: `Writes all that the provider knows of a transfer, signed by it: mandate, information,
offer, and for each device its order, receipts, attestation and the revocation of what
it had. "steward transfer verify" checks it, on any machine.`,
		Example: "  steward transfer record 5f0c… --out fleet.record\n  steward transfer verify fleet.record",
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			raw, err := api.Fetch(cmd.Context(), "/transfers/"+url.PathEscape(args[0])+"/record")
			if err != nil {
				return err
			}
			if out == "" {
				out = args[0] + ".record"
			}
			return keys.WriteFile(out, raw)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write (default ID.record)")
	return cmd
}

func (o *operator) transferVerify() *cobra.Command {
	var identities []string
	var all bool
	cmd := &cobra.Command{
		Use: "verify RECORD...", Short: "Check the records of transfers, offline: one, or a chain of custody",
		Args: cobra.MinimumNArgs(1),
		Long: `Checks every signature in a record, that its documents belong together, and that
each device's receipts prove where it belongs now. It asks nobody.

Without --identity the certificates in the record are believed: compare the
fingerprints that are printed. With it, only those of the identity files count, which
providers show at Partners and owners make with their key.

Of several records, or a directory of them (*.record), it also checks the chain of
custody: for each device that who gives it is who got it before, by the receipt that it
came with, that its epoch rose, and that the same names sign with the same keys.

Status 0 says that everything is proved, 1 that something is not.`,
		Example: "  steward transfer verify fleet.record --identity alpha.json --identity beta.json --identity owner.json\n" +
			"  steward transfer verify a-b.record b-c.record",
		RunE: func(cmd *cobra.Command, args []string) error {
			known, err := knownParties(identities)
			if err != nil {
				return err
			}
			files, err := recordFiles(args)
			if err != nil {
				return err
			}
			if len(files) > 1 {
				return o.verifyChain(cmd, files, known, all)
			}
			raw, err := readRecord(files[0])
			if err != nil {
				return err
			}
			report, err := transfer.CheckRecord(raw, known)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := o.print(cmd, report, func() [][]string { return recordTable(report, all) }); err != nil {
				return err
			}
			if !report.Proved {
				return errUnproved
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&identities, "identity", nil, "identity `file` of a provider or service user")
	cmd.Flags().BoolVar(&all, "all", false, "print also what is proved of each device")
	return cmd
}

func readRecord(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, misusedFile(err)
	}
	if info.Size() > transfer.MaxRecord {
		return nil, fmt.Errorf("%w: %s has %d bytes", errMisused, path, info.Size())
	}
	return os.ReadFile(path)
}

// knownParties reads the certificates in identity files.
func knownParties(files []string) (known []*x509.Certificate, err error) {
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, misusedFile(err)
		}
		var file json.RawMessage = text
		identity, err := coordinator.ParseIdentity(file)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errMisused, name, err)
		}
		for _, text := range []string{identity.Signing, identity.Verifier} {
			block, _ := pem.Decode([]byte(text))
			if block == nil {
				continue
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", errMisused, name, err)
			}
			known = append(known, c)
		}
	}
	return known, nil
}

func recordTable(r *transfer.RecordReport, all bool) [][]string {
	rows := [][]string{
		{"record of", r.Provider},
		{"made", moment(r.IssuedAt)},
		{"transfer", r.Transfer},
		{"from, to", r.From + ", " + r.To},
		{"state", r.State},
		{"longest without service", withoutService(r.Disruption)},
	}
	for _, p := range r.Parties {
		known := ""
		if p.Known {
			known = "as the identity file says"
		}
		rows = append(rows, []string{"certificate of " + p.Name, p.Fingerprint.String(), known})
	}
	for _, state := range slices.Sorted(maps.Keys(r.Devices)) {
		rows = append(rows, []string{"devices " + state, strconv.Itoa(r.Devices[state])})
	}
	for _, s := range r.Statements {
		switch {
		case !s.Proved:
			rows = append(rows, []string{"NOT PROVED", s.Device, s.What + ": " + s.Why})
		case all || s.Device == "":
			rows = append(rows, []string{"proved", s.Device, s.What})
		}
	}
	return rows
}

// withoutService is a time of a record, which counts whole seconds.
func withoutService(d time.Duration) string {
	if d < time.Second {
		return "less than 1s"
	}
	return d.Round(time.Second).String()
}
