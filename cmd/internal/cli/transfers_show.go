package cli

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

func (o *operator) printTransfer(cmd *cobra.Command, api *remote.API, id string) error {
	var t web.TransferDetail
	if err := api.Get(cmd.Context(), transferURL(id), &t); err != nil {
		return err
	}
	return o.print(cmd, t, func() [][]string {
		rows := [][]string{
			{"id", t.ID},
			{"direction", string(t.Direction)},
			{"partner", t.PartnerName},
			{"state", t.State},
			{"devices", strconv.Itoa(t.Total)},
			{"done", strconv.Itoa(t.Done)},
			{"failed", strconv.Itoa(t.Failed)},
			{"window", moment(t.Earliest) + " to " + moment(t.Latest)},
			{"mandate", t.Mandate.Issuer},
			{"next", t.Next},
		}
		if t.Note != "" {
			rows = append(rows, []string{"note", t.Note})
		}
		if r := t.Rehearsal; r != nil && r.Over {
			rows = append(rows, []string{"rehearsal", fmt.Sprintf("%d of %d devices were READY", r.Ready, t.Total)})
		}
		if d := t.Destination; d != nil {
			rows = append(rows, []string{"to", d.Server}, []string{"reset", d.Reset})
		}
		for _, a := range t.Approvals {
			rows = append(rows, []string{"approved", a.Side, a.By, moment(a.At), a.Reason})
		}
		for _, w := range t.Warnings {
			rows = append(rows, []string{string(w.Level), w.Text})
		}
		for _, a := range t.Actions {
			rows = append(rows, []string{"may", string(a)})
		}
		return rows
	})
}

func (o *operator) transferShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a transfer: state, destination, approvals, what may be done", Args: one("transfer"),
		Example: "  steward transfer show 3f…",
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			return o.printTransfer(cmd, api, args[0])
		},
	}
}

func (o *operator) transferRows() *cobra.Command {
	return &cobra.Command{
		Use: "rows ID", Short: "List the devices of a transfer, and how far each is", Args: one("transfer"),
		Example: "  steward transfer rows 3f… --csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			return list(cmd, o, transferURL(args[0])+"/rows",
				[]string{"DEVICE", "STATE", "EPOCH", "UPDATED", "KNOWN", "REASON", "ID"},
				func(r web.TransferRow) []string {
					known := "yes"
					if r.Inferred {
						known = "inferred"
					}
					return []string{
						r.Endpoint, r.State, strconv.FormatUint(uint64(r.Epoch), 10), moment(r.UpdatedAt), known, r.Reason,
						r.Device,
					}
				})
		},
	}
}

func (o *operator) transferReport() *cobra.Command {
	var out, format string
	cmd := &cobra.Command{
		Use: "report [flags] ID", Short: "Write the closing report of a transfer", Args: one("transfer"),
		Long: `Writes the report of a transfer, at any time: who approved what, how many devices are
where and why others are not, for how long each had no service, bytes, receipts and
revocations. As json, or csv with one line a device.`,
		Example: "  steward transfer report 3f… --out fleet.json\n  steward transfer report 3f… --format csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			at := transferURL(args[0]) + "/report?" + url.Values{"format": {format}}.Encode()
			report, err := api.Fetch(cmd.Context(), at)
			if err != nil {
				return err
			}
			return writeOutput(cmd, out, report)
		},
	}
	outFlag(cmd, &out)
	cmd.Flags().StringVar(&format, "format", "json", "json or csv")
	return cmd
}
