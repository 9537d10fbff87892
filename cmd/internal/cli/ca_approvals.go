package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"steward/web"
)

// caApprovals is the group of requests that wait for approval.
func (o *operator) caApprovals() *cobra.Command {
	cmd := &cobra.Command{
		Use: "approvals", Short: "Requests of devices for certificates that need approval", Args: noArgs,
		Long: `With approval = true in [est], or in [est.labels.NAME], of its settings, a provider
has people approve the first certificate of each device. A device asks again until
somebody has decided; renewals need no approval.`,
		Example: "  steward ca approvals list\n  steward ca approvals approve ID REQUEST --reason 'seen on the bench'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(o.requestList(),
		o.requestDecide(web.RequestApprove, "Approve a request: the device gets its certificate when it asks again"),
		o.requestDecide(web.RequestRefuse, "Refuse a request"))
	return cmd
}

func (o *operator) requestList() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use: "list", Short: "List the requests", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			head := []string{"ID", "REQUEST", "FOR", "PROFILE", "STATE", "SINCE", "BY", "REASON"}
			path := "/ca/requests?" + url.Values{"state": {state}}.Encode()
			return list(cmd, o, path, head, func(r web.CertificateRequest) []string {
				return []string{r.ID, r.Request, r.Name, r.Profile, r.State, moment(r.AskedAt), r.By, r.Reason}
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "waiting", "waiting, approved, refused or used; empty: all")
	return cmd
}

func (o *operator) requestDecide(action web.RequestAction, short string) *cobra.Command {
	d := web.RequestDecision{Action: action}
	cmd := &cobra.Command{
		Use: string(action) + " ID REQUEST", Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 { //nolint:mnd // who asks, and for what
				return fmt.Errorf("%w: name the client and its request, as list shows them", errMisused)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			d.Request = args[1]
			var r web.CertificateRequest
			if err := api.Post(cmd.Context(), "/ca/requests/"+url.PathEscape(args[0])+"/commands", d, &r); err != nil {
				return err
			}
			return o.print(cmd, r, func() [][]string {
				return [][]string{{"Request", r.Request}, {"For", r.Name}, {"State", r.State}, {"Reason", r.Reason}}
			})
		},
	}
	cmd.Flags().StringVar(&d.Reason, "reason", "", "why, for the audit")
	return cmd
}
