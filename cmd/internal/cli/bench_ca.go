package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"steward/cmd/internal/cabench"
)

// newBenchCA measures the certificate authority.
func newBenchCA() *cobra.Command {
	var o cabench.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use: "ca", Short: "Measure issuing, and a large inventory", Args: noArgs,
		Long: `Devices enrol at a CA over SQLite, each with a right of its own. The floor is what
no CA can do without: the request verified and the certificate made by crypto/x509,
and a row committed among 50. Then an inventory is filled, every second certificate
of it revoked, and read as pages and the CRL read it.`,
		Example: "  steward bench ca --devices 20000 --certificates 100000 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Progress = cmd.ErrOrStderr()
			result, err := cabench.Run(cmd.Context(), o)
			if errors.Is(err, cabench.ErrOptions) {
				return fmt.Errorf("%w: %w", errMisused, err)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
			}
			return result.WriteTable(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Devices, "devices", 0, "that enrol (default 5000)")
	f.IntVar(&o.Certificates, "certificates", 0, "of the inventory (default 100000)")
	f.IntVar(&o.InFlight, "in-flight", 0, "enrolments at once (default 50)")
	f.StringVar(&o.Dir, "dir", "", "`directory` in which databases are made, and removed")
	f.StringVar(&o.Profile, "profile", "", "write the CPU profile of the issuance to a `file`")
	f.BoolVar(&asJSON, "json", false, "print the result as one JSON object")
	return cmd
}
