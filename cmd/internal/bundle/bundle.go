// Package bundle is the file format of device bundles, "*.device.json": what a
// factory puts into one device (key, certificate, anchors, object ids), and the
// provider that it is delivered to. The permanent CA writes it, simulated devices
// start from it.
package bundle

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/objects"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/process"
	"steward/transfer"
)

// Version is the format's version.
const Version = 1

// Suffix ends the names of bundle files.
const Suffix = ".device.json"

// maxFile is the length in bytes of the longest bundle: a full truststore in PEM.
const maxFile = 512 << 10

// ErrBundle reports a bundle that cannot be used; the text says why.
var ErrBundle = errors.New("unusable device bundle")

// A Bundle is one device as it leaves the factory. It holds the factory key:
// treat the file like one.
type Bundle struct {
	Version  int      `json:"version"`
	Endpoint string   `json:"endpoint"` // commonName of the factory certificate
	Factory  Factory  `json:"factory"`
	Anchors  []Anchor `json:"anchors"` // of the permanent domain
	// Provider is whom the device is delivered to; nil: not decided yet.
	Provider *Provider `json:"provider,omitempty"`
	Objects  ObjectIDs `json:"objects"`
	Hardware Hardware  `json:"hardware"`
	Firmware Firmware  `json:"firmware"`
	// Attestation is how the device proves what it runs; nil: it cannot.
	Attestation *Attestation `json:"attestation,omitempty"`
}

// Factory is the device's permanent identity.
type Factory struct {
	Key   string   `json:"key"`   // PKCS #8, PEM
	Chain []string `json:"chain"` // PEM, the factory certificate first
	// PermanentURI is where the permanent CA gives the device a factory certificate for
	// a key of its own, coaps; "": nowhere.
	PermanentURI string `json:"permanent_uri,omitempty"`
}

// An Anchor is a certificate that the device trusts, and for what.
type Anchor struct {
	Certificate string   `json:"certificate"` // PEM
	Purposes    []string `json:"purposes"`    // "enrol", "dm", "suit-signer" …
}

// A Provider is what a device needs to know of the provider it belongs to.
type Provider struct {
	Name         string   `json:"name,omitempty"`
	ServerURI    string   `json:"server_uri"` // LwM2M server, coaps
	EnrollURI    string   `json:"enroll_uri"` // enrolment server, coaps
	BootstrapURI string   `json:"bootstrap_uri,omitempty"`
	SSID         uint16   `json:"ssid"`     // short server id; zero: 1
	Lifetime     uint32   `json:"lifetime"` // of registrations, in seconds; zero: 86400
	Anchors      []Anchor `json:"anchors"`  // of the current domain
}

// ObjectIDs are the ids of the three objects of the trust transfer; all zero:
// those of OMA's test range.
type ObjectIDs struct {
	Truststore uint16 `json:"truststore"`
	Enrolment  uint16 `json:"enrolment"`
	Transfer   uint16 `json:"transfer"`
}

// Hardware is what the device is.
type Hardware struct {
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	Serial       string `json:"serial,omitempty"`
	Vendor       string `json:"vendor"` // UUID of manifests
	Class        string `json:"class"`  // UUID of manifests
	// Components are what manifests may update: segments in hexadecimal, joined
	// by slashes. None: "00".
	Components []string `json:"components,omitempty"`
}

// Firmware is what runs at first.
type Firmware struct {
	Version  string `json:"version"`
	Sequence uint64 `json:"sequence"` // manifests must have a higher one
}

