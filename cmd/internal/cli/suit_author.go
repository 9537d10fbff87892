package cli

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"steward/cmd/internal/keys"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
)

func newSUITCreate() *cobra.Command {
	var out, payloads string
	cmd := &cobra.Command{
		Use: "create [flags] PLAN", Short: "Make an unsigned envelope from a plan", Args: one("plan"),
		Long: `Makes an envelope from a plan in JSON or YAML; "suit sign" signs it. Files in the
plan are found from where the plan is. A small plan:

  {
    "vendor": "vendor.example", "class": "sensor", "sequence": 7,
    "images": [{
      "component": "fw", "boot": true,
      "slots": [{"file": "fw.bin", "uri": "coap://host/fw"}]
    }]
  }

A plan in YAML has no braces around it. Further members: device, id, version,
use_before (RFC 3339), reference_uri, text by language, sever (sections), mud with
url and ski (hexadecimal), and dependencies with component, file, uri and prefix.
A slot may have a number (A/B), fetch_arguments (hexadecimal) that the protocol of
its URI needs, or its image inside the envelope ("integrated": true) or the
manifest ("inline": true). An image may have staging, and be
encrypted: encrypt_to lists files of public keys or group secrets, and encrypt_with
is A128GCM (default), A256GCM, ChaCha20/Poly1305, A128CTR, A256CTR.

What devices fetch is written to --payloads, each under the last part of its URI.
An encrypted image exists nowhere else, for each call takes a new key.`,
		Example: "  steward suit create --out update.suit --payloads www plan.json",
		RunE:    func(cmd *cobra.Command, args []string) error { return create(cmd, args[0], out, payloads) },
	}
	outFlag(cmd, &out)
	cmd.Flags().StringVar(&payloads, "payloads", "", "`directory` for what devices fetch")
	return cmd
}

func create(cmd *cobra.Command, name, out, payloads string) error {
	raw, err := readInput(cmd, name)
	if err != nil {
		return err
	}
	beside := func(file string) string {
		if filepath.IsAbs(file) {
			return file
		}
		return filepath.Join(filepath.Dir(name), file)
	}
	plan, err := author.ParsePlan(raw, author.Source{
		File: func(file string) ([]byte, error) { return os.ReadFile(beside(file)) },
		Key:  func(file string) (*cose.RecipientKey, error) { return recipient(beside(file)) },
	})
	if err != nil {
		return unusablePlan(name, err)
	}
	built, err := plan.Build()
	if err != nil {
		return unusablePlan(name, err)
	}
	encrypted := slices.ContainsFunc(plan.Images, func(i author.Image) bool { return i.Encryption != nil })
	if payloads == "" && encrypted && len(built.Payloads) > 0 {
		return fmt.Errorf("%w: encrypted images need --payloads", errMisused)
	}
	if payloads != "" {
		if err := writePayloads(cmd, payloads, built.Payloads); err != nil {
			return err
		}
	}
	return writeOutput(cmd, out, built.Envelope.Encode())
}

// unusablePlan reports a plan of which no envelope can be made.
func unusablePlan(name string, err error) error {
	if errors.Is(err, errMisused) { // so says the key that it names
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%w: %s: %w", errMisused, name, err)
}

// writePayloads writes what devices fetch into a directory.
func writePayloads(cmd *cobra.Command, dir string, payloads map[string][]byte) error {
	files := make(map[string]string, len(payloads)) // URI by file
	for _, uri := range slices.Sorted(maps.Keys(payloads)) {
		u, err := url.Parse(uri)
		if err != nil {
			return fmt.Errorf("%w: %w", errMisused, err)
		}
		file := path.Base(path.Clean("/" + u.Path))
		if other, taken := files[file]; taken || file == "/" {
			return fmt.Errorf("%w: no file name of its own for %q %q", errMisused, uri, other)
		}
		files[file] = uri
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		at := filepath.Join(dir, file)
		if err := keys.WriteFile(at, payloads[files[file]]); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s is to be served as %q\n", at, files[file])
	}
	return nil
}

func newSUITSign() *cobra.Command {
	var out string
	var files, ids, codes []string
	cmd := &cobra.Command{
		Use: "sign [flags] ENVELOPE", Short: "Sign or countersign an envelope", Args: one("envelope"),
		Long: `Adds a signature with each --key to an envelope. Signatures that are there stay,
so that an operator countersigns what an author signed. The algorithm is that of
the key: ESP256, ESP384 or Ed25519. --kid names the key to devices; the first
belongs to the first --key. --code adds an authentication code for those who share
the secret of a group ("suit keygen --type group").`,
		Example: "  steward suit sign --key author.pem --out signed.suit update.suit",
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			signed, err := sign(raw, files, ids, codes)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return writeOutput(cmd, out, signed)
		},
	}
	outFlag(cmd, &out)
	cmd.Flags().StringArrayVar(&files, "key", nil, "private key `file`, once for each signature")
	cmd.Flags().StringArrayVar(&codes, "code", nil, "group secret `file`, once for each authentication code")
	cmd.Flags().StringArrayVar(&ids, "kid", nil, "key `identifier` to send with the signature")
	return cmd
}

