package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"steward/cmd/internal/app"
	"steward/cmd/internal/keys"
)

// newFactoryCRL writes what a permanent CA has revoked.
func newFactoryCRL(f *factoryOptions) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "crl", Short: "Write the CRL of a permanent CA, for providers", Args: noArgs,
		Long: `Writes what the permanent CA in --data has revoked (RFC 5280), in PEM: factory
certificates that were made anew, superseded by a re-key, or whose key was lost.
Providers take it by "steward serve --factory-crl", and let nobody in by what stands
on it. While the CA is served, "steward ca factory serve --crl" writes it.`,
		Example: "  steward ca factory crl --out permanent.crl",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ca, err := app.OpenPermanent(cmd.Context(), f.data, f.name)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, ca.Close()) }()
			crl, err := ca.CRL(cmd.Context())
			if err != nil {
				return err
			}
			if err := keys.WriteFile(out, crl); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), out)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "permanent.crl", "`file` for the CRL")
	return cmd
}
