package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

func newPartners() *cobra.Command {
	o := &operator{}
	cmd := o.command("partners", "Partners of a provider: whose keys are pinned, and our own identity for them",
		`A partner is another provider, or a service user, whose keys are pinned from its identity
file. Give your partner yours ("identity"), and compare the keys by another way, such as the
telephone: yours are said by "fingerprints", the partner's by "show".`)
	cmd.Example = `  steward partners identity > alpha.identity.json
  steward partners add beta.identity.json`
	cmd.AddCommand(o.partnersList(), o.partnersShow(), o.partnersAdd(), o.partnersIdentity(),
		o.partnersFingerprints(), o.partnersLimit(),
		o.partnersState("suspend", "Suspend a partner: nothing is exchanged with it", web.PartnerSuspended),
		o.partnersState("admit", "Admit a partner that was suspended", web.PartnerActive), o.partnersVerifier())
	return cmd
}

func (o *operator) partnersList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the partners in order of their names", Args: noArgs,
		Example: "  steward partners list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return list(cmd, o, "/partners", []string{"NAME", "KIND", "STATE", "ADDRESS", "ID"},
				func(p web.Partner) []string { return []string{p.Name, p.Kind, string(p.State), p.PeerURI, p.ID} })
		},
	}
}

// partnerID returns the id of a partner that is named by its name, label or id.
func partnerID(ctx context.Context, api *remote.API, name string) (string, error) {
	all, err := remote.All[web.Partner](ctx, api, "/partners")
	if err != nil {
		return "", err
	}
	for _, p := range all {
		if name == p.ID || name == p.Name || name == p.Label {
			return p.ID, nil
		}
	}
	return "", fmt.Errorf("%w: no partner %q: see \"steward partners list\"", errMisused, name)
}

func (o *operator) printPartner(cmd *cobra.Command, p web.Partner) error {
	return o.print(cmd, p, func() [][]string {
		rows := [][]string{
			{"id", p.ID},
			{"name", p.Name},
			{"label", p.Label},
			{"kind", p.Kind},
			{"state", string(p.State)},
			{"address", p.PeerURI},
			{"TLS key", p.TLS},
			{"signing key", p.Signing},
			{"next TLS key", p.NextTLS},
			{"next signing key", p.NextSigning},
			{"verifier demanded", p.Demands},
			{"added", moment(p.AddedAt), p.AddedBy},
			{
				"limits", fmt.Sprintf("%d devices of a transfer, %d a day, %d open transfers, %d calls a minute",
					p.Limits.Devices, p.Limits.Daily, p.Limits.Open, p.Limits.Calls),
			},
		}
		if p.Use != nil {
			rows = append(rows, []string{
				"used", fmt.Sprintf("%d devices within a day, %d open transfers; %d devices may trust its keys",
					p.Use.Daily, p.Use.Open, p.Use.Holding),
			})
		}
		return present(rows)
	})
}

func (o *operator) partnersShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PARTNER", Short: "Show a partner with the hashes of its keys", Args: one("partner"),
		Example: "  steward partners show Beta",
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			id, err := partnerID(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			var p web.Partner
			if err := api.Get(cmd.Context(), "/partners/"+url.PathEscape(id), &p); err != nil {
				return err
			}
			return o.printPartner(cmd, p)
		},
	}
}

func (o *operator) partnersAdd() *cobra.Command {
	var n web.NewPartner
	cmd := &cobra.Command{
		Use: "add [flags] FILE", Short: "Pin what the identity file of a partner says", Args: one("file"),
		Example: "  steward partners add beta.identity.json --label 'Beta GmbH'",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readDocument(cmd, args[0])
			if err != nil {
				return err
			}
			if !json.Valid(text) {
				return fmt.Errorf("%w: %s is no JSON", errMisused, args[0])
			}
			n.Identity = text
			api, err := o.api()
			if err != nil {
				return err
			}
			var p web.Partner
			if err := api.Post(cmd.Context(), "/partners", n, &p); err != nil {
				return err
			}
			return o.printPartner(cmd, p)
		},
	}
	cmd.Flags().StringVar(&n.Label, "label", "", "how people here call it")
	return cmd
}

func (o *operator) partnersIdentity() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "identity", Short: "Write our own identity file, for a partner to pin", Args: noArgs,
		Example: "  steward partners identity --out alpha.identity.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := o.identity(cmd.Context())
			if err != nil {
				return err
			}
			return writeOutput(cmd, out, text)
		},
	}
	outFlag(cmd, &out)
	return cmd
}

// identity fetches our own identity file.
func (o *operator) identity(ctx context.Context) ([]byte, error) {
	api, err := o.api()
	if err != nil {
		return nil, err
	}
	return api.Fetch(ctx, "/identity")
}

func (o *operator) partnersFingerprints() *cobra.Command {
	return &cobra.Command{
		Use: "fingerprints", Short: "Print the hashes of our own keys, for a partner to compare", Args: noArgs,
		Long: `Prints the hashes of our own keys. Whoever has added our identity file sees the same by
"steward partners show", or on our page there; compare them by telephone, say.`,
		Example: "  steward partners fingerprints",
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := o.identity(cmd.Context())
			if err != nil {
				return err
			}
			k, err := web.KeysOf(text)
			if err != nil {
				return err
			}
			return o.print(cmd, k, func() [][]string {
				return present([][]string{
					{"name", k.Name},
					{"TLS key", k.TLS},
					{"signing key", k.Signing},
					{"next TLS key", k.NextTLS},
					{"next signing key", k.NextSigning},
				})
			})
		},
	}
}

// present leaves out rows without a value.
func present(rows [][]string) [][]string {
	return slices.DeleteFunc(rows, func(r []string) bool { return len(r) == 2 && r[1] == "" }) //nolint:mnd // name, value
}

func (o *operator) partnersVerifier() *cobra.Command {
	var c web.PartnerChange
	cmd := &cobra.Command{
		Use: "verifier PARTNER PROVIDER", Short: "Demand the verdict of a provider on devices that go to a partner",
		Long: `Devices of transfers to the partner prove what they run, and the verdict of that
provider opens their right there: this one, the partner, or another partner. With ""
in its place nothing is demanded.`,
		Example: "  steward partners verifier Beta Alpha",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 { //nolint:mnd // as Use says
				return fmt.Errorf("%w: name a partner and a provider", errMisused)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Verifier = &args[1]
			return o.changePartner(cmd, args[0], "state", c)
		},
	}
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why, in words")
	return cmd
}

// changePartner puts a part of the record of a partner, "state" or "limits", and shows the record.
func (o *operator) changePartner(cmd *cobra.Command, name, part string, change any) error {
	api, err := o.api()
	if err != nil {
		return err
	}
	id, err := partnerID(cmd.Context(), api, name)
	if err != nil {
		return err
	}
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	var p web.Partner
	path := "/partners/" + url.PathEscape(id) + "/" + part
	if err := api.Send(cmd.Context(), http.MethodPut, path, body, &p); err != nil {
		return err
	}
	return o.printPartner(cmd, p)
}

func (o *operator) partnersState(use, short string, state web.PartnerState) *cobra.Command {
	c := web.PartnerChange{State: state}
	cmd := &cobra.Command{
		Use: use + " PARTNER", Short: short, Args: one("partner"), Example: "  steward partners " + use + " Beta",
		RunE: func(cmd *cobra.Command, args []string) error { return o.changePartner(cmd, args[0], "state", c) },
	}
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why, in words")
	return cmd
}
