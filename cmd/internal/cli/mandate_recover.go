package cli

import (
	"encoding/pem"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/keys"
	"steward/transfer"
)

// newMandateRecover signs the command by which devices get another transfer signer.
func newMandateRecover() *cobra.Command {
	var f ownerFlags
	var out string
	var manifests bool
	cmd := &cobra.Command{
		Use: "recover [flags] CERTIFICATE...", Short: "Make certificates signers on devices whose provider's was stolen",
		Args: cobra.MinimumNArgs(1),
		Long: `Signs a command (Anchors of the trust transfer) by the key of the service user, for
devices to which the factory gave its certificate: the certificates in these files, in
PEM, are transfer signers from then on, or with --manifests signers of manifests. The
provider creates them in the truststore of each device (object 42769, "steward devices
create"), writes the command to resource 7 of any instance there ("devices write"), and
deletes the instance that was stolen ("devices delete"). A command counts once, and only if
it is later than the last.`,
		Example: "  steward mandate recover --dir owner new-signer.pem --out recovery.anchors",
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return fmt.Errorf("%w: --out names no file for the command", errMisused)
			}
			certificates, err := readSigners(cmd, args)
			if err != nil {
				return err
			}
			by, err := f.open()
			if err != nil {
				return err
			}
			purposes := transfer.TransferSigner
			if manifests {
				purposes = transfer.SUITSigner
			}
			raw, err := by.Recover(certificates, purposes, time.Now())
			if err != nil {
				return fmt.Errorf("%w: %w", errMisused, err)
			}
			if err := keys.WriteFile(out, raw); err != nil {
				return misusedFile(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), out)
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&out, "out", "", "`file` for the command, as devices take it")
	cmd.Flags().BoolVar(&manifests, "manifests", false, "signers of manifests in place of transfer signers")
	return cmd
}

// readSigners reads a certificate out of each file.
func readSigners(cmd *cobra.Command, files []string) (certificates [][]byte, err error) {
	for _, file := range files {
		text, err := readDocument(cmd, file)
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%w: %s is no certificate in PEM", errMisused, file)
		}
		certificates = append(certificates, block.Bytes)
	}
	return certificates, nil
}
