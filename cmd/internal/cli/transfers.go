package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

// errIncomplete reports a transfer that ended otherwise than it should.
var errIncomplete = errors.New("the transfer did not complete")

func newTransfers() *cobra.Command {
	o := &operator{}
	cmd := o.command("transfer", "Hand-overs to and from partners: draft, submit, approve, watch, receipts",
		`A transfer moves devices to another provider. What this provider and the partner have
to decide, and who may, is said by "show".`)
	cmd.Aliases = []string{"transfers"}
	cmd.Example = `  steward transfer draft --partner Beta lamp-7 lamp-8
  steward transfer wait 3f…`
	cmd.AddCommand(o.transferList(), o.transferShow(), o.transferRows(), o.transferDraft(), o.transferReceipts(),
		o.transferWait(), o.transferExtend(), o.transferAgain(), o.transferReport(), o.transferRecord(),
		o.transferVerify(), o.transferMandate())
	for _, c := range []struct {
		action     web.TransferAction
		use, short string
	}{
		{web.TransferSubmit, "submit", "Send a draft to the partner"},
		{web.TransferApprove, "approve", "Approve: incoming, an offer is signed; outgoing, the offer is accepted"},
		{web.TransferReject, "reject", "Refuse an incoming transfer"},
		{web.TransferCancel, "withdraw", "Withdraw a transfer before any device was told to move"},
		{web.TransferResume, "resume", "Go on with one that paused because too many devices failed"},
		{web.TransferRevise, "revise", "Tell the partner anew what the devices run, after an update"},
	} {
		cmd.AddCommand(o.transferCommand(c.action, c.use, c.short))
	}
	return cmd
}

func transferURL(id string) string { return "/transfers/" + url.PathEscape(id) }

func (o *operator) transferList() *cobra.Command {
	var direction string
	var open bool
	cmd := &cobra.Command{
		Use: "list", Short: "List transfers, the newest first", Args: noArgs,
		Example: "  steward transfer list --open",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			if direction != "" {
				q.Set("direction", direction)
			}
			if open {
				q.Set("open", "true")
			}
			return list(cmd, o, "/transfers?"+q.Encode(),
				[]string{"ID", "DIRECTION", "PARTNER", "STATE", "DEVICES", "DONE", "FAILED", "CREATED"},
				func(t web.Transfer) []string {
					return []string{
						t.ID, string(t.Direction), t.PartnerName, t.State, strconv.Itoa(t.Total), strconv.Itoa(t.Done),
						strconv.Itoa(t.Failed), moment(t.CreatedAt),
					}
				})
		},
	}
	cmd.Flags().StringVar(&direction, "direction", "", "outgoing or incoming")
	cmd.Flags().BoolVar(&open, "open", false, "only those that are not over")
	return cmd
}

func (o *operator) transferDraft() *cobra.Command {
	var n web.NewTransfer
	var within time.Duration
	var mandate string
	cmd := &cobra.Command{
		Use: "draft [flags] DEVICE...", Short: "Draft a transfer of devices (ids or endpoint names) to a partner",
		Long: `Drafts a transfer of devices to a partner. Nothing happens before it is submitted. The
devices move within --within from now.`,
		Example: "  steward transfer draft --partner Beta --within 48h lamp-7 lamp-8",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || n.Partner == "" {
				return fmt.Errorf("%w: --partner and at least one device are needed", errMisused)
			}
			api, err := o.api()
			if err != nil {
				return err
			}
			if mandate != "" {
				if n.Mandate, err = os.ReadFile(mandate); err != nil {
					return misusedFile(err)
				}
			}
			if err := findAll(cmd.Context(), api, &n, args); err != nil {
				return err
			}
			n.Latest = time.Now().Add(within).UTC().Truncate(time.Second)
			var t web.Transfer
			if err := api.Post(cmd.Context(), "/transfers", n, &t); err != nil {
				return err
			}
			return o.printTransfer(cmd, api, t.ID)
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Partner, "partner", "", "`name` or id of the partner")
	f.DurationVar(&within, "within", 7*24*time.Hour, "how long devices may take to move") //nolint:mnd // a week
	f.StringVar(&n.Note, "note", "", "for people")
	f.StringVar(&n.Verifier, "verifier", "",
		"name of the `provider` whose verdict on each device is demanded: this one,\n"+
			"the partner, or another partner (default as the partner's record says)")
	f.StringVar(&mandate, "mandate", "", "`file` with the mandate of a service user")
	f.BoolVar(&n.Rehearse, "rehearse", false,
		"lead the devices to READY, after both approvals, and back: none moves")
	f.StringVar(&n.LastUpdate, "last-update", "",
		"approved `release` that devices get before they leave, by its id, or newest: the\n"+
			"newest for their class; a device where it fails stays")
	return cmd
}

