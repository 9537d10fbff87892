package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"steward/web"
)

// caUpstream is the group of certificates that an external CA makes.
func (o *operator) caUpstream() *cobra.Command {
	cmd := &cobra.Command{
		Use: "upstream", Short: "What devices wait for at an external CA, if one makes their certificates", Args: noArgs,
		Long: `With [upstream] in its settings, a provider has an external CA make the
certificates of devices. It asks that CA itself (kind = "est"), or people do: they
take a request to the CA and bring back the certificate (kind = "files"), by the
directory of the settings or by these commands.`,
		Example: "  steward ca upstream list --state waiting\n" +
			"  steward ca upstream show abcdefghijkl > request.pem\n" +
			"  steward ca upstream import abcdefghijkl certificate.pem",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(o.upstreamList(), o.upstreamShow(), o.upstreamImport())
	for _, d := range []struct {
		action web.UpstreamAction
		short  string
	}{
		{web.UpstreamRefuse, "Refuse a request: the device gets no certificate for this key"},
		{web.UpstreamWithdraw, "Forget a request: the device may ask anew, with any key"},
		{web.UpstreamRetry, "Have the external CA asked again for what it refused"},
	} {
		cmd.AddCommand(o.upstreamDecide(d.action, d.short))
	}
	return cmd
}

func (o *operator) upstreamList() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use: "list", Short: "List the requests, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			head := []string{"ID", "FOR", "STATE", "SINCE", "REASON"}
			path := "/ca/upstream?" + url.Values{"state": {state}}.Encode()
			return list(cmd, o, path, head, func(u web.UpstreamRequest) []string {
				return []string{u.ID, u.Name, u.State, moment(u.ChangedAt), u.Reason}
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "waiting, ready, issued, refused or withdrawn")
	return cmd
}

func (o *operator) upstreamShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Print a request in PEM, and the answer if there is one", Args: one("request"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var u web.UpstreamRequestDetail
			if err := api.Get(cmd.Context(), "/ca/upstream/"+url.PathEscape(args[0]), &u); err != nil {
				return err
			}
			if o.asJSON {
				return o.print(cmd, u, nil)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), u.Request, u.Answer)
			return err
		},
	}
}

func (o *operator) upstreamImport() *cobra.Command {
	return &cobra.Command{
		Use: "import ID FILE", Short: "Bring the external CA's answer: certificates in PEM, or PKCS#7 in PEM",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 { //nolint:mnd // the request and the file
				return fmt.Errorf("%w: name the request and a file", errMisused)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readDocument(cmd, args[1])
			if err != nil {
				return err
			}
			return o.upstreamPost(cmd, args[0]+"/certificate", map[string]string{"certificate": string(text)})
		},
	}
}

func (o *operator) upstreamDecide(action web.UpstreamAction, short string) *cobra.Command {
	d := web.UpstreamDecision{Action: action}
	cmd := &cobra.Command{
		Use: string(action) + " ID", Short: short, Args: one("request"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.upstreamPost(cmd, args[0]+"/commands", d)
		},
	}
	cmd.Flags().StringVar(&d.Reason, "reason", "", "why, for the audit")
	return cmd
}

// upstreamPost posts below a request and prints how it stands then.
func (o *operator) upstreamPost(cmd *cobra.Command, path string, in any) error {
	api, err := o.api()
	if err != nil {
		return err
	}
	var u web.UpstreamRequest
	if err := api.Post(cmd.Context(), "/ca/upstream/"+path, in, &u); err != nil {
		return err
	}
	return o.print(cmd, u, func() [][]string {
		return [][]string{{"Request", u.ID}, {"For", u.Name}, {"State", u.State}, {"Reason", u.Reason}}
	})
}
