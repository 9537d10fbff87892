package cli

import (
	"bufio"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/app"
	"steward/cmd/internal/batch"
	"steward/cmd/internal/bundle"
	"steward/cmd/internal/keys"
	"steward/est"
	"steward/est/esthttp"
)

// certifyAll returns the work for the requests of devices.
func (o factoryOptions) certifyAll() ([]making, error) {
	requests, err := batch.ReadRequests(o.requests)
	if err != nil {
		return nil, misusedFile(err)
	}
	out := make([]making, len(requests))
	for i, r := range requests {
		out[i] = func(ctx context.Context, ca *app.Permanent) (string, batch.Entry, error) {
			return o.certify(ctx, ca, r)
		}
	}
	return out, nil
}

func (o factoryOptions) certify(ctx context.Context, ca *app.Permanent, r batch.Request) (string, batch.Entry, error) {
	csr, err := est.ParseCSR(r.DER)
	if err != nil {
		return "", batch.Entry{}, fmt.Errorf("%s: %w", r.Path, err)
	}
	if err := o.replaced(ctx, ca, csr.Name()); err != nil {
		return "", batch.Entry{}, err
	}
	issued, err := ca.CertifyDevice(ctx, r.DER)
	if err != nil {
		return "", batch.Entry{}, fmt.Errorf("%s: %w", r.Path, err)
	}
	path, err := writeFactoryCertificate(o.out, csr.Name(), issued.DER)
	return path, batch.Entry{Certificate: issued.DER, Endpoint: csr.Name(), KeyOrigin: est.OriginDevice}, err
}

// writeFactoryCertificate writes NAME.pem.
func writeFactoryCertificate(dir, name string, der []byte) (string, error) {
	file := strings.TrimSuffix((&bundle.Bundle{Endpoint: name}).Name(), bundle.Suffix) + ".pem"
	path := filepath.Join(dir, file)
	return path, keys.WriteFile(path, []byte(bundle.EncodeCertificate(der)))
}

// newFactoryServe answers requests over HTTPS.
func newFactoryServe(f *factoryOptions) *cobra.Command {
	var o app.PermanentOptions
	var file, level string
	cmd := &cobra.Command{
		Use: "serve", Short: "Give factory certificates to factories, and new ones to devices in the field", Args: noArgs,
		Long: `Serves the permanent CA in --data by EST over HTTPS until it is stopped. Who has
the password that is made at the start gets factory certificates for requests that
devices signed: --uses of them, for names that --for covers. User and password are
written to --password-file, which only its owner can read; OUT/permanent-ca.pem of
"steward ca factory" is what a client trusts.

With --coaps devices in the field get a factory certificate for a key that they made
themselves, in place of the one that they have, by EST-coaps (RFC 9148): over an
association by their operational certificate, which must stand under a CA of one
--provider, and with a proof of the key that they have now. The old certificate ends
when the new one is first used. With --service-user that needs a mandate of theirs
to the provider, too.`,
		Example: "  steward ca factory serve --for 'line-7-*' --uses 5000 --password-file line-7.password\n" +
			"  steward ca factory request --server https://127.0.0.1:9443/.well-known/est \\\n" +
			"    --anchors devices/permanent-ca.pem --password-file line-7.password --requests csrs --out certificates\n" +
			"  steward ca factory serve --listen off --coaps 127.0.0.1:5694 --provider Beta=beta-ca.pem",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Log, err = newLog(cmd.ErrOrStderr(), level, false); err != nil {
				return err
			}
			ca, err := app.OpenPermanent(cmd.Context(), f.data, f.name)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, ca.Close()) }()
			if o.Listen == "off" {
				o.Listen = ""
			}
			if (o.Rekey.Listen != "") != (len(o.Rekey.Providers) > 0) {
				return fmt.Errorf("%w: --coaps is for devices of a --provider", errMisused)
			}
			err = ca.Serve(cmd.Context(), o, func(at app.PermanentService) error { return served(cmd, at, file) })
			if errors.Is(err, est.ErrPasswordOptions) {
				return fmt.Errorf("%w: %w", errMisused, err)
			}
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.Listen, "listen", "127.0.0.1:9443", "`address` to listen at for factories, or off")
	fl.StringVar(&o.Rekey.Listen, "coaps", "", "`address` to listen at for devices that re-key")
	fl.StringToStringVar(&o.Rekey.Providers, "provider", nil,
		"`name=file` of a provider's CA certificates, in PEM; may be repeated")
	fl.StringVar(&o.Rekey.ServiceUser, "service-user", "", "`file` of certificates whose mandates re-keys need")
	fl.StringVar(&o.Host, "host", "127.0.0.1", "name or address of this machine, as its certificate says it")
	fl.StringVar(&o.Password.Name, "for", "*", "endpoint name, or a `pattern` with a *")
	fl.IntVar(&o.Password.Uses, "uses", 1000, "how many certificates there are")      //nolint:mnd // a day of a line
	fl.DurationVar(&o.Password.Lifetime, "lifetime", 24*time.Hour, "of the password") //nolint:mnd // a day
	fl.StringVar(&o.CRL, "crl", "", "`file` for the CRL, kept up to date; providers read it (serve --factory-crl)")
	fl.StringVar(&file, "password-file", "factory.password", "`file` for user and password")
	fl.StringVar(&level, "log", slog.LevelInfo.String(), "least `level` of what is logged")
	return cmd
}