// findAll puts the ids of partner and devices in the place of their names.
func findAll(ctx context.Context, api *remote.API, n *web.NewTransfer, names []string) (err error) {
	if n.Partner, err = partnerID(ctx, api, n.Partner); err != nil {
		return err
	}
	for _, name := range names {
		at, err := deviceURL(ctx, api, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		n.Devices = append(n.Devices, at[len("/devices/"):])
	}
	return nil
}

func (o *operator) transferCommand(action web.TransferAction, use, short string) *cobra.Command {
	c := web.TransferCommand{Action: action}
	cmd := &cobra.Command{
		Use: use + " ID", Short: short, Args: one("transfer"), Example: "  steward transfer " + use + " 3f…",
		RunE: func(cmd *cobra.Command, args []string) error { return o.commandTransfer(cmd, args[0], c) },
	}
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why, in words")
	if action == web.TransferApprove {
		gateFlags(cmd, &c)
	}
	return cmd
}

// gateFlags are what the approval of an incoming transfer asks of devices before they
// enrol. A flag that is not given leaves it as it is.
func gateFlags(cmd *cobra.Command, c *web.TransferCommand) {
	f := cmd.Flags()
	attest := f.Bool("attest", false, "incoming: devices prove what they run before they enrol")
	first := f.Bool("update-first", false, "incoming: devices ask our update server before they enrol")
	release := f.String("release", "", "with --update-first: `id` of the release for them (default the newest approved)")
	cmd.PreRun = func(*cobra.Command, []string) {
		if f.Changed("attest") {
			c.Attest = attest
		}
		if f.Changed("update-first") {
			c.UpdateFirst = first
		}
		if f.Changed("release") {
			c.UpdateRelease = release
		}
	}
}

// commandTransfer commands a transfer and shows the one that the answer is about: the same, or one drafted anew.
func (o *operator) commandTransfer(cmd *cobra.Command, id string, c web.TransferCommand) error {
	api, err := o.api()
	if err != nil {
		return err
	}
	var t web.Transfer
	if err := api.Post(cmd.Context(), transferURL(id)+"/commands", c, &t); err != nil {
		return err
	}
	return o.printTransfer(cmd, api, t.ID)
}

func (o *operator) transferReceipts() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "receipts [flags] ID DEVICE", Short: "List the receipts of a device in a transfer, or write them to files",
		Example: "  steward transfer receipts 3f… lamp-7 --out receipts/",
		Args:    cobra.ExactArgs(2), //nolint:mnd // as Use says
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			at, err := deviceURL(cmd.Context(), api, args[1])
			if err != nil {
				return err
			}
			var all struct {
				Items []web.Receipt `json:"items"`
			}
			path := transferURL(args[0]) + "/rows/" + at[len("/devices/"):] + "/receipts"
			if err := api.Get(cmd.Context(), path, &all); err != nil {
				return err
			}
			if err := writeReceipts(out, all.Items); err != nil {
				return err
			}
			return o.print(cmd, all.Items, func() [][]string {
				rows := [][]string{{"STATE", "ARRIVED", "VERIFIED", "BYTES", "HASH"}}
				for _, r := range all.Items {
					rows = append(rows, []string{
						r.State, moment(r.At), strconv.FormatBool(r.Verified), strconv.Itoa(len(r.COSE)), r.Hash,
					})
				}
				return rows
			})
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`directory` to write them to, as signed")
	return cmd
}

// writeReceipts writes receipts to files of a directory; nowhere if that is "".
func writeReceipts(dir string, all []web.Receipt) error {
	for i, r := range all {
		if dir == "" {
			return nil
		}
		name := filepath.Join(dir, fmt.Sprintf("%02d-%s.cose", i+1, filepath.Base(r.State)))
		if err := os.WriteFile(name, r.COSE, 0o600); err != nil {
			return misusedFile(err)
		}
	}
	return nil
}
