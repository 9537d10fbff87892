package bundle

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

// Attestation is how a device proves what it runs: a key of its own, and what its
// components hold when it leaves the factory.
type Attestation struct {
	Key        string      `json:"key"` // PKCS #8, PEM, on P-256
	References []Reference `json:"references"`
}

// A Reference is the digest of what the factory put into a component.
type Reference struct {
	Component string `json:"component"` // as in Hardware
	SHA256    string `json:"sha256"`    // hexadecimal
}

// FactoryImage returns what the factory puts into a component of a simulated device.
func (b *Bundle) FactoryImage(component string) []byte {
	return fmt.Appendf(nil, "%s %s %s component %s", b.Hardware.Vendor, b.Hardware.Class, b.Firmware.Version, component)
}

// NewAttestation gives the device an attestation key, and lists what it holds.
func (b *Bundle) NewAttestation() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	b.Attestation = &Attestation{Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
	for _, component := range b.Hardware.Components {
		sum := sha256.Sum256(b.FactoryImage(component))
		b.Attestation.References = append(b.Attestation.References, Reference{component, hex.EncodeToString(sum[:])})
	}
	return nil
}

// AttestationKey returns the attestation key, nil if the device has none. It returns
// ErrBundle.
func (b *Bundle) AttestationKey() (*ecdsa.PrivateKey, error) {
	if b.Attestation == nil {
		return nil, nil //nolint:nilnil // the comment says so
	}
	block, rest := pem.Decode([]byte(b.Attestation.Key))
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, fmt.Errorf("%w: attestation key is not one PKCS #8 PEM block", ErrBundle)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: attestation key: %w", ErrBundle, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: attestation key is not on P-256", ErrBundle)
	}
	return key, nil
}
