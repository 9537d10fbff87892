package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"steward/cmd/internal/app"
	"steward/cmd/internal/keys"
)

func newCARequest() *cobra.Command {
	var m maintenance
	var out string
	cmd := &cobra.Command{
		Use: "request", Short: "Ask a CA above to certify the issuing CA", Args: noArgs,
		Long: `Makes the key of a provider's issuing CA and writes its request (PKCS#10), for a
permanent CA or a company's root to certify. Asked again it writes another request
for the same key, until "steward ca install" takes in the answer.

For a new provider say --name, and ca.hierarchy = "subordinate" in its settings. Of
one that has an issuing CA already, the key that will follow is meant.` + onlyStopped,
		Example: "  steward ca request --data alpha --name Alpha --out alpha.csr.pem\n" +
			"  steward ca certify alpha.csr.pem --data factory-data --out alpha.chain.pem\n" +
			"  steward ca install alpha.chain.pem --data alpha",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.do(cmd.Context(), func(open *app.Maintenance) error {
				text, err := open.Request(cmd.Context())
				if err != nil {
					return err
				}
				return deliver(cmd, out, text)
			})
		},
	}
	m.flags(cmd)
	cmd.Flags().StringVar(&out, "out", "", "`file` to write (default standard output)")
	return cmd
}

// deliver writes text to a file, or to standard output.
func deliver(cmd *cobra.Command, file string, text []byte) error {
	if file != "" {
		return keys.WriteFile(file, text)
	}
	_, err := cmd.OutOrStdout().Write(text)
	return err
}

func newCAInstall() *cobra.Command {
	var m maintenance
	cmd := &cobra.Command{
		Use: "install CHAIN", Short: "Take in the certificate of the issuing CA", Args: one("file"),
		Long: `Takes in the answer to "steward ca request": a file with certificates in PEM, that
of the issuing CA first, then those above it, the root last. It must be for the key
of the request, and hold by the rules of RFC 5280.

If there is an issuing CA already, this begins a roll-over: see "steward ca rollover".
The root above then counts as a factory CA: devices whose factory certificates are
below it are let in as soon as somebody imports them.` + onlyStopped,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readCertificates(args[0])
			if err != nil {
				return err
			}
			return m.do(cmd.Context(), func(open *app.Maintenance) error { return open.Install(cmd.Context(), text) })
		},
	}
	m.flags(cmd)
	return cmd
}

// maxCertificates bounds a file of certificates or requests, in bytes.
const maxCertificates = 1 << 20

func readCertificates(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMisused, err)
	}
	if info.Size() > maxCertificates {
		return nil, fmt.Errorf("%w: %s has %d bytes", errMisused, path, info.Size())
	}
	return os.ReadFile(path)
}

func newCACertify() *cobra.Command {
	var data, name, out string
	cmd := &cobra.Command{
		Use: "certify REQUEST", Short: "Certify a provider's issuing CA, as a permanent CA", Args: one("file"),
		Long: `Makes the certificate that a provider asked for by "steward ca request", under the
permanent CA in --data (made at the first call), and writes it with the permanent
CA's own. The issuing CA may issue to devices and servers, and certify no further CA.`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			request, err := readCertificates(args[0])
			if err != nil {
				return err
			}
			ca, err := app.OpenPermanent(cmd.Context(), data, name)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, ca.Close()) }()
			chain, err := ca.Certify(cmd.Context(), request)
			if err != nil {
				return err
			}
			return deliver(cmd, out, []byte(chain))
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "factory-data", "`directory` of the permanent CA")
	f.StringVar(&name, "name", "Factory CA", "the permanent CA's name")
	f.StringVar(&out, "out", "", "`file` to write (default standard output)")
	return cmd
}
