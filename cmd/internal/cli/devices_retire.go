package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"steward/web"
)

func (o *operator) devicesRetire() *cobra.Command {
	var r web.Retirement
	cmd := &cobra.Command{
		Use: "retire [flags] DEVICE", Short: "End all that a device has here: rights, keys, certificates, sessions",
		Long: `Revokes a device's certificates, deletes its right to enrol and its keys, and ends its
sessions. That cannot be taken back; what it did stays. --erase has it told first to erase
its data and sign that, if it knows how, and to go back to the state of delivery, if it
can be reached.`,
		Example: "  steward devices retire lamp-7 --reason 'struck by lightning' --erase",
		Args:    one("device"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.sendRetirement(cmd, args[0], r) },
	}
	retireFlags(cmd, &r)
	return cmd
}

func (o *operator) devicesReplace() *cobra.Command {
	var r web.Retirement
	var by string
	cmd := &cobra.Command{
		Use: "replace [flags] DEVICE", Short: "Retire a device, and have another take its place",
		Long: `Retires a device as "retire" does. The device --by, which must be known here, gets in
the same step what was wanted of it: tags and with them templates, static groups,
observations, and its place in campaigns that have not begun with it.`,
		Example: "  steward devices replace lamp-7 --by lamp-107 --reason 'struck by lightning'",
		Args:    one("device"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if by == "" {
				return fmt.Errorf("%w: --by: which device takes the place?", errMisused)
			}
			api, err := o.api()
			if err != nil {
				return err
			}
			at, err := deviceURL(cmd.Context(), api, by)
			if err != nil {
				return err
			}
			r.Replacement = at[len("/devices/"):]
			return o.sendRetirement(cmd, args[0], r)
		},
	}
	retireFlags(cmd, &r)
	cmd.Flags().StringVar(&by, "by", "", "`device` that takes the place")
	return cmd
}

func retireFlags(cmd *cobra.Command, r *web.Retirement) {
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why, in words")
	cmd.Flags().BoolVar(&r.Erase, "erase", false,
		"tell it first to erase its data, sign that, and go back to the state of delivery")
}

func (o *operator) sendRetirement(cmd *cobra.Command, device string, r web.Retirement) error {
	if r.Reason == "" {
		return fmt.Errorf("%w: --reason: why?", errMisused)
	}
	api, err := o.api()
	if err != nil {
		return err
	}
	at, err := deviceURL(cmd.Context(), api, device)
	if err != nil {
		return err
	}
	var d web.Device
	if err := api.Post(cmd.Context(), at+"/retire", r, &d); err != nil {
		return err
	}
	return o.print(cmd, d, func() [][]string {
		return [][]string{{"id", d.ID}, {"endpoint", d.Endpoint}, {"state", string(d.State)}}
	})
}