// Complete checks b and fills in defaults. It returns ErrBundle.
func (b *Bundle) Complete() error {
	if b.Version != Version {
		return fmt.Errorf("%w: version %d", ErrBundle, b.Version)
	}
	if _, err := lwm2m.ParseEndpoint(b.Endpoint); err != nil {
		return fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if b.Objects == (ObjectIDs{}) {
		b.Objects = ObjectIDs(objects.DefaultIDs)
	}
	if err := b.IDs().Validate(true); err != nil {
		return fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if len(b.Hardware.Components) == 0 {
		b.Hardware.Components = []string{"00"}
	}
	if _, _, err := b.FactoryIdentity(); err != nil {
		return err
	}
	if uri := b.Factory.PermanentURI; uri != "" {
		if _, err := transfer.HostOf(uri); err != nil {
			return fmt.Errorf("%w: permanent CA: %w", ErrBundle, err)
		}
	}
	if _, err := b.Truststore(); err != nil {
		return err
	}
	if _, err := b.AttestationKey(); err != nil {
		return err
	}
	if _, err := b.ComponentIDs(); err != nil {
		return err
	}
	for _, id := range []string{b.Hardware.Vendor, b.Hardware.Class} {
		if _, err := author.ParseUUID(id); err != nil {
			return fmt.Errorf("%w: %w", ErrBundle, err)
		}
	}
	return b.Provider.complete()
}

func (p *Provider) complete() error {
	if p == nil {
		return nil
	}
	if p.SSID == 0 {
		p.SSID = 1
	}
	if p.Lifetime == 0 {
		p.Lifetime = 86400
	}
	for _, uri := range []string{p.ServerURI, p.EnrollURI} {
		if _, err := transfer.HostOf(uri); err != nil {
			return fmt.Errorf("%w: %w", ErrBundle, err)
		}
	}
	return nil
}

// Home returns the provider as the device stores it; the zero Home without one.
func (b *Bundle) Home() transfer.Home {
	p := b.Provider
	if p == nil {
		return transfer.Home{}
	}
	return transfer.Home{
		ServerURI: p.ServerURI, EnrollURI: p.EnrollURI, BootstrapURI: p.BootstrapURI,
		Account: transfer.Account{SSID: uint64(p.SSID), Lifetime: uint64(p.Lifetime)},
	}
}

// IDs returns the object ids.
func (b *Bundle) IDs() objects.IDs { return objects.IDs(b.Objects) }

// FactoryIdentity returns the factory key and the chain in DER, the factory
// certificate first. It returns ErrBundle unless they belong together.
func (b *Bundle) FactoryIdentity() (crypto.Signer, [][]byte, error) {
	block, rest := pem.Decode([]byte(b.Factory.Key))
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, nil, fmt.Errorf("%w: factory key is not one PKCS #8 PEM block", ErrBundle)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: factory key: %w", ErrBundle, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || len(b.Factory.Chain) == 0 {
		return nil, nil, fmt.Errorf("%w: factory key is not an EC key, or has no certificate", ErrBundle)
	}
	chain := make([][]byte, 0, len(b.Factory.Chain))
	for i, text := range b.Factory.Chain {
		c, err := certificateOf(text)
		if err != nil {
			return nil, nil, err
		}
		if i == 0 && (!key.PublicKey.Equal(c.PublicKey) || c.Subject.CommonName != b.Endpoint) {
			return nil, nil, fmt.Errorf("%w: certificate is not for the factory key and %q", ErrBundle, b.Endpoint)
		}
		chain = append(chain, c.Raw)
	}
	return key, chain, nil
}

// Truststore returns the anchors of the factory: permanent ones, and those of
// the provider, of the current domain.
func (b *Bundle) Truststore() ([]transfer.Anchor, error) {
	all, err := anchorsOf(nil, b.Anchors, transfer.Permanent)
	if err != nil || b.Provider == nil {
		return all, err
	}
	return anchorsOf(all, b.Provider.Anchors, transfer.Current)
}

// ComponentIDs returns the components that manifests may update.
func (b *Bundle) ComponentIDs() ([]suit.ComponentID, error) {
	return componentsOf(b.Hardware.Components)
}

// Identity returns what manifests call the device.
func (b *Bundle) Identity() (process.Identity, error) {
	vendor, err := author.ParseUUID(b.Hardware.Vendor)
	if err != nil {
		return process.Identity{}, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	class, err := author.ParseUUID(b.Hardware.Class)
	if err != nil {
		return process.Identity{}, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return process.Identity{Vendors: [][]byte{vendor[:]}, Classes: [][]byte{class[:]}}, nil
}
