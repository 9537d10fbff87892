package cli

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/owner"
	"steward/transfer"
)

// errMandate reports a mandate that nobody known has signed, or that has expired.
var errMandate = errors.New("the mandate does not count")

// ownerFlags say where a service user is kept.
type ownerFlags struct{ dir, key, passphrase string }

func (f *ownerFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "dir", "owner", "`directory` of the service user")
	cmd.Flags().StringVar(&f.key, "key", "",
		"`place` of the key, if not in --dir: file:PATH or pkcs11:… (RFC 7512); the same each time")
	cmd.Flags().StringVar(&f.passphrase, "passphrase-file", "",
		"`file` with the passphrase that encrypts the key (default: $STEWARD_PASSPHRASE, else a key of this machine)")
}

func (f *ownerFlags) options() (owner.Options, error) {
	passphrase, err := config.Keys{PassphraseFile: f.passphrase}.Passphrase()
	if err != nil {
		return owner.Options{}, fmt.Errorf("%w: %w", errMisused, err)
	}
	return owner.Options{Dir: f.dir, Place: f.key, Passphrase: passphrase}, nil
}

// open returns the service user that "keygen" has made.
func (f *ownerFlags) open() (*owner.Owner, error) {
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	return owner.Open(o)
}

func newMandate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "mandate", Args: noArgs,
		Short: "Mandates of a service user, who owns devices: keygen, show, sign, verify, recover",
		Long: `A service user owns devices and lets providers hand them over, by mandates that it
signs on a machine of its own: no server ever has its key. "keygen" makes the key, once.
Both providers pin its identity file (Partners), and a factory can give devices its
certificate ("steward ca factory --mandate-signer"): then they move by its order only.

For each hand-over the outgoing provider drafts the transfer and sends a request file;
"show" says in words what it asks for, "sign" signs it, and the provider takes what
comes out.`,
		Example: "  steward mandate keygen --dir owner --name 'City of Lamps'\n" +
			"  steward mandate show mandate-request.json\n" +
			"  steward mandate sign --dir owner mandate-request.json --out fleet.mandate",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMandateKeygen(), newMandateShow(), newMandateSign(), newMandateVerify(), newMandateRecover())
	return cmd
}

func newMandateKeygen() *cobra.Command {
	var f ownerFlags
	var name string
	cmd := &cobra.Command{
		Use: "keygen", Short: "Make the key of a service user, once", Args: noArgs,
		Long: `Makes a key in --dir, and two files beside it: identity.json, by which providers pin
the key (steward partners add), and owner.pem, the certificate for factories. The
fingerprint that is printed is to be compared with what providers show, by another way.`,
		Example: "  steward mandate keygen --dir owner --name 'City of Lamps'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return fmt.Errorf("%w: --name: who is it?", errMisused)
			}
			o, err := f.options()
			if err != nil {
				return err
			}
			made, err := owner.Create(o, name, time.Now())
			if err != nil {
				return err
			}
			c, err := x509.ParseCertificate(made.Certificate())
			if err != nil {
				return err
			}
			return table(cmd.OutOrStdout(), [][]string{
				{"service user", made.Name}, {"signing key", fingerprint(c)}, {"certificate", transfer.HashOf(c.Raw).String()},
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "`name` of the service user, as mandates say it")
	return cmd
}

// fingerprint is the SHA-256 of a certificate's key, as partners' pages show it.
func fingerprint(c *x509.Certificate) string {
	h := transfer.HashOf(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(h[:])
}

func newMandateShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "Say in words what a request asks for, or a mandate allows", Args: one("file"),
		Long: `Reads a request for a mandate, or a mandate, and says who may hand what over to whom,
till when and how. Of a mandate nothing is verified: "verify" does so.`,
		Example: "  steward mandate show mandate-request.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readDocument(cmd, args[0])
			if err != nil {
				return err
			}
			if m, err := transfer.ParseMandate(raw); err == nil {
				return printMandate(cmd, &m.Body, nil)
			}
			r, err := transfer.ParseMandateRequest(raw)
			if err != nil {
				return fmt.Errorf("%s is no mandate; %w", args[0], err)
			}
			m := r.Mandate("", time.Now(), nil)
			return printMandate(cmd, &m, r)
		},
	}
}

// printMandate writes the words of a mandate, and which devices are meant; r has their
// names, if there is one.
func printMandate(cmd *cobra.Command, m *transfer.Mandate, r *transfer.MandateRequest) error {
	rows := [][]string{}
	for _, sentence := range m.Words() {
		rows = append(rows, []string{sentence})
	}
	for i, f := range m.Devices.Factory {
		row := []string{"  " + f.String()}
		if r != nil {
			row = append(row, r.Devices[i].Endpoint)
		}
		rows = append(rows, row)
	}
	if r != nil && r.Note != "" {
		rows = append(rows, []string{"Note: " + r.Note})
	}
	return table(cmd.OutOrStdout(), rows)
}

// mandateFlags are what "sign" changes of a request, or asks for without one.
type mandateFlags struct {
	ownerFlags

	out, from, to, group string
	earliest, latest     string
	attest, keep         bool
	sequence             uint64
}