// sign adds signatures by the keys and codes by the secrets in files.
func sign(raw []byte, files, ids, codes []string) ([]byte, error) {
	if len(files) > 0 || len(codes) == 0 {
		signers, err := signersOf(files, ids)
		if err != nil {
			return nil, err
		}
		if raw, err = author.Countersign(raw, signers); err != nil {
			return nil, err
		}
	}
	for _, file := range codes {
		secret, err := group(file)
		if err != nil {
			return nil, err
		}
		e, err := suit.Decode(raw, suit.Limits{})
		if err != nil {
			return nil, err
		}
		if raw, err = author.AuthenticateTo(e, secret); err != nil {
			return nil, err
		}
	}
	return raw, nil
}

func newSUITSever() *cobra.Command {
	var out string
	var names []string
	cmd := &cobra.Command{
		Use: "sever [flags] ENVELOPE", Short: "Cut off what devices do not need", Args: one("envelope"),
		Long: `Leaves severable elements out of an envelope; signatures stay valid, for the
manifest holds the digests. --element is text, which only people read, or a
section that the plan lists in "sever": dependency-resolution, payload-fetch,
candidate-verification or install. A device needs those sections to update.`,
		Example: "  steward suit sever --out small.suit signed.suit",
		RunE: func(cmd *cobra.Command, args []string) error {
			elements, err := elementsOf(names)
			if err != nil {
				return err
			}
			raw, e, err := decodeInput(cmd, args[0])
			if err != nil {
				return err
			}
			for i, element := range elements {
				if _, present := e.Severable[element]; !present {
					return fmt.Errorf("%s: %w: no severable %q", args[0], errAbsent, names[i])
				}
			}
			severed, err := author.Sever(raw, elements...)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return writeOutput(cmd, out, severed)
		},
	}
	outFlag(cmd, &out)
	cmd.Flags().StringArrayVar(&names, "element", []string{"text"}, "what to leave out; may be repeated")
	return cmd
}

// errAbsent reports an envelope that has not what is to be cut off.
var errAbsent = errors.New("nothing to sever")

// elementsOf returns the severable elements with the names given.
func elementsOf(names []string) ([]suit.Element, error) {
	elements := make([]suit.Element, 0, len(names))
	for _, name := range names {
		element := suit.Section(name).Element()
		switch name {
		case "text":
			element = suit.ElementText
		case "coswid":
			element = suit.ElementCoSWID
		}
		if !element.Severable() {
			return nil, fmt.Errorf("%w: --element %q cannot be severed", errMisused, name)
		}
		elements = append(elements, element)
	}
	return elements, nil
}

func newSUITEncrypt() *cobra.Command {
	var out, info, algorithm string
	var to []string
	cmd := &cobra.Command{
		Use: "encrypt [flags] IMAGE", Short: "Encrypt an image to devices or groups", Args: one("image"),
		Long: `Encrypts an image under a new key, and that key to each --to: the public P-256 key
of a device (PEM, ECDH-ES+A128KW), or the secret of a group (hexadecimal, A128KW).
The ciphertext goes to --out. The COSE_Encrypt message, which a manifest carries
as its encryption info, goes to --info. A plan with encrypt_to does this by itself
in "suit create"; this command is for manifests made elsewhere.

A128CTR and A256CTR do not authenticate: the manifest must compare the digest of
the image afterwards.`,
		Example: "  steward suit encrypt --to device.pub.pem --info fw.info --out fw.enc fw.bin",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := encryption(algorithm, to)
			if err != nil {
				return err
			}
			if info == "" || info == out {
				return fmt.Errorf("%w: --info names no file of its own", errMisused)
			}
			image, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			message, ciphertext, err := o.Encrypt(image)
			if err != nil {
				return err
			}
			if err := writeOutput(cmd, info, message); err != nil {
				return err
			}
			return writeOutput(cmd, out, ciphertext)
		},
	}
	outFlag(cmd, &out)
	cmd.Flags().StringVar(&info, "info", "", "`file` for the COSE_Encrypt message")
	cmd.Flags().StringVar(&algorithm, "algorithm", "A128GCM", "A128GCM, A256GCM, ChaCha20/Poly1305, A128CTR or A256CTR")
	cmd.Flags().StringArrayVar(&to, "to", nil, "key `file` of a device or a group, once for each")
	return cmd
}

func encryption(algorithm string, to []string) (cose.Encryption, error) {
	alg, err := cose.ContentAlgorithm(algorithm)
	if err != nil {
		return cose.Encryption{}, fmt.Errorf("%w: --algorithm: %w", errMisused, err)
	}
	if len(to) == 0 {
		return cose.Encryption{}, fmt.Errorf("%w: --to names nobody who can decrypt", errMisused)
	}
	o := cose.Encryption{Algorithm: alg}
	for _, file := range to {
		key, err := recipient(file)
		if err != nil {
			return o, err
		}
		o.Recipients = append(o.Recipients, key)
	}
	return o, nil
}
