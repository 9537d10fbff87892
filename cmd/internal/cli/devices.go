package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
	"steward/web"
)

func newDevices() *cobra.Command {
	o := &operator{}
	cmd := o.command("devices",
		"Devices of a provider: list, show, read, write, execute, create, delete, observe, tag, import",
		`What a device is asked waits for it if it sleeps. DEVICE is an id or an endpoint name.
The exit status is 1 if the device refused, or did not answer while it was waited for.`)
	cmd.Example = `  steward devices list state=online tag=lamp --csv
  steward devices read lamp-7 /3/0`
	cmd.AddCommand(o.devicesErase())
	cmd.AddCommand(o.devicesList(), o.devicesShow(), o.devicesRead(), o.devicesWrite(), o.devicesExecute(),
		o.devicesCreate(), o.devicesDelete(), o.devicesObserve(), o.devicesDiscover(), o.devicesOperations(),
		o.devicesCancel(), o.devicesTags(), o.devicesImport(),
		o.devicesRetire(), o.devicesReplace(), o.devicesRetirement(), o.devicesVerifyRetirement())
	return cmd
}

// selection returns the query that NAME=VALUE arguments stand for, as the filter of
// devices reads it.
func selection(args []string) (url.Values, error) {
	q := url.Values{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || value == "" || q.Has(name) {
			return nil, fmt.Errorf("%w: %q is no NAME=VALUE, or is there twice", errMisused, arg)
		}
		q.Set(name, value)
	}
	f, err := web.ParseDeviceFilter(q)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMisused, err)
	}
	known := f.Query()
	for name, values := range q {
		if !known.Has(name) && name != "sort" && values[0] != "false" {
			return nil, fmt.Errorf("%w: there is no filter %q", errMisused, name)
		}
	}
	return q, nil
}

func (o *operator) devicesList() *cobra.Command {
	return &cobra.Command{
		Use: "list [flags] [NAME=VALUE...]", Short: "List devices, filtered as the dashboard's page is",
		Long: `Lists devices that fit all NAME=VALUE: state (expected, online, offline, left), q (text),
tag, group, manufacturer, model, firmware, ownership, insecure, campaign, release,
exposed; sort=newest. The address of the dashboard's page has the same words.`,
		Example: `  steward devices list state=offline model=lamp
  steward devices list tag=roof --csv > roof.csv`,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := selection(args)
			if err != nil {
				return err
			}
			q.Set("page_size", fmt.Sprint(web.MaxPageSize))
			return list(cmd, o, "/devices?"+q.Encode(),
				[]string{"ENDPOINT", "STATE", "MANUFACTURER", "MODEL", "FIRMWARE", "LAST SEEN", "TAGS", "ID"},
				func(d web.Device) []string {
					return []string{
						d.Endpoint, string(d.State), d.Manufacturer, d.Model, d.Firmware, moment(d.LastSeen),
						strings.Join(d.Tags, ","), d.ID,
					}
				})
		},
	}
}

// deviceURL returns where a device is that is named by its id or its endpoint.
func deviceURL(ctx context.Context, api *remote.API, name string) (string, error) {
	path := "/devices/" + url.PathEscape(name)
	var d web.Device
	err := api.Get(ctx, path, &d)
	if err == nil {
		return path, nil
	}
	q := url.Values{"q": {name}, "page_size": {fmt.Sprint(web.MaxPageSize)}}
	all, listErr := remote.All[web.Device](ctx, api, "/devices?"+q.Encode())
	if listErr != nil {
		return "", listErr
	}
	for _, d := range all {
		if d.Endpoint == name {
			return "/devices/" + url.PathEscape(d.ID), nil
		}
	}
	return "", err
}

// onDevice returns a command whose first argument is a device and that has from least
// to most arguments after it, most -1 for any number.
func (o *operator) onDevice(use, short, example string, least, most int,
	run func(cmd *cobra.Command, api *remote.API, at string, args []string) error,
) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: "  steward devices " + example,
		Args: func(_ *cobra.Command, args []string) error {
			if n := len(args) - 1; n < least || most >= 0 && n > most {
				return fmt.Errorf("%w: %d arguments; want %s", errMisused, len(args), use)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := o.api()
			if err != nil {
				return err
			}
			at, err := deviceURL(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			return run(cmd, api, at, args[1:])
		},
	}
}

func (o *operator) devicesShow() *cobra.Command {
	return o.onDevice("show DEVICE", "Show a device: registration, certificates, objects", "show lamp-7", 0, 0,
		func(cmd *cobra.Command, api *remote.API, at string, _ []string) error {
			var d web.DeviceDetail
			if err := api.Get(cmd.Context(), at, &d); err != nil {
				return err
			}
			return o.print(cmd, d, func() [][]string { return deviceRows(d) })
		})
}

func deviceRows(d web.DeviceDetail) [][]string {
	rows := [][]string{
		{"id", d.ID},
		{"endpoint", d.Endpoint},
		{"state", string(d.State)},
		{"security", d.Security},
		{"made by", d.Manufacturer, d.Model},
		{"firmware", d.Firmware},
		{"tags", strings.Join(d.Tags, ",")},
		{"last seen", moment(d.LastSeen)},
	}
	if r := d.Registration; r != nil {
		rows = append(rows, []string{"address", r.Address, r.Transport},
			[]string{"lifetime", fmt.Sprint(r.Seconds), "until " + moment(r.ExpiresAt)})
		if r.Queue {
			rows = append(rows, []string{
				"queue mode", map[bool]string{true: "asleep", false: "listens"}[r.Asleep],
				"next message " + moment(r.WakesAt),
			})
		}
	}
	for _, c := range d.Certificates {
		rows = append(rows, []string{"certificate", shortHash(c.ID), string(c.State), "until " + moment(c.NotAfter)})
	}
	for _, n := range d.Objects {
		rows = append(rows, []string{"object", fmt.Sprint(n.ID), n.Name, strings.Trim(fmt.Sprint(n.Instances), "[]")})
	}
	for _, t := range d.Transfers {
		rows = append(rows, []string{"transfer", t})
	}
	return rows
}

