package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"steward/cmd/internal/keys"
	"steward/cmd/internal/remote"
	"steward/transfer"
	"steward/web"
)

// errNoReceipt reports a device that has signed nothing when it was retired.
var errNoReceipt = errors.New("the device has signed no receipt")

func (o *operator) devicesRetirement() *cobra.Command {
	var out string
	cmd := o.onDevice("retirement DEVICE", "Say how a device that was retired has been erased; fetch its signed receipt",
		"retirement lamp-7 --out lamp-7.retirement", 0, 0,
		func(cmd *cobra.Command, api *remote.API, at string, _ []string) error {
			var d web.DeviceDetail
			if err := api.Get(cmd.Context(), at, &d); err != nil {
				return err
			}
			e := d.Erasure
			if e == nil {
				e = &web.DeviceErasure{Level: web.ErasureNot, Said: "it was not told to erase itself"}
			}
			if out != "" {
				if len(e.Record) == 0 {
					return fmt.Errorf("%w: %s", errNoReceipt, e.Said)
				}
				return keys.WriteFile(out, e.Record)
			}
			return o.print(cmd, e, func() [][]string {
				return [][]string{{"erased", e.Level}, {"when", moment(e.At)}, {"told", e.Said}}
			})
		})
	cmd.Long = `Says whether it is known, by a receipt that the device has signed, or inferred from its
answer, that a device erased itself when it was retired. --out writes the receipt, which
"steward devices verify-retirement" checks on any machine.`
	cmd.Flags().StringVar(&out, "out", "", "`file` to write the receipt to")
	return cmd
}

func (o *operator) devicesVerifyRetirement() *cobra.Command {
	var permanent []string
	cmd := &cobra.Command{
		Use: "verify-retirement FILE", Short: "Check, offline, the receipt of a device that was retired",
		Args: one("file"),
		Long: `Checks that the factory key and the operational key of a device have signed that its
data were erased. That it has erased its keys it does not say, for it signs with them,
nor when it signed; who told it to is what the file says. Without --permanent the factory
certificate in the file is believed. Status 0 says that it is proved, 1 that it is not.`,
		Example: "  steward devices verify-retirement lamp-7.retirement --permanent permanent-ca.pem",
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := os.Stat(args[0])
			if err != nil {
				return misusedFile(err)
			}
			if info.Size() > transfer.MaxRetirementRecord {
				return fmt.Errorf("%w: %s has %d bytes", errMisused, args[0], info.Size())
			}
			raw, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			known, err := permanentCAs(permanent)
			if err != nil {
				return err
			}
			record, err := transfer.ParseRetirementRecord(raw)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			said, err := record.Check(known)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return o.print(cmd, said, func() [][]string { return retirementTable(record, said) })
		},
	}
	cmd.Flags().StringArrayVar(&permanent, "permanent", nil, "`file` with the certificate of a permanent CA (PEM)")
	return cmd
}

func permanentCAs(files []string) (out []*x509.Certificate, err error) {
	for _, name := range files {
		der, kind, err := readPEM(name)
		if err != nil {
			return nil, err
		}
		ca, err := x509.ParseCertificate(der)
		if err != nil || kind != "CERTIFICATE" {
			return nil, fmt.Errorf("%w: %s: no certificate", errMisused, name)
		}
		out = append(out, ca)
	}
	return out, nil
}

func retirementTable(r *transfer.RetirementRecord, said *transfer.Retirement) [][]string {
	classes := []string{}
	for _, c := range said.Wiped.Classes {
		classes = append(classes, fmt.Sprint(c))
	}
	return [][]string{
		{"device", said.Subject},
		{"factory certificate", said.Factory.String()},
		{"operational certificate", said.Operational.String()},
		{"told by, as the file says", r.Provider},
		{"hand-overs accepted", fmt.Sprint(said.Epoch)},
		{"starts", fmt.Sprint(said.Boots)},
		{"erased", fmt.Sprintf("classes %s, profile %d", strings.Join(classes, " "), said.Wiped.Profile)},
		{"proved", "signed by its factory key and its operational key"},
	}
}
