package cli

import (
	"github.com/spf13/cobra"
)

func newCA() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ca", Short: "Certificate authorities: the inventory of a running provider, and factories", Args: noArgs,
		Long: `What a running provider's CA has issued, and what is to be done about it, by its
REST API (--url, --token-file); the keys of a provider that does not run, in its
data directory; and the permanent CA of a factory, in a directory of its own.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFactory(), newC509(), newCAKeys(), newRollover(), newCARequest(), newCAInstall(), newCACertify())
	o := &operator{}
	for _, c := range []*cobra.Command{
		o.caInventory(), o.caCertificates(), o.caShow(), o.caRevoke(), o.caPasswords(), o.caUpstream(), o.caApprovals(),
		o.caCRL(), o.caOCSPStatus(), o.caTrust(), o.caImport(), o.caRenew(), o.caRekey(),
	} {
		o.flags(c)
		cmd.AddCommand(c)
	}
	return cmd
}
