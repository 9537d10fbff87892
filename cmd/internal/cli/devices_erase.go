package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"steward/cmd/internal/remote"
)

func (o *operator) devicesErase() *cobra.Command {
	var in struct {
		Endpoint string `json:"endpoint"`
		Reason   string `json:"reason"`
	}
	cmd := o.onDevice("erase DEVICE", "Delete a device that left, with its history",
		"erase lamp-7 --endpoint lamp-7 --reason 'scrapped in spring'", 0, 0,
		func(cmd *cobra.Command, api *remote.API, at string, _ []string) error {
			if in.Endpoint == "" || in.Reason == "" {
				return fmt.Errorf("%w: --endpoint and --reason are needed", errMisused)
			}
			if err := api.Post(cmd.Context(), at+"/erase", in, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.ErrOrStderr(), "deleted; certificates, hand-overs and the audit stay")
			return err
		})
	cmd.Long = `Deletes a device that was retired or handed over, with what it sent, was asked and was
given in updates. That cannot be taken back. Its certificates, hand-overs and audit rows
stay. --endpoint repeats its name, to confirm.`
	f := cmd.Flags()
	f.StringVar(&in.Endpoint, "endpoint", "", "`name` of the device, to confirm")
	f.StringVar(&in.Reason, "reason", "", "why, for the audit")
	return cmd
}
