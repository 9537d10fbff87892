package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"steward/web"
)

func newCampaigns() *cobra.Command {
	o := &operator{}
	cmd := o.command("campaigns", "Update campaigns of a provider: draft, preview, review, watch, report",
		`A campaign brings an approved release to devices, wave by wave. Each gate pauses it
unless what the plan asks for holds.`)
	cmd.AddCommand(o.campaignsList(), o.campaignsShow(), o.campaignsCreate(), o.campaignsPreview(), o.campaignsJobs(),
		o.campaignsReport())
	for _, c := range []struct {
		action web.CampaignAction
		short  string
	}{
		{web.CampaignSubmit, "Submit a draft for review"},
		{web.CampaignApprove, "Approve a campaign: it begins when its time comes"},
		{web.CampaignReject, "Send a campaign back to its author"},
		{web.CampaignPause, "Pause: nothing begins, nothing is installed"},
		{web.CampaignResume, "Resume a paused campaign, as its gate is"},
		{web.CampaignFinish, "Close the tail: devices still out of reach are left as they are"},
		{web.CampaignAbort, "Abort: devices that have not begun to install are left as they are"},
	} {
		cmd.AddCommand(o.campaignsCommand(c.action, c.short))
	}
	return cmd
}

func (o *operator) campaignsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the campaigns, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return list(cmd, o, "/campaigns",
				[]string{"ID", "NAME", "RELEASE", "STATE", "DEVICES", "DONE", "FAILED", "REASON"},
				func(c web.Campaign) []string {
					return []string{
						c.ID, c.Name, c.Release.Version, c.State, strconv.Itoa(c.Total), strconv.Itoa(c.Done),
						strconv.Itoa(c.Failed), c.Reason,
					}
				})
		},
	}
}

func (o *operator) campaignsShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show how a campaign and its waves stand", Args: one("campaign"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var c web.Campaign
			if err := api.Get(cmd.Context(), campaignURL(args[0]), &c); err != nil {
				return err
			}
			return o.printCampaign(cmd, c)
		},
	}
}

func campaignURL(id string) string { return "/campaigns/" + url.PathEscape(id) }

func (o *operator) printCampaign(cmd *cobra.Command, c web.Campaign) error {
	return o.print(cmd, c, func() [][]string {
		rows := [][]string{
			{"id", c.ID},
			{"name", c.Name},
			{"release", c.Release.Name + " " + c.Release.Version},
			{"state", c.State},
			{"reason", c.Reason},
			{"devices", strconv.Itoa(c.Total)},
			{"done", strconv.Itoa(c.Done)},
			{"failed", strconv.Itoa(c.Failed)},
			{"rest over", moment(c.ETA)},
		}
		for _, w := range c.Waves {
			rows = append(rows, []string{"wave", w.Name, w.State, strconv.Itoa(w.Total), w.Reason, w.Gate})
		}
		for _, a := range c.Actions {
			rows = append(rows, []string{"may", string(a)})
		}
		return rows
	})
}

// A draft is what the flags of "create" and "preview" say.
type draft struct {
	campaign web.NewCampaign
	delivery string
	plan     string
	match    []string
}

func (d *draft) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.campaign.Name, "name", "", "for people")
	f.StringVar(&d.campaign.Release, "release", "", "`id` of an approved release")
	f.StringVar(&d.delivery, "delivery", string(web.Push), "push or pull")
	f.StringVar(&d.plan, "plan", "", "`file` with waves, gates, rates, windows (JSON, schema CampaignPlan)")
	f.StringArrayVar(&d.match, "match", nil,
		"take devices that fit, such as `model=lamp`; manufacturer, model, class, tag, version")
}

// read completes the draft: ids of devices are the arguments, "ep:NAME" for names.
func (d *draft) read(cmd *cobra.Command, args []string) (web.NewCampaign, error) {
	n := d.campaign
	n.Delivery, n.Devices = web.Delivery(d.delivery), args
	if d.plan != "" {
		text, err := readDocument(cmd, d.plan)
		if err != nil {
			return n, err
		}
		if !json.Valid(text) {
			return n, fmt.Errorf("%w: %s is no JSON", errMisused, d.plan)
		}
		n.Plan = text
	}
	for _, m := range d.match {
		name, value, _ := strings.Cut(m, "=")
		if n.Match == nil {
			n.Match = &web.DeviceMatch{}
		}
		field, ok := map[string]*string{
			"manufacturer": &n.Match.Manufacturer, "model": &n.Match.Model, "class": &n.Match.Class, "tag": &n.Match.Tag,
			"version": &n.Match.Version,
		}[name]
		if !ok {
			return n, fmt.Errorf("%w: --match %q", errMisused, m)
		}
		*field = value
	}
	return n, nil
}

