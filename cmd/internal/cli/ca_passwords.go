package cli

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"steward/web"
)

// caPasswords is the group of one-time passwords.
func (o *operator) caPasswords() *cobra.Command {
	cmd := &cobra.Command{
		Use: "password", Aliases: []string{"passwords"}, Short: "One-time passwords, by which gateways and factories enrol",
		Args: noArgs,
		Long: `A one-time password lets a gateway or a factory have a certificate over HTTPS
(--est-https of "steward serve") that has none yet. It is for one endpoint name,
or for a pattern and a number of names, and ends with its time.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(o.passwordMake(), o.passwordList(), o.passwordWithdraw())
	return cmd
}

func (o *operator) passwordMake() *cobra.Command {
	var in web.NewOneTimePassword
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use: "make NAME", Short: "Make a password, whose secret is shown once", Args: one("endpoint name"),
		Example: "  steward ca password make gateway-17\n" +
			"  steward ca password make 'gateway-*' --uses 200 --lifetime 72h",
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			in.Name, in.Seconds = args[0], int(lifetime/time.Second)
			var made web.MadePassword
			if err := api.Post(cmd.Context(), "/ca/passwords", in, &made); err != nil {
				return err
			}
			return o.print(cmd, made, func() [][]string {
				return [][]string{
					{"User", made.ID},
					{"Password", made.Secret},
					{"For", made.Name},
					{"Uses", strconv.Itoa(made.Uses)},
					{"Until", moment(made.ExpiresAt)},
				}
			})
		},
	}
	f := cmd.Flags()
	f.IntVar(&in.Uses, "uses", 1, "how many names may be enrolled; more than one need a pattern with a *")
	f.DurationVar(&lifetime, "lifetime", 24*time.Hour, "how long it is good") //nolint:mnd // a day
	return cmd
}

func (o *operator) passwordList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the passwords, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			head := []string{"USER", "FOR", "STATE", "LEFT", "UNTIL", "BY"}
			return list(cmd, o, "/ca/passwords", head, func(p web.OneTimePassword) []string {
				return []string{
					p.ID, p.Name, string(p.State), strconv.Itoa(p.Left) + " of " + strconv.Itoa(p.Uses), moment(p.ExpiresAt),
					p.CreatedBy,
				}
			})
		},
	}
}

func (o *operator) passwordWithdraw() *cobra.Command {
	return &cobra.Command{
		Use: "withdraw USER", Short: "Take a password back", Args: one("user"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var p web.OneTimePassword
			if err := api.Send(cmd.Context(), http.MethodDelete, "/ca/passwords/"+url.PathEscape(args[0]), nil, &p); err != nil {
				return err
			}
			return o.print(cmd, p, func() [][]string { return [][]string{{"User", p.ID}, {"State", string(p.State)}} })
		},
	}
}