func newMandateSign() *cobra.Command {
	var f mandateFlags
	cmd := &cobra.Command{
		Use: "sign [flags] [REQUEST]", Short: "Sign a mandate: for a request, or as the flags say",
		Args: cobra.MaximumNArgs(1),
		Long: `Signs a mandate by the key of the service user and says in words what was signed. A
request is taken as it is, but for what the flags say otherwise; without one they must
say all of it.

--group takes the place of listed devices. One that ends with * means every device whose
certified name begins so: devices and both providers check that. Any other is a group
of the outgoing provider, which alone says who is in it. A device can hold a mandate
that lists about a hundred devices; larger fleets that demand mandates need a group.`,
		Example: "  steward mandate sign mandate-request.json --out fleet.mandate\n" +
			"  steward mandate sign --from Alpha --to Beta --group 'urn:dev:lamp-*' \\\n" +
			"    --latest 2026-12-31T00:00:00Z --attest --out lamps.mandate",
		RunE: f.run,
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.out, "out", "", "`file` for the mandate")
	fl.StringVar(&f.from, "from", "", "`name` of the outgoing provider")
	fl.StringVar(&f.to, "to", "", "`name` of the incoming provider")
	fl.StringVar(&f.group, "group", "", "`group` instead of listed devices: a name, or a prefix and *")
	fl.StringVar(&f.earliest, "earliest", "", "`time` of the first move (RFC 3339)")
	fl.StringVar(&f.latest, "latest", "", "`time` of the last move (RFC 3339)")
	fl.BoolVar(&f.attest, "attest", false, "devices must prove what they run before the new provider enrols them")
	fl.BoolVar(&f.keep, "keep-application", false, "the installed application may stay on devices")
	fl.Uint64Var(&f.sequence, "max-sequence", 0, "most sequence `number` of a manifest that a device may have installed")
	return cmd
}

func (f *mandateFlags) run(cmd *cobra.Command, args []string) error {
	r, err := f.request(cmd, args)
	if err != nil {
		return err
	}
	if f.out == "" {
		return fmt.Errorf("%w: --out names no file for the mandate", errMisused)
	}
	by, err := f.open()
	if err != nil {
		return err
	}
	raw, err := by.Sign(r, time.Now())
	if err != nil {
		return fmt.Errorf("%w: %w", errMisused, err)
	}
	signed, err := transfer.ParseMandate(raw)
	if err != nil {
		return err
	}
	if err := keys.WriteFile(f.out, raw); err != nil {
		return misusedFile(err)
	}
	if len(raw) > transfer.MaxDeviceMandate {
		if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "%d bytes: longer than what devices hold that demand a mandate; "+
			"for those use --group\n", len(raw)); err != nil {
			return err
		}
	}
	return printMandate(cmd, &signed.Body, nil)
}

// request reads the request, if there is one, and changes what flags say.
func (f *mandateFlags) request(cmd *cobra.Command, args []string) (*transfer.MandateRequest, error) {
	r := &transfer.MandateRequest{Earliest: time.Now().UTC().Truncate(time.Second)}
	if len(args) > 0 {
		text, err := readDocument(cmd, args[0])
		if err != nil {
			return nil, err
		}
		if r, err = transfer.ParseMandateRequest(text); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errMisused, args[0], err)
		}
	}
	set := cmd.Flags().Changed
	for name, at := range map[string]*string{"from": &r.From, "to": &r.To, "group": &r.Group} {
		if set(name) {
			*at, _ = cmd.Flags().GetString(name)
		}
	}
	if r.Group != "" {
		r.Devices = nil
	}
	if err := timesOf(cmd, r); err != nil {
		return nil, err
	}
	if set("attest") {
		r.Attestation = f.attest
	}
	if set("keep-application") {
		r.KeepApplication = f.keep
	}
	if set("max-sequence") {
		r.MaxSequence = &f.sequence
	}
	return r, nil
}

// timesOf reads --earliest and --latest, where they are set.
func timesOf(cmd *cobra.Command, r *transfer.MandateRequest) error {
	for name, at := range map[string]*time.Time{"earliest": &r.Earliest, "latest": &r.Latest} {
		if !cmd.Flags().Changed(name) {
			continue
		}
		text, _ := cmd.Flags().GetString(name)
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return fmt.Errorf("%w: --%s: %w", errMisused, name, err)
		}
		*at = t
	}
	return nil
}

func newMandateVerify() *cobra.Command {
	var identities []string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check who signed a mandate, and that it is in force", Args: one("mandate"),
		Long: `Checks a mandate by the identity files of service users, and says in words what it
allows. Status 0: one of them has signed it and it has not expired.`,
		Example: "  steward mandate verify fleet.mandate --identity owner/identity.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readDocument(cmd, args[0])
			if err != nil {
				return err
			}
			m, err := verifyMandate(raw, identities)
			if err != nil {
				return err
			}
			if err := printMandate(cmd, m, nil); err != nil {
				return err
			}
			if !m.InForce(time.Now()) {
				return fmt.Errorf("%w: it has expired", errMandate)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&identities, "identity", nil, "identity `file` of a service user; repeatable")
	return cmd
}

func verifyMandate(raw []byte, identities []string) (*transfer.Mandate, error) {
	if len(identities) == 0 {
		return nil, fmt.Errorf("%w: --identity: whose signature counts?", errMisused)
	}
	var names []string
	for _, file := range identities {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, misusedFile(err)
		}
		cert, name, err := owner.Known(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errMisused, file, err)
		}
		if m, err := transfer.VerifyMandate(raw, cert); err == nil && m.Body.Issuer == name {
			return &m.Body, nil
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return nil, fmt.Errorf("%w: not signed by %s", errMandate, strings.Join(names, " or "))
}
