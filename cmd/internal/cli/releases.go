package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

func newReleases() *cobra.Command {
	o := &operator{}
	cmd := o.command("releases", "Releases of a provider: add, approve, withdraw; what is known against their parts",
		`A release is an image with its signed manifest. It is a draft until somebody
approves it: another person than who added it, where there is one.`)
	cmd.AddCommand(o.releasesList(), o.releasesShow(), o.releasesAdd(), o.releasesDecide(web.ReleaseApprove),
		o.releasesDecide(web.ReleaseWithdraw), o.releasesBill(), o.releasesFindings(), o.releasesImport(),
		o.releasesVulnerabilities())
	return cmd
}

func (o *operator) releasesList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the releases, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return list(cmd, o, "/releases", []string{"ID", "NAME", "VERSION", "SEQUENCE", "STATE", "ADDED", "BY"},
				func(r web.Release) []string {
					return []string{
						r.ID, r.Name, r.Version, strconv.FormatUint(r.Sequence, 10), r.State, moment(r.CreatedAt), r.CreatedBy,
					}
				})
		},
	}
}

// list prints all parts of a list.
func list[T any](cmd *cobra.Command, o *operator, path string, head []string, row func(T) []string) error {
	api, err := o.api()
	if err != nil {
		return err
	}
	items, err := remote.All[T](cmd.Context(), api, path)
	if err != nil {
		return err
	}
	if items == nil {
		items = []T{}
	}
	return o.print(cmd, items, func() [][]string {
		rows := [][]string{head}
		for _, item := range items {
			rows = append(rows, row(item))
		}
		return rows
	})
}

func (o *operator) releasesShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a release, its manifests and what is known against it", Args: one("release"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var r web.ReleaseDetail
			if err := api.Get(cmd.Context(), "/releases/"+url.PathEscape(args[0]), &r); err != nil {
				return err
			}
			return o.print(cmd, r, func() [][]string { return releaseRows(r) })
		},
	}
}

func releaseRows(r web.ReleaseDetail) [][]string {
	rows := [][]string{
		{"id", r.ID},
		{"name", r.Name},
		{"version", r.Version},
		{"sequence", strconv.FormatUint(r.Sequence, 10)},
		{"state", r.State},
		{"vendor", r.Vendor},
		{"class", r.Class},
		{"digest", r.Digest},
		{"size", strconv.Itoa(r.Size)},
		{"secret", strconv.FormatBool(r.Secret)},
		{"added", moment(r.CreatedAt) + " by " + r.CreatedBy},
	}
	for _, d := range r.Decisions {
		rows = append(rows, []string{string(d.Action), moment(d.At) + " by " + d.By, d.Reason})
	}
	for _, m := range r.Manifests {
		for _, s := range m.Signatures {
			rows = append(rows, []string{string(m.Delivery), s})
		}
		for _, s := range m.Steps {
			rows = append(rows, []string{string(m.Delivery), s})
		}
	}
	if r.Bill != nil {
		rows = append(rows, []string{"parts", strconv.Itoa(r.Bill.Parts), r.Bill.Format})
	}
	return append(rows, []string{"runs on", strconv.Itoa(r.Running)}, []string{"exposed", strconv.Itoa(r.Exposed)})
}

func (o *operator) releasesAdd() *cobra.Command {
	var n web.NewRelease
	var image, envelope string
	cmd := &cobra.Command{
		Use: "add [flags]", Short: "Add an image, or a signed envelope", Args: noArgs,
		Long: `Adds --image, for which the provider writes and signs a manifest, or --envelope,
a SUIT envelope that is signed already; with both, the image is what the envelope
names. The release is a draft. Who is alone may --approve it at once.

An image that is --secret is given to devices that come from another provider, before
they enrol, only encrypted to the key that they enrol. They fetch the ciphertext into
the component --staging, and decrypt it from there.`,
		Example: "  steward releases add --image fw.bin --version 2.1.0 --vendor vendor.example --class sensor",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			for _, file := range []struct {
				name string
				into *[]byte
			}{{image, &n.Image}, {envelope, &n.Envelope}} {
				if file.name == "" {
					continue
				}
				if *file.into, err = readDocument(cmd, file.name); err != nil {
					return err
				}
			}
			if n.Image == nil && n.Envelope == nil {
				return errors.Join(errMisused, errors.New("neither --image nor --envelope"))
			}
			api, err := o.api()
			if err != nil {
				return err
			}
			var r web.Release
			if err := api.Post(cmd.Context(), "/releases", n, &r); err != nil {
				return err
			}
			return o.print(cmd, r, func() [][]string { return [][]string{{r.ID, r.State}} })
		},
	}
	f := cmd.Flags()
	f.StringVar(&image, "image", "", "`file` of the image")
	f.StringVar(&envelope, "envelope", "", "`file` of a signed envelope")
	f.StringVar(&n.Name, "name", "", "for people")
	f.StringVar(&n.Version, "version", "", "as devices will report it")
	f.StringVar(&n.Vendor, "vendor", "", "domain name or UUID")
	f.StringVar(&n.Class, "class", "", "name or UUID")
	f.Uint64Var(&n.Sequence, "sequence", 0, "sequence number (default the next)")
	f.BoolVar(&n.Approve, "approve", false, "approve it at once")
	f.BoolVar(&n.Secret, "secret", false, "the image holds secrets")
	f.StringVar(&n.Staging, "staging", "", "`component` for the ciphertext: segments in hexadecimal, joined by /")
	return cmd
}

