package cli

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"steward/web"
)

func (o *operator) transferExtend() *cobra.Command {
	c := web.TransferCommand{Action: web.TransferExtend}
	var until, mandate string
	cmd := &cobra.Command{
		Use: "extend [flags] ID", Short: "Ask for a later end of the window, or agree to it", Args: one("transfer"),
		Long: `At the outgoing provider, asks the partner to let devices move until a later time; at the
incoming provider, agrees to what was asked. Both before the window has passed.`,
		Example: `  steward transfer extend 3f… --until 2026-12-24T00:00:00Z
  steward transfer extend 3f… --reason agreed`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if until != "" {
				if c.Latest, err = time.Parse(time.RFC3339, until); err != nil {
					return fmt.Errorf("%w: --until: %w", errMisused, err)
				}
			}
			if mandate != "" {
				if c.Mandate, err = os.ReadFile(mandate); err != nil {
					return misusedFile(err)
				}
			}
			return o.commandTransfer(cmd, args[0], c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&until, "until", "", "`time` of the later end, as in 2026-12-24T00:00:00Z")
	f.StringVar(&c.Reason, "reason", "", "why, in words")
	f.StringVar(&mandate, "mandate", "", "`file` with a mandate of the service user that lasts so long")
	return cmd
}

func (o *operator) transferAgain() *cobra.Command {
	c := web.TransferCommand{Action: web.TransferAgain}
	var within time.Duration
	cmd := &cobra.Command{
		Use: "again [flags] ID", Short: "Draft another transfer of the devices that stayed", Args: one("transfer"),
		Example: "  steward transfer again 3f… --within 48h",
		RunE: func(cmd *cobra.Command, args []string) error {
			if within != 0 {
				c.Latest = time.Now().Add(within).UTC().Truncate(time.Second)
			}
			return o.commandTransfer(cmd, args[0], c)
		},
	}
	cmd.Flags().DurationVar(&within, "within", 0, "how long devices may take to move; 0: as long as before")
	cmd.Flags().StringVar(&c.Reason, "note", "", "for people")
	return cmd
}
