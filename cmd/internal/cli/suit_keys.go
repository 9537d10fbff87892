package cli

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"steward/cmd/internal/keys"
	"steward/suit/cose"
)

// groupKeySize is the length in bytes of a key that a group of devices shares.
const groupKeySize = 16

func newSUITKeygen() *cobra.Command {
	var out, kind string
	cmd := &cobra.Command{
		Use: "keygen", Short: "Make a key", Args: noArgs,
		Long: `Makes a private key in a PKCS#8 PEM file that only its owner can read, and prints
the public key (PEM), by which devices and "suit verify" know its signatures. An
existing file stays as it is.

--type is P-256, P-384 or Ed25519 for keys that sign. Images are encrypted to the
public P-256 key of a device, or to a group: --type group makes a secret of 16
bytes in hexadecimal, which has no public part.`,
		Example: "  steward suit keygen --out author.pem > author.pub.pem",
		RunE:    func(cmd *cobra.Command, _ []string) error { return keygen(cmd, out, kind) },
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` for the private key")
	cmd.Flags().StringVar(&kind, "type", "P-256", "P-256, P-384, Ed25519 or group")
	return cmd
}

func keygen(cmd *cobra.Command, out, kind string) error {
	if out == "" || out == "-" {
		return fmt.Errorf("%w: --out names no file for the private key", errMisused)
	}
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: --out %s: %w", errMisused, out, errors.Join(err, fs.ErrExist))
	}
	if kind == "group" {
		secret := make([]byte, groupKeySize)
		_, _ = rand.Read(secret) // never fails
		return keys.WriteFile(out, []byte(hex.EncodeToString(secret)+"\n"))
	}
	key, err := newKey(kind)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := keys.Write(out, key); err != nil {
		return err
	}
	return pem.Encode(cmd.OutOrStdout(), &pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func newKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "P-256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "Ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("%w: --type %q, want P-256, P-384, Ed25519 or group", errMisused, kind)
}

// signersOf loads the private keys that sign. ids are their key identifiers, in
// the same order.
func signersOf(files, ids []string) ([]*cose.Signer, error) {
	if len(files) == 0 || len(ids) > len(files) {
		return nil, fmt.Errorf("%w: %d of --key, %d of --kid", errMisused, len(files), len(ids))
	}
	signers := make([]*cose.Signer, 0, len(files))
	for i, file := range files {
		key, err := keys.LoadAny(file)
		if err != nil {
			return nil, misusedFile(err)
		}
		var kid []byte
		if i < len(ids) {
			kid = []byte(ids[i])
		}
		signer, err := cose.NewSigner(key, 0, kid)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errMisused, file, err)
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// publicKey reads a public key in PEM.
func publicKey(file string) (crypto.PublicKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, misusedFile(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) > 0 {
		return nil, fmt.Errorf("%w: %s is not one PEM block with a public key", errMisused, file)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errMisused, file, err)
	}
	return key, nil
}

// recipient reads the key of those for whom an image is encrypted: the public key
// of a device, or the secret of a group.
func recipient(file string) (*cose.RecipientKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, misusedFile(err)
	}
	if block, _ := pem.Decode(text); block == nil {
		return group(file)
	}
	key, err := publicKey(file)
	if err != nil {
		return nil, err
	}
	if device, ok := key.(*ecdsa.PublicKey); ok {
		if public, err := device.ECDH(); err == nil {
			return usable(file)(cose.NewPublicKey(public, nil))
		}
	}
	return nil, fmt.Errorf("%w: %s: images are encrypted to P-256 keys", errMisused, file)
}

// decryptor reads the key by which a device decrypts: its private key, or the
// secret of a group.
func decryptor(file string) (*cose.RecipientKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, misusedFile(err)
	}
	if block, _ := pem.Decode(text); block == nil {
		return group(file)
	}
	key, err := keys.Load(file)
	if err != nil {
		return nil, misusedFile(err)
	}
	device, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: %s is not a P-256 key", errMisused, file)
	}
	private, err := device.ECDH()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errMisused, file, err)
	}
	return usable(file)(cose.NewPrivateKey(private, nil))
}

// group reads the secret of a group of devices.
func group(file string) (*cose.RecipientKey, error) {
	text, err := keys.ReadSecret(file)
	if err != nil {
		return nil, misusedFile(err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil { // the error would quote the secret
		return nil, fmt.Errorf("%w: %s is neither a PEM block nor hexadecimal", errMisused, file)
	}
	return usable(file)(cose.NewSharedKey(secret, nil))
}

// usable names the file of a key that is refused.
func usable(file string) func(*cose.RecipientKey, error) (*cose.RecipientKey, error) {
	return func(key *cose.RecipientKey, err error) (*cose.RecipientKey, error) {
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errMisused, file, err)
		}
		return key, nil
	}
}