func (o *operator) releasesDecide(action web.ReleaseAction) *cobra.Command {
	c := web.ReleaseCommand{Action: action}
	short := map[web.ReleaseAction]string{
		web.ReleaseApprove:  "Approve a release, so that campaigns may deliver it",
		web.ReleaseWithdraw: "Withdraw a release: it goes to no further device, for good",
	}
	cmd := &cobra.Command{
		Use: string(action) + " ID", Short: short[action], Args: one("release"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			var r web.Release
			if err := api.Post(cmd.Context(), "/releases/"+url.PathEscape(args[0])+"/commands", c, &r); err != nil {
				return err
			}
			return o.print(cmd, r, func() [][]string { return [][]string{{r.ID, r.State}} })
		},
	}
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why, in words")
	return cmd
}

func (o *operator) releasesBill() *cobra.Command {
	return &cobra.Command{
		Use: "bill ID [FILE]", Short: "Upload the bill of materials of a release, or print it",
		Long: `Uploads FILE (CycloneDX or SPDX, JSON) as the bill of materials of a release, in the
place of an earlier one; without FILE, prints the bill as it was uploaded.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return fmt.Errorf("%w: %d arguments, want a release and perhaps a file", errMisused, len(args))
			}
			api, err := o.api()
			if err != nil {
				return err
			}
			path := "/releases/" + url.PathEscape(args[0]) + "/bill"
			if len(args) == 1 {
				document, err := api.Fetch(cmd.Context(), path)
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(document)
				return err
			}
			document, err := readDocument(cmd, args[1])
			if err != nil {
				return err
			}
			var b web.BillSummary
			if err := api.Send(cmd.Context(), http.MethodPut, path, document, &b); err != nil {
				return err
			}
			return o.print(cmd, b, func() [][]string {
				return [][]string{
					{"format", b.Format}, {"parts", strconv.Itoa(b.Parts)}, {"affected", strconv.Itoa(b.Findings["affected"])},
				}
			})
		},
	}
}

func (o *operator) releasesFindings() *cobra.Command {
	return &cobra.Command{
		Use: "findings ID", Short: "List what vulnerability lists say of a release", Args: one("release"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return list(cmd, o, "/releases/"+url.PathEscape(args[0])+"/findings",
				[]string{"VULNERABILITY", "STATUS", "PART", "VERSION", "FIXED IN", "EXPOSED"}, func(f web.Finding) []string {
					return []string{
						f.Vulnerability, f.Status, f.Part.Name, f.Part.Version, f.FixedIn, strconv.Itoa(f.Exposed),
					}
				})
		},
	}
}

func (o *operator) releasesImport() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "import [flags] FILE", Short: "Import a vulnerability list (OSV, OpenVEX or CycloneDX, JSON)", Args: one("list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			document, err := readDocument(cmd, args[0])
			if err != nil {
				return err
			}
			var l web.VulnerabilityList
			path := "/vulnerability-lists?" + url.Values{"name": {name}}.Encode()
			if err := api.Send(cmd.Context(), http.MethodPost, path, document, &l); err != nil {
				return err
			}
			return o.print(cmd, l, func() [][]string { return [][]string{{l.ID, l.Name, l.Format, strconv.Itoa(l.Count)}} })
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "of the list; one of the same name is replaced")
	return cmd
}

func (o *operator) releasesVulnerabilities() *cobra.Command {
	return &cobra.Command{
		Use: "vulnerabilities", Short: "List vulnerabilities of all releases, and how many devices are still exposed",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return list(cmd, o, "/vulnerabilities",
				[]string{"VULNERABILITY", "SEVERITY", "AFFECTED", "RELEASES", "EXPOSED"}, func(v web.Vulnerability) []string {
					return []string{
						v.ID, v.Severity, strconv.Itoa(v.Affected), strconv.Itoa(v.Releases), strconv.Itoa(v.Exposed),
					}
				})
		},
	}
}
