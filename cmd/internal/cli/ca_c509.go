package cli

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"steward/est/c509"
)

// Types of PEM blocks that C509 has a counterpart of.
const (
	pemCertificate = "CERTIFICATE"
	pemRequest     = "CERTIFICATE REQUEST"
)

// c509Options are the flags of "ca c509".
type c509Options struct {
	c509.Options

	out, issuer, key string
	asPEM            bool
}

func newC509() *cobra.Command {
	var o c509Options
	cmd := &cobra.Command{
		Use: "c509 FILE", Short: "Translate a certificate or request between X.509 and C509, and compare sizes",
		Args: one("file"),
		Long: `Reads certificates or a request as PEM, DER or C509
(draft-ietf-cose-cbor-encoded-cert-20), prints the sizes of the three, and writes
the other encoding to --out: C509 for X.509, and DER or PEM for C509. Several
certificates are a chain (COSE_C509). What is signed natively has no X.509.

--sign makes a natively signed one (type 2) of an X.509 certificate or request,
with the key of its issuer or its own. --issuer checks a certificate's signature;
those of requests are always checked.`,
		Example: "  steward ca c509 device.pem --out device.c509\n" +
			"  steward ca c509 device.pem --sign ca.key.pem --out native.c509\n" +
			"  steward ca c509 native.c509 --issuer ca.pem",
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			b, err := o.read(raw)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := table(cmd.OutOrStdout(), b.rows()); err != nil || o.out == "" {
				return err
			}
			other, err := b.other(o.asPEM)
			if err != nil {
				return err
			}
			return os.WriteFile(o.out, other, 0o644) //nolint:gosec // certificates are for all to read
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "`file` for the other encoding")
	f.StringVar(&o.issuer, "issuer", "", "check the signature by the certificate in this PEM `file`")
	f.StringVar(&o.key, "sign", "", "sign natively with the key in this PEM `file`")
	f.BoolVar(&o.asPEM, "pem", false, "write X.509 as PEM, not as DER")
	f.BoolVar(&o.Uncompressed, "uncompressed", false, "leave points of elliptic curves as they are")
	return cmd
}

// read finds out what raw is, signs it natively if asked to, and checks signatures.
func (o c509Options) read(raw []byte) (*both, error) {
	b, err := readBoth(raw, o.Options)
	if err != nil {
		return nil, err
	}
	if o.key != "" {
		if err := b.sign(o); err != nil {
			return nil, err
		}
	}
	return b, b.verify(o.issuer)
}

// errNative reports something that has no X.509 form.
var errNative = errors.New("signed natively: there is no X.509 of it")

// A both is a structure in both encodings.
type both struct {
	kind   string // of PEM blocks
	ders   [][]byte
	short  []byte
	native bool
	toC509 bool // it came as X.509

	verified string // who signed it, if that was asked for
}

// readBoth finds out what raw is.
func readBoth(raw []byte, o c509.Options) (*both, error) {
	if block, rest := pem.Decode(raw); block != nil {
		b := &both{kind: block.Type, ders: [][]byte{block.Bytes}}
		for block, rest = pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
			b.ders = append(b.ders, block.Bytes)
		}
		return b, b.encode(o)
	}
	if len(raw) > 0 && raw[0] == 0x30 { // SEQUENCE
		b := &both{kind: pemCertificate, ders: [][]byte{raw}}
		if _, err := x509.ParseCertificateRequest(raw); err == nil {
			b.kind = pemRequest
		}
		return b, b.encode(o)
	}
	return readC509(raw)
}

// readC509 reads a chain, a certificate or a request.
func readC509(raw []byte) (*both, error) {
	if certs, err := c509.ParseChain(raw); err == nil {
		b := &both{kind: pemCertificate, short: raw}
		for _, c := range certs {
			b.ders, b.native = append(b.ders, c.DER), b.native || c.Type == c509.Native
		}
		return b, nil
	}
	c, notCertificate := c509.ParseCertificate(raw)
	if notCertificate == nil {
		return &both{kind: pemCertificate, ders: [][]byte{c.DER}, short: c.Raw, native: c.Type == c509.Native}, nil
	}
	r, notRequest := c509.ParseRequest(raw)
	if notRequest != nil {
		return nil, fmt.Errorf("neither a certificate (%w) nor a request (%w)", notCertificate, notRequest)
	}
	return &both{kind: pemRequest, ders: [][]byte{r.DER}, short: r.Raw, native: r.Type == c509.Native}, nil
}

// encode makes the C509.
func (b *both) encode(o c509.Options) error {
	b.toC509 = true
	if b.kind == pemRequest && len(b.ders) == 1 {
		short, err := o.RequestFromDER(b.ders[0])
		b.short = short
		return err
	}
	if b.kind != pemCertificate {
		return fmt.Errorf("%w: PEM of a %s", errMisused, b.kind)
	}
	var certs [][]byte
	for _, der := range b.ders {
		short, err := o.FromDER(der)
		if err != nil {
			return err
		}
		certs = append(certs, short)
	}
	if b.short = certs[0]; len(certs) > 1 {
		b.short = c509.Chain(certs...)
	}
	return nil
}

func (b *both) pem() []byte {
	var out []byte
	for _, der := range b.ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: b.kind, Bytes: der})...)
	}
	return out
}

// other returns the encoding that b did not come in.
func (b *both) other(asPEM bool) ([]byte, error) {
	switch {
	case b.toC509:
		return b.short, nil
	case b.native:
		return nil, errNative
	case asPEM || len(b.ders) > 1:
		return b.pem(), nil
	}
	return b.ders[0], nil
}

// rows are what is printed: who it is of, and its sizes.
func (b *both) rows() [][]string {
	whole := bytes.Join(b.ders, nil)
	out := [][]string{{"Kind", b.kind}}
	for _, der := range b.ders {
		if c, err := x509.ParseCertificate(der); err == nil {
			out = append(out, []string{"Subject", c.Subject.String()})
		}
		if r, err := x509.ParseCertificateRequest(der); err == nil {
			out = append(out, []string{"Subject", r.Subject.String()})
		}
	}
	if b.verified != "" {
		out = append(out, []string{"Signed by", b.verified})
	}
	if c, err := c509.ParseCertificate(b.short); err == nil {
		sum := c.Hash()
		out = append(out, []string{"SHA-256", hex.EncodeToString(sum[:]) + " of C509"})
	}
	if b.native {
		return append(out, []string{"C509", strconv.Itoa(len(b.short)) + " bytes, signed natively"})
	}
	percent := 100 * len(b.short) / len(whole)
	return append(out,
		[]string{"DER", strconv.Itoa(len(whole)) + " bytes"},
		[]string{"PEM", strconv.Itoa(len(b.pem())) + " bytes"},
		[]string{"C509", fmt.Sprintf("%d bytes, %d %% of DER", len(b.short), percent)})
}
