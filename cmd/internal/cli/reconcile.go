package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

func newReconcile() *cobra.Command {
	o := &operator{}
	cmd := o.command("reconcile", "Decide about what a restore from a backup closed",
		`After a restore nobody knows which rights to enrol were used or given away since the
backup: all that were open are closed, and devices that ask are told to wait. Compare
with your partners and the devices that come back, then open what is still yours.`)
	cmd.Example = `  steward reconcile rights
  steward reconcile open lamp-7 lamp-8 --reason 'still ours'
  steward reconcile open --all
  steward reconcile end`
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		api, err := o.api()
		if err != nil {
			return err
		}
		var r web.Restoration
		if err := api.Get(cmd.Context(), "/restoration", &r); err != nil {
			return err
		}
		return o.printRestoration(cmd, r)
	}
	cmd.AddCommand(o.reconcileRights(), o.reconcileOpen(), o.reconcileEnd())
	return cmd
}

func (o *operator) printRestoration(cmd *cobra.Command, r web.Restoration) error {
	return o.print(cmd, r, func() [][]string {
		if !r.Restored {
			return [][]string{{"nothing was restored, or somebody is done with it"}}
		}
		return [][]string{
			{"restored at", instant(r.At)},
			{"backup of", instant(r.TakenAt)},
			{"rights closed", strconv.Itoa(r.RightsClosed)},
			{"rights waiting", strconv.Itoa(r.RightsWaiting)},
			{"operations cancelled", strconv.Itoa(r.OperationsCancelled)},
			{"sessions ended", strconv.Itoa(r.SessionsEnded)},
			{"API tokens", strconv.Itoa(r.Tokens)},
			{"campaigns under way", strconv.Itoa(r.CampaignsUnderWay)},
			{"transfers under way", strconv.Itoa(r.TransfersUnderWay)},
		}
	})
}

func (o *operator) reconcileRights() *cobra.Command {
	return &cobra.Command{
		Use: "rights", Short: "List the rights that are closed and wait for a decision", Args: noArgs,
		Example: "  steward reconcile rights --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return list(cmd, o, "/restoration/rights", []string{"DEVICE", "FACTORY CERTIFICATE"},
				func(r web.RestoredRight) []string { return []string{r.Endpoint, r.Factory} })
		},
	}
}

func (o *operator) reconcileOpen() *cobra.Command {
	c := web.Reconciliation{Action: web.ReconcileOpen}
	cmd := &cobra.Command{
		Use: "open [flags] [DEVICE...]", Short: "Open rights again, for the keys that they were bound to",
		Long: `Opens rights that wait: those of the devices named (by endpoint, or by the SHA-256 of
their factory certificates), or all of them.`,
		Example: "  steward reconcile open lamp-7 lamp-8\n  steward reconcile open --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			if c.Factories, err = factoriesOf(cmd, api, args); err != nil {
				return err
			}
			var r web.Restoration
			if err := api.Post(cmd.Context(), "/restoration/commands", c, &r); err != nil {
				return err
			}
			return o.printRestoration(cmd, r)
		},
	}
	cmd.Flags().BoolVar(&c.All, "all", false, "all that wait")
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why, in words")
	return cmd
}

// factoriesOf returns the factory certificates of devices that are named by their
// endpoints; what is no endpoint is taken as it is.
func factoriesOf(cmd *cobra.Command, api *remote.API, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	waiting, err := remote.All[web.RestoredRight](cmd.Context(), api, "/restoration/rights")
	if err != nil {
		return nil, err
	}
	byName := map[string]string{}
	for _, r := range waiting {
		byName[r.Endpoint] = r.Factory
	}
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name
		if factory, ok := byName[name]; ok {
			out[i] = factory
		}
	}
	return out, nil
}

func (o *operator) reconcileEnd() *cobra.Command {
	c := web.Reconciliation{Action: web.ReconcileEnd}
	cmd := &cobra.Command{
		Use: "end", Short: "Be done with a restore: rights that are closed stay so", Args: noArgs,
		Example: "  steward reconcile end --reason 'the rest was handed over'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var r web.Restoration
			if err := api.Post(cmd.Context(), "/restoration/commands", c, &r); err != nil {
				return err
			}
			return o.printRestoration(cmd, r)
		},
	}
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why, in words")
	return cmd
}
