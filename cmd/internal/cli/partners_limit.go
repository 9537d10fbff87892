package cli

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"steward/web"
)

func (o *operator) partnersLimit() *cobra.Command {
	var l web.PartnerLimits
	cmd := &cobra.Command{
		Use: "limit [flags] PARTNER", Short: "Bound what a partner may ask of us", Args: one("partner"),
		Example: "  steward partners limit Beta --devices 1000 --daily 5000 --reason 'as agreed'",
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			id, err := partnerID(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			body, err := json.Marshal(l)
			if err != nil {
				return err
			}
			var p web.Partner
			path := "/partners/" + url.PathEscape(id) + "/limits"
			if err := api.Send(cmd.Context(), http.MethodPut, path, body, &p); err != nil {
				return err
			}
			return o.printPartner(cmd, p)
		},
	}
	f := cmd.Flags()
	f.IntVar(&l.Devices, "devices", 0, "of one transfer; 0: the default, as of the others")
	f.IntVar(&l.Daily, "daily", 0, "devices within 24 h")
	f.IntVar(&l.Open, "open", 0, "transfers that have not ended")
	f.IntVar(&l.Calls, "calls", 0, "a minute")
	f.StringVar(&l.Reason, "reason", "", "why, in words")
	return cmd
}
