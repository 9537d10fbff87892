// Package cli is the command tree of steward. Stdout is data, stderr is talk;
// the exit status is 0, 1 for failed, 2 for misused.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"steward/cmd/internal/app"
)

// Exit statuses.
const (
	exitFailed  = 1
	exitMisused = 2
)

// errMisused reports flags or arguments that cannot be meant.
var errMisused = errors.New("misused")

// Main runs the command line of the process and returns its exit status.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// Run runs a command line and returns its exit status.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot() //nolint:contextcheck // ExecuteContext gives the commands theirs
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(stderr, "steward:", err)
	if errors.Is(err, errMisused) {
		return exitMisused
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "steward",
		Short: "LwM2M server that looks after devices and hands them over to other providers",
		Long: `Steward is the LwM2M server with which a provider looks after its devices for
their whole life (enrolment, management, signed updates) and hands them over to
another provider without anyone touching a device.

Begin with "steward demo", which shows all of it on this machine, or with
"steward serve", which runs one provider.`,
		SilenceUsage: true, SilenceErrors: true,
		Version: app.Version, Args: noArgs,
		PersistentPreRunE: refuseVariables,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errMisused, err) })
	root.AddCommand(newServe(), newDemo(), newDevice(), newDeviceCheck(), newCA(), newReleases(), newCampaigns())
	root.AddCommand(newSUIT(), newBench(), newDevices(), newTransfers(), newPartners(), newDoctor(), newConfig())
	root.AddCommand(newMan(), newBackup(), newRestore(), newReconcile(), newLogLevel(), newVersion(), newAudit())
	root.AddCommand(newUsers(), newAttest(), newMandate())
	exemplify(root)
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), app.Version)
			return err
		},
	}
}

// noArgs is cobra.NoArgs as a misuse.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return fmt.Errorf("%w: %w", errMisused, err)
	}
	return nil
}
