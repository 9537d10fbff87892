package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"steward/suit/cose"
	"steward/suit/process"
)

func newSUITVerify() *cobra.Command {
	var d simDevice
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify [flags] ENVELOPE", Short: "Check an envelope and its signatures", Args: one("envelope"),
		Long: `Checks what a device checks before it runs any command: encoding, digests, that
each --key has signed, and that nothing in the manifest is unknown. Nothing is
carried out; "suit run" does that.`,
		Example: "  steward suit verify --key author.pub.pem --key operator.pub.pem signed.suit",
		RunE:    func(cmd *cobra.Command, args []string) error { return verify(cmd, args[0], d, asJSON) },
	}
	cmd.Flags().StringArrayVar(&d.keys, "key", nil, "public key `file` of one who must have signed; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// A verdict is what "suit verify --json" prints.
type verdict struct {
	Sequence   uint64   `json:"sequence"`
	Manifest   string   `json:"manifest"`
	Components []string `json:"components"`
	SignedBy   []string `json:"signed_by"`
}

func verify(cmd *cobra.Command, name string, d simDevice, asJSON bool) error {
	if len(d.keys) == 0 {
		return errNoKey
	}
	raw, e, err := decodeInput(cmd, name)
	if err != nil {
		return err
	}
	o, _, err := d.options(e)
	if err != nil {
		return err
	}
	key, err := anyKey()
	if err != nil {
		return err
	}
	o.Keys = []*cose.RecipientKey{key}
	anchors := o.Anchors
	v := verdict{Manifest: e.Digest.String(), SignedBy: d.keys}
	for i, anchor := range anchors {
		o.Anchors = []process.Anchor{anchor}
		p, err := processor(o)
		if err != nil {
			return err
		}
		k, err := p.Open(cmd.Context(), raw)
		if err != nil {
			return fmt.Errorf("%s: by %s: %w", name, d.keys[i], err)
		}
		v.Sequence, v.Components = k.Manifest.Sequence, texts(k.Manifest.Components)
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "sequence number %d, manifest %s\n", v.Sequence, v.Manifest)
	for _, file := range v.SignedBy {
		_, failed := fmt.Fprintf(cmd.OutOrStdout(), "signed by %s\n", file)
		err = errors.Join(err, failed)
	}
	return err
}

// errNoKey reports a command line without a key that vouches for anything.
var errNoKey = fmt.Errorf("%w: --key names nobody to trust", errMisused)

// texts returns the values in words.
func texts[T fmt.Stringer](list []T) []string {
	words := make([]string, 0, len(list))
	for _, one := range list {
		words = append(words, one.String())
	}
	return words
}

func newSUITInspect() *cobra.Command {
	return &cobra.Command{
		Use: "inspect ENVELOPE", Short: "Print an envelope in words", Args: one("envelope"),
		Long: `Prints what an envelope says: signatures, components, texts, and each command.
What does not decode is said in its place. It proves nothing: "suit verify" does.`,
		Example: "  steward suit inspect signed.suit",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, e, err := decodeInput(cmd, args[0])
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), e.Inspect(allDigests()...))
			return err
		},
	}
}