// served tells where the permanent CA is served.
func served(cmd *cobra.Command, at app.PermanentService, file string) error {
	out := cmd.OutOrStdout()
	if at.CoAPS != "" {
		if _, err := fmt.Fprintf(out, "%s\n", at.CoAPS); err != nil {
			return err
		}
	}
	if at.URL == "" {
		return nil
	}
	if err := keys.WriteFile(file, []byte(at.User+"\n"+at.Secret+"\n")); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s\nUser and password are in %s.\n", at.URL, file)
	return err
}

// requestOptions are the flags of "ca factory request".
type requestOptions struct {
	server, anchors, password, requests, out, list string
}

// newFactoryRequest is the other side of serve.
func newFactoryRequest() *cobra.Command {
	var o requestOptions
	cmd := &cobra.Command{
		Use: "request", Short: "Ask a permanent CA over HTTPS for factory certificates, for a batch of requests",
		Args: noArgs,
		Long: `Sends the requests (PKCS #10) of devices to an EST server (RFC 7030), one after the
other, and writes the certificates. It may be repeated: the same key gets the same
certificate, and uses up nothing.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.server, "server", "https://127.0.0.1:9443/.well-known/est", "`address` of the functions")
	f.StringVar(&o.anchors, "anchors", filepath.Join("devices", "permanent-ca.pem"),
		"`file` with the CA that the server has")
	f.StringVar(&o.password, "password-file", "factory.password", "`file` with user and password, a line each")
	f.StringVar(&o.requests, "requests", "", "`directory` of requests, or a file with some")
	f.StringVar(&o.out, "out", "certificates", "`directory` for the certificates")
	f.StringVar(&o.list, "list", "", "write the factory certificates to a `file`: .csv, .pem, .x5bag or .c5b")
	_ = cmd.MarkFlagRequired("requests") // the flag is there
	return cmd
}

func (o requestOptions) run(cmd *cobra.Command) error {
	requests, err := batch.ReadRequests(o.requests)
	if err != nil {
		return misusedFile(err)
	}
	user, password, err := readPassword(o.password)
	if err != nil {
		return err
	}
	client, err := app.EnrolClient(o.server, o.anchors, user, password)
	if err != nil {
		return fmt.Errorf("%w: %w", errMisused, err)
	}
	if err := os.MkdirAll(o.out, 0o700); err != nil {
		return err
	}
	var entries []batch.Entry
	refused := 0
	for _, r := range requests {
		certs, err := client.Enrol(cmd.Context(), r.DER)
		if status := (*esthttp.StatusError)(nil); errors.As(err, &status) && status.Status < 500 {
			refused++
			if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", r.Path, err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.Path, err)
		}
		e, err := o.take(cmd, r, certs)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	return finishBatch(o.list, entries, refused, len(requests))
}

// take writes the certificate that came for a request.
func (o requestOptions) take(cmd *cobra.Command, r batch.Request, certs []*x509.Certificate) (batch.Entry, error) {
	csr, err := est.ParseCSR(r.DER)
	if err != nil {
		return batch.Entry{}, fmt.Errorf("%s: %w", r.Path, err)
	}
	for _, c := range certs {
		key, ok := c.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
		if !ok || c.Subject.CommonName != csr.Name() || !key.Equal(csr.Key) {
			continue
		}
		path, err := writeFactoryCertificate(o.out, csr.Name(), c.Raw)
		if err != nil {
			return batch.Entry{}, err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
		return batch.Entry{Certificate: c.Raw, Endpoint: csr.Name(), KeyOrigin: est.OriginDevice}, err
	}
	return batch.Entry{}, fmt.Errorf("%s: the server sent no certificate for %s", r.Path, csr.Name())
}

// readPassword reads user and password, a line each.
func readPassword(path string) (user string, password est.Secret, err error) {
	text, err := keys.ReadSecret(path)
	if err != nil {
		return "", nil, misusedFile(err)
	}
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	lines.Scan()
	user = strings.TrimSpace(lines.Text())
	lines.Scan()
	password = est.Secret(strings.TrimSpace(lines.Text()))
	if user == "" || len(password) == 0 {
		return "", nil, fmt.Errorf("%w: %s has no user and password, a line each", errMisused, path)
	}
	return user, password, nil
}
