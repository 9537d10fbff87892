package cli

import (
	"github.com/spf13/cobra"

	"steward/web"
)

func (o *operator) partnersLimit() *cobra.Command {
	var l web.PartnerLimits
	cmd := &cobra.Command{
		Use: "limit [flags] PARTNER", Short: "Bound what a partner may ask of us", Args: one("partner"),
		Example: "  steward partners limit Beta --devices 1000 --daily 5000 --reason 'as agreed'",
		RunE:    func(cmd *cobra.Command, args []string) error { return o.changePartner(cmd, args[0], "limits", l) },
	}
	f := cmd.Flags()
	f.IntVar(&l.Devices, "devices", 0, "of one transfer; 0: the default, as of the others")
	f.IntVar(&l.Daily, "daily", 0, "devices within 24 h")
	f.IntVar(&l.Open, "open", 0, "transfers that have not ended")
	f.IntVar(&l.Calls, "calls", 0, "a minute")
	f.StringVar(&l.Reason, "reason", "", "why, in words")
	return cmd
}
