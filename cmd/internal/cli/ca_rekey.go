package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"steward/est/enrol"
	"steward/web"
)

// caRenew has a device renew its operational certificate.
func (o *operator) caRenew() *cobra.Command {
	return o.orderEnrolment(enrol.Renewal, &cobra.Command{
		Use: "renew DEVICE", Short: "Have a device renew its certificate, with a new key, as soon as it listens",
		Long: `Has a device renew its operational certificate now, whatever the policy says. DEVICE
is an id, or ep: and an endpoint name. The certificate that it has stays valid until
the new one is in use.`,
		Example: "  steward ca renew ep:device-0001 --reason 'key may be weak'",
	})
}

// caRekey has a device re-key its factory certificate.
func (o *operator) caRekey() *cobra.Command {
	return o.orderEnrolment(enrol.Rekey, &cobra.Command{
		Use: "rekey DEVICE", Short: "Have a device make a new factory key, and its permanent CA certify it",
		Long: `Has a device make a factory key of its own in place of the one that it has, which
whoever made it may have kept. The device asks its permanent CA, which "steward ca
factory serve --coaps" is, and tells this provider, whose right for it then goes by
the new factory certificate. The key before opens nothing any more. DEVICE is an id,
or ep: and an endpoint name.

Devices that come from another provider are asked by themselves, unless
enrolment.rekey is "never" in the settings.`,
		Example: "  steward ca rekey ep:device-0001",
	})
}

// orderEnrolment completes a command that has a device do something.
func (o *operator) orderEnrolment(want enrol.Request, cmd *cobra.Command) *cobra.Command {
	order := web.EnrolmentOrder{Action: string(want)}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%w: name one device", errMisused)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		api, err := o.api()
		if err != nil {
			return err
		}
		var e web.DeviceEnrolment
		if err := api.Post(cmd.Context(), "/devices/"+url.PathEscape(args[0])+"/enrolment", order, &e); err != nil {
			return err
		}
		return o.print(cmd, e, func() [][]string {
			return [][]string{{"Device", e.Endpoint}, {"State", e.State}, {"Request", e.Request}, {"Reason", e.Reason}}
		})
	}
	cmd.Flags().StringVar(&order.Reason, "reason", "", "why, for the audit")
	return cmd
}