func (o *operator) devicesOperations() *cobra.Command {
	return o.onDevice("operations DEVICE", "List what a device was asked, the newest first", "operations lamp-7", 0, 0,
		func(cmd *cobra.Command, _ *remote.API, at string, _ []string) error {
			return list(cmd, o, at+"/operations", []string{"ID", "OPERATION", "PATH", "STATE", "BY", "ASKED", "WAKES", "REASON"},
				func(op web.DeviceOperation) []string {
					return []string{
						op.ID, string(op.Kind), op.Path, op.State, op.By, moment(op.CreatedAt), moment(op.WakesAt), op.Reason,
					}
				})
		})
}

func (o *operator) devicesCancel() *cobra.Command {
	return o.onDevice("cancel DEVICE OPERATION", "Cancel an operation that waits for a device", "cancel lamp-7 01J…", 1, 1,
		func(cmd *cobra.Command, api *remote.API, at string, args []string) error {
			var op web.DeviceOperation
			path := at + "/operations/" + url.PathEscape(args[0])
			if err := api.Send(cmd.Context(), http.MethodDelete, path, nil, &op); err != nil {
				return err
			}
			return o.print(cmd, op, func() [][]string { return [][]string{{op.ID, op.State}} })
		})
}

func (o *operator) devicesTags() *cobra.Command {
	var c web.TagChange
	cmd := o.onDevice("tags DEVICE", "Show or change the tags of a device", "tags lamp-7 --add roof --remove cellar", 0, 0,
		func(cmd *cobra.Command, api *remote.API, at string, _ []string) error {
			var d web.Device
			var err error
			if len(c.Add)+len(c.Remove) == 0 {
				err = api.Get(cmd.Context(), at, &d)
			} else {
				err = api.Post(cmd.Context(), at+"/tags", c, &d)
			}
			if err != nil {
				return err
			}
			return o.print(cmd, d.Tags, func() [][]string {
				rows := make([][]string, len(d.Tags))
				for i, tag := range d.Tags {
					rows[i] = []string{tag}
				}
				return rows
			})
		})
	cmd.Flags().StringSliceVar((*[]string)(&c.Add), "add", nil, "tags to add")
	cmd.Flags().StringSliceVar((*[]string)(&c.Remove), "remove", nil, "tags to take off")
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why, in words")
	return cmd
}

func (o *operator) devicesImport() *cobra.Command {
	var n web.NewDevice
	cmd := &cobra.Command{
		Use: "import [flags] [CERTIFICATE...]", Short: "Announce devices, by their factory certificates or by name",
		Long: `Announces devices: each file holds the factory certificate of one (PEM or DER), which may
then enrol once. Without a file, --endpoint names one that comes by a pre-shared key or
without security. Lists of thousands: steward ca import.`,
		Example: `  steward devices import lamp-7.pem lamp-8.pem --tag roof
  steward devices import --endpoint meter-1 --nosec`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) > 0) == (n.Endpoint != "") {
				return fmt.Errorf("%w: name files, or one --endpoint", errMisused)
			}
			api, err := o.api()
			if err != nil {
				return err
			}
			all, err := announce(cmd.Context(), api, n, args)
			if err != nil {
				return err
			}
			return o.print(cmd, all, func() [][]string {
				rows := [][]string{{"ENDPOINT", "STATE", "ID"}}
				for _, d := range all {
					rows = append(rows, []string{d.Endpoint, string(d.State), d.ID})
				}
				return rows
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Endpoint, "endpoint", "", "`name` of a device without a factory certificate")
	f.BoolVar(&n.NoRight, "no-right", false, "known only: it may not enrol")
	f.BoolVar(&n.NoSec, "nosec", false, "it may register without security")
	f.StringSliceVar((*[]string)(&n.Tags), "tag", nil, "tags")
	f.StringVar(&n.KeyOrigin, "key-origin", "", "who made its factory key: device, provider, ca")
	return cmd
}

// announce announces the device n, or one for each file with a certificate.
func announce(ctx context.Context, api *remote.API, n web.NewDevice, files []string) ([]web.Device, error) {
	news := []web.NewDevice{n}
	if len(files) > 0 {
		news = nil
	}
	for _, file := range files {
		in := n
		var err error
		if in.Certificate, err = os.ReadFile(file); err != nil {
			return nil, misusedFile(err)
		}
		news = append(news, in)
	}
	out := make([]web.Device, len(news))
	for i, in := range news {
		if err := api.Post(ctx, "/devices", in, &out[i]); err != nil {
			return nil, fmt.Errorf("device %d of %d: %w", i+1, len(news), err)
		}
	}
	return out, nil
}

// jsonValue returns what somebody wrote as a JSON value: a number, true, false or null
// as such, unless it is to be text; everything else as text.
func jsonValue(written string, text bool) (json.RawMessage, error) {
	var v any
	if !text && json.Unmarshal([]byte(written), &v) == nil {
		return json.RawMessage(written), nil
	}
	return json.Marshal(written)
}
