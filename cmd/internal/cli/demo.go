package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"steward/cmd/internal/demo"
)

func newDemo() *cobra.Command {
	o := demo.Options{Timers: demo.DefaultTimers()}
	cmd := &cobra.Command{
		Use: "demo", Short: "Show a device's whole life on this machine", Args: noArgs,
		Long: `Runs, as separate processes, a factory, two complete providers (Alpha on
127.0.0.11, Beta on 127.0.0.12) and a fleet of simulated devices, and leads the
devices through their life: factory certificate, enrolment at Alpha's CA,
registration, a signed firmware update, and the hand-over to Beta, which takes
two approvals and no touch of a device. It commands both by their REST APIs.

Progress goes to stderr, the report to stdout. The report is made afterwards from
both databases, the devices' files and handshakes with old keys. Without --exit
both providers go on serving, with sign-in links for their dashboards.

--hierarchy says how the CAs stand to each other: a, each provider has a root of its
own; b, Beta's CA is below the factory's permanent CA; c, both are; d, one CA in all
roles, so that Alpha's is also the factory's.

--fault makes something go wrong during the hand-over. Every device must end at one
provider all the same, and status 0 says that all ended where they must:
` + demo.DescribeFaults(),
		Example: "  steward demo --exit --json --devices 20",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Stdout, o.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			err := demo.Run(cmd.Context(), o)
			if errors.Is(err, demo.ErrOptions) {
				return fmt.Errorf("%w: %w", errMisused, err)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Devices, "devices", 5, "how many devices")
	f.BoolVar(&o.Exit, "exit", false, "end when done, with status 0 only if all is as promised")
	f.BoolVar(&o.JSON, "json", false, "print the report as one JSON object")
	f.StringVar(&o.Hierarchy, "hierarchy", "a", "how the CAs stand to each other: "+strings.Join(demo.Hierarchies(), ", "))
	f.StringVar(&o.Encoding, "encoding", demo.Encodings()[0],
		"of certificates in enrolment, as their content formats are called: "+strings.Join(demo.Encodings(), ", "))
	f.BoolVar(&o.Attest, "attest", false, "the mandate demands that devices attest before they enrol at Beta")
	f.BoolVar(&o.Rekey, "rekey", false, "devices make factory keys of their own, at Alpha and again at Beta")
	f.BoolVar(&o.UpdateFirst, "update-first", false, "devices take an image of Beta's before they enrol there")
	f.StringVar(&o.Fault, "fault", "", "what goes wrong, one of those above")
	f.StringVar(&o.Dir, "dir", "", "`directory` for all data and logs (default a temporary one)")
	f.DurationVar(&o.Timers.Grace, "grace", o.Timers.Grace,
		"powered time from commit to fallback; longer by default for many devices")
	return cmd
}
