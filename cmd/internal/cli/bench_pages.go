package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"steward/cmd/internal/pagebench"
)

// errSlow reports pages that take too long.
var errSlow = errors.New("too slow")

// newBenchPages measures the dashboard and the lists of the REST API.
func newBenchPages() *cobra.Command {
	var o pagebench.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use: "pages", Short: "Measure every page and list over a large database", Args: noArgs,
		Long: `Fills the database of a provider of its own with devices, their values, operations,
certificates, campaigns, transfers and events, starts it, and asks for every page of
the dashboard and everything that the REST API answers to GET: plain, from anywhere in
its list, and with each filter. The time is that from the request to the last byte of
the answer, over HTTP on the loopback network. Ends with 1 if 95 in 100 answers of any
took 100 ms or more; such are marked *.

With --data the directory is kept, and filled only if it is not.`,
		Example: "  steward bench pages --devices 100000 --events 1000000 --certificates 100000\n" +
			"  steward bench pages --data /var/tmp/large --only /devices --times 1000",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Progress = cmd.ErrOrStderr()
			result, err := pagebench.Run(cmd.Context(), o)
			if errors.Is(err, pagebench.ErrOptions) {
				return fmt.Errorf("%w: %w", errMisused, err)
			}
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(result)
			} else {
				err = result.WriteTable(cmd.OutOrStdout())
			}
			if slow := len(result.Slow()); err == nil && slow > 0 {
				err = fmt.Errorf("%w: %d of %d", errSlow, slow, len(result.Pages))
			}
			return err
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Devices, "devices", 0, "of the fleet (default 100000)")
	f.IntVar(&o.Events, "events", 0, "rows of the audit beside those of the devices (default 1000000)")
	f.IntVar(&o.Certificates, "certificates", 0, "of the inventory (default 100000)")
	f.IntVar(&o.Times, "times", 0, "that each address is asked (default 100)")
	f.StringVar(&o.Data, "data", "", "`directory` to be filled and kept (default: one that is removed)")
	f.StringVar(&o.Only, "only", "", "measure only what has this `part` in its path")
	f.BoolVar(&asJSON, "json", false, "print the result as one JSON object")
	return cmd
}