func (o *operator) campaignsCreate() *cobra.Command {
	var d draft
	cmd := &cobra.Command{
		Use: "create [flags] [DEVICE...]", Short: "Draft a campaign, and begin it",
		Long: `Drafts a campaign for devices (ids, or ep:NAME), and for those that fit --match.
Unless it is to stay a --draft it is submitted, and approved too, where no other
person must do that. A plan, for example:

  {"waves": [{"canary": true, "count": 5, "gate": {"success": 100, "soak": 3600}},
             {"percent": 10, "gate": {"success": 95, "max_failures": 20}}],
   "rates": {"concurrent": 50}, "windows": {"install": [{"from": "01:00", "to": "04:00"}]}}`,
		Example: "  steward campaigns create --release 01J... --plan plan.json --match model=lamp",
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := d.read(cmd, args)
			if err != nil {
				return err
			}
			api, err := o.api()
			if err != nil {
				return err
			}
			var c web.Campaign
			if err := api.Post(cmd.Context(), "/campaigns", n, &c); err != nil {
				return err
			}
			return o.printCampaign(cmd, c)
		},
	}
	d.flags(cmd)
	cmd.Flags().BoolVar(&d.campaign.Draft, "draft", false, "do not submit it yet")
	return cmd
}

func (o *operator) campaignsPreview() *cobra.Command {
	var d draft
	cmd := &cobra.Command{
		Use: "preview [flags] [DEVICE...]", Short: "Say who a campaign would take, who not, and why",
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := d.read(cmd, args)
			if err != nil {
				return err
			}
			api, err := o.api()
			if err != nil {
				return err
			}
			var p web.CampaignPreview
			if err := api.Post(cmd.Context(), "/campaigns/preview?page_size="+strconv.Itoa(web.MaxPageSize), n, &p); err != nil {
				return err
			}
			return o.print(cmd, p, func() [][]string {
				rows := [][]string{{"DEVICE", "IN", "RUNS", "WHY"}}
				for _, l := range p.Items {
					in := "no"
					if l.In {
						in = "yes"
					}
					rows = append(rows, []string{l.Endpoint, in, l.Version, l.Reason})
				}
				return rows
			})
		},
	}
	d.flags(cmd)
	return cmd
}

func (o *operator) campaignsJobs() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use: "jobs [flags] ID", Short: "List the devices of a campaign, and why each waits or failed", Args: one("campaign"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := campaignURL(args[0]) + "/jobs?" + url.Values{"state": {state}}.Encode()
			return list(cmd, o, path, []string{"DEVICE", "WAVE", "STATE", "RESULT", "REASON"}, func(j web.Job) []string {
				s := j.State
				if j.Aside != "" {
					s = j.Aside
				}
				reason := j.Reason
				if j.Report != "" {
					reason += "; the device reports: " + j.Report
				}
				return []string{j.Endpoint, j.Wave, s, strconv.Itoa(j.Result), reason}
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only those, such as failed")
	return cmd
}

func (o *operator) campaignsReport() *cobra.Command {
	var out, format string
	cmd := &cobra.Command{
		Use: "report [flags] ID", Short: "Write the report of a campaign", Args: one("campaign"),
		Long: `Writes the report of a campaign: json, csv (one line a device), or signed (the JSON in
a COSE_Sign1, which report-key.pem of the provider's data directory verifies).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			report, err := api.Fetch(cmd.Context(), campaignURL(args[0])+"/report?"+url.Values{"format": {format}}.Encode())
			if err != nil {
				return err
			}
			return writeOutput(cmd, out, report)
		},
	}
	outFlag(cmd, &out)
	cmd.Flags().StringVar(&format, "format", string(web.ReportJSON), "json, csv or signed")
	return cmd
}

func (o *operator) campaignsCommand(action web.CampaignAction, short string) *cobra.Command {
	c := web.CampaignCommand{Action: action}
	devices := -1
	cmd := &cobra.Command{
		Use: string(action) + " ID", Short: short, Args: one("campaign"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var now web.Campaign
			if err := api.Get(cmd.Context(), campaignURL(args[0]), &now); err != nil {
				return err
			}
			if action == web.CampaignAbort && devices != now.Total {
				return fmt.Errorf("%w: it has %d devices: confirm with --devices %d", errMisused, now.Total, now.Total)
			}
			if err := api.Post(cmd.Context(), campaignURL(args[0])+"/commands", c, &now); err != nil {
				return err
			}
			return o.printCampaign(cmd, now)
		},
	}
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why, in words")
	if action == web.CampaignAbort {
		cmd.Flags().IntVar(&devices, "devices", -1, "how many devices the campaign has, to confirm")
	}
	return cmd
}
