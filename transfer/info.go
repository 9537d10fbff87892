package transfer

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"steward/est/c509"
)

// ErrNotImplemented reports a form of a message that the protocol knows and this
// package does not build or read yet.
var ErrNotImplemented = errors.New("not implemented")

// An Info is the DeviceUpdateInfo: what the outgoing provider tells the incoming
// one about the devices of a transfer (§4, step 1). The header is the protected
// header of a JWS.
type Info struct {
	Issuer   string  // the outgoing provider
	Audience string  // the incoming provider
	IssuedAt Seconds // of this revision
	ID       []byte  // of the transfer, the same in every revision
	Mandate  Hash
	Devices  []DevicePair
}

// A DevicePair is one device and what it takes to switch it.
type DevicePair struct {
	_       struct{} `cbor:",toarray"`
	Factory FactoryCert
	Switch  SwitchInfo
}

// A FactoryCert carries or names a factory certificate; one member is set.
type FactoryCert struct {
	C5C     []byte    `cbor:"25,keyasint,omitempty"` // C509, of type 3
	X5Chain []byte    `cbor:"33,keyasint,omitempty"` // DER
	X5T     *CertHash `cbor:"34,keyasint,omitempty"`
}

// Hash returns the hash of the certificate, in C509 that of the DER that it stands
// for. It returns ErrNotImplemented for a natively signed certificate, ErrValue for
// one that is malformed and for a hash by another algorithm.
func (f FactoryCert) Hash() (Hash, error) {
	switch {
	case len(f.X5Chain) > 0:
		return HashOf(f.X5Chain), nil
	case len(f.C5C) > 0:
		der, err := f.der()
		return HashOf(der), err
	case f.X5T != nil && f.X5T.Alg == SHA256 && len(f.X5T.Value) == len(Hash{}):
		return Hash(f.X5T.Value), nil
	}
	return Hash{}, fmt.Errorf("transfer: factory certificate: %w", ErrValue)
}

// der returns the certificate as devices show it in handshakes.
func (f FactoryCert) der() ([]byte, error) {
	if len(f.C5C) == 0 {
		return f.X5Chain, nil
	}
	c, err := c509.ParseCertificate(f.C5C)
	if err != nil {
		return nil, fmt.Errorf("transfer: factory certificate: %w: %w", ErrValue, err)
	}
	if c.Type != c509.Reencoded {
		return nil, fmt.Errorf("transfer: natively signed factory certificate: %w", ErrNotImplemented)
	}
	return c.DER, nil
}

// X509 returns the certificate, parsed. It returns ErrNotImplemented for a natively
// signed certificate, and ErrValue for one that is only named or malformed.
func (f FactoryCert) X509() (*x509.Certificate, error) {
	der, err := f.der()
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("transfer: factory certificate: %w: %w", ErrValue, err)
	}
	return certificate, nil
}

func (f FactoryCert) validate() error {
	set := 0
	for _, has := range []bool{len(f.C5C) > 0, len(f.X5Chain) > 0, f.X5T != nil} {
		if has {
			set++
		}
	}
	if set != 1 || len(f.C5C) > MaxCertificate || len(f.X5Chain) > MaxCertificate {
		return fmt.Errorf("transfer: factory certificate: %w", ErrValue)
	}
	if f.X5T != nil {
		return f.X5T.validate()
	}
	return nil
}

// A SwitchInfo is what the incoming provider needs to know of a device.
type SwitchInfo struct {
	Window    Window
	Manifests []ManifestRef
	Objects   ObjectIDs
	RA        *RAInfo // nil: no attestation
}

// ObjectIDs are the ids of the three objects on a device.
type ObjectIDs struct {
	_          struct{} `cbor:",toarray"`
	Truststore uint16
	Enrolment  uint16
	Transfer   uint16
}

// A ManifestRef names a SUIT manifest in force. URI says where the incoming
// provider may fetch it; empty means nowhere.
type ManifestRef struct {
	Digest   CertHash
	Sequence uint64
	URI      string
}

// RAInfo is what a verifier needs to appraise a device.
type RAInfo struct {
	References []CertHash      `cbor:"1,keyasint"`
	Verifier   string          `cbor:"2,keyasint,omitempty"`
	Key        cbor.RawMessage `cbor:"3,keyasint,omitempty"` // public COSE_Key
	Profile    *int64          `cbor:"4,keyasint,omitempty"`
}

// The array forms: an optional last member is absent, not null.
type (
	switchArray struct {
		_         struct{} `cbor:",toarray"`
		Earliest  Seconds
		Latest    Seconds
		Manifests []ManifestRef
		Objects   ObjectIDs
	}
	switchArrayRA struct {
		_         struct{} `cbor:",toarray"`
		Earliest  Seconds
		Latest    Seconds
		Manifests []ManifestRef
		Objects   ObjectIDs
		RA        RAInfo
	}
	manifestArray struct {
		_        struct{} `cbor:",toarray"`
		Digest   CertHash
		Sequence uint64
	}
	manifestArrayURI struct {
		_        struct{} `cbor:",toarray"`
		Digest   CertHash
		Sequence uint64
		URI      string
	}
)

// The first bytes of arrays of two and four members (RFC 8949 §3).
const (
	arrayOf2 = 0x82
	arrayOf4 = 0x84
)

// MarshalCBOR encodes s as an array of four or five.
func (s SwitchInfo) MarshalCBOR() ([]byte, error) {
	if s.RA == nil {
		return strict.Marshal(switchArray{
			Earliest: s.Window.Earliest, Latest: s.Window.Latest, Manifests: s.Manifests, Objects: s.Objects,
		})
	}
	return strict.Marshal(switchArrayRA{
		Earliest: s.Window.Earliest, Latest: s.Window.Latest, Manifests: s.Manifests, Objects: s.Objects, RA: *s.RA,
	})
}

// UnmarshalCBOR decodes an array of four or five.
func (s *SwitchInfo) UnmarshalCBOR(raw []byte) error {
	if bytes.HasPrefix(raw, []byte{arrayOf4}) {
		var a switchArray
		err := strict.Unmarshal(raw, &a)
		*s = SwitchInfo{Window{Earliest: a.Earliest, Latest: a.Latest}, a.Manifests, a.Objects, nil}
		return err
	}
	var a switchArrayRA
	err := strict.Unmarshal(raw, &a)
	*s = SwitchInfo{Window{Earliest: a.Earliest, Latest: a.Latest}, a.Manifests, a.Objects, &a.RA}
	return err
}

// MarshalCBOR encodes m as an array of two or three.
func (m ManifestRef) MarshalCBOR() ([]byte, error) {
	if m.URI == "" {
		return strict.Marshal(manifestArray{Digest: m.Digest, Sequence: m.Sequence})
	}
	return strict.Marshal(manifestArrayURI{Digest: m.Digest, Sequence: m.Sequence, URI: m.URI})
}

// UnmarshalCBOR decodes an array of two or three.
func (m *ManifestRef) UnmarshalCBOR(raw []byte) error {
	if bytes.HasPrefix(raw, []byte{arrayOf2}) {
		var a manifestArray
		err := strict.Unmarshal(raw, &a)
		*m = ManifestRef{a.Digest, a.Sequence, ""}
		return err
	}
	var a manifestArrayURI
	err := strict.Unmarshal(raw, &a)
	*m = ManifestRef{a.Digest, a.Sequence, a.URI}
	return err
}

// EncodeDevices returns the payload of a DeviceUpdateInfo.
func EncodeDevices(devices []DevicePair) ([]byte, error) {
	if err := validateDevices(devices); err != nil {
		return nil, err
	}
	return encode(devices)
}

// ParseDevices reads the payload of a DeviceUpdateInfo.
func ParseDevices(raw []byte) ([]DevicePair, error) {
	var devices []DevicePair
	if err := decode(raw, MaxBatch, &devices); err != nil {
		return nil, err
	}
	return devices, validateDevices(devices)
}

func validateDevices(devices []DevicePair) error {
	if len(devices) == 0 || len(devices) > MaxDevices {
		return fmt.Errorf("transfer: %d devices: %w", len(devices), ErrValue)
	}
	seen := make(map[string]bool, len(devices))
	for i := range devices {
		d := &devices[i]
		if err := d.validate(); err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
		key := string(d.Factory.C5C) + string(d.Factory.X5Chain)
		if h, err := d.Factory.Hash(); err == nil {
			key = string(h[:])
		}
		if seen[key] {
			return fmt.Errorf("transfer: device %d stands twice: %w", i, ErrValue)
		}
		seen[key] = true
	}
	return nil
}

func (d *DevicePair) validate() error {
	if err := firstError(d.Factory.validate(), d.Switch.Window.validate()); err != nil {
		return err
	}
	if len(d.Switch.Manifests) > maxInstalled {
		return fmt.Errorf("transfer: %d manifests: %w", len(d.Switch.Manifests), ErrValue)
	}
	for _, m := range d.Switch.Manifests {
		if len(m.URI) > maxText {
			return fmt.Errorf("transfer: manifest: %w", ErrValue)
		}
		if err := m.Digest.validate(); err != nil {
			return err
		}
	}
	ra := d.Switch.RA
	if ra != nil && (len(ra.References) == 0 || len(ra.References) > maxInstalled || len(ra.Verifier) > MaxURI) {
		return fmt.Errorf("transfer: attestation: %w", ErrValue)
	}
	return nil
}

func (i *Info) validate() error { return firstError(i.validateHead(), validateDevices(i.Devices)) }

// validateHead checks all but the devices.
func (i *Info) validateHead() error {
	if i.Mandate.IsZero() {
		return fmt.Errorf("transfer: no mandate: %w", ErrValue)
	}
	return firstError(
		validateText("issuer", i.Issuer),
		validateText("audience", i.Audience),
		validateTime("issue time", i.IssuedAt),
		validateID("transfer's id", i.ID),
	)
}

// Device returns the pair of the device with that factory certificate; ok is
// false if the info does not list it.
func (i *Info) Device(factory Hash) (pair DevicePair, ok bool) {
	for _, d := range i.Devices {
		if h, err := d.Factory.Hash(); err == nil && h == factory {
			return d, true
		}
	}
	return DevicePair{}, false
}

// Sign returns the info as a JWS in compact form, signed with ES256 by the
// outgoing provider. The key must be one on P-256.
func (i Info) Sign(by Signer) ([]byte, error) {
	if err := i.validate(); err != nil {
		return nil, err
	}
	return i.signJWS(by)
}

// ParseInfo reads an info whose signature is not checked. Hash is taken over the
// protected header and the payload, both decoded from base64url.
func ParseInfo(raw []byte) (*Signed[Info], error) {
	s, _, err := openInfo(raw)
	if err != nil {
		return nil, err
	}
	return s.All()
}

// VerifyInfo reads an info and checks that by has signed it: the certificate in
// its header must be that one, byte for byte. It returns ErrAlgorithm,
// ErrCritical, ErrSigner or ErrSignature beside the errors of bodies.
func VerifyInfo(raw []byte, by *x509.Certificate) (*Signed[Info], error) {
	s, err := OpenInfo(raw, by)
	if err != nil {
		return nil, err
	}
	return s.All()
}

// IsCOSE reports whether an info is a COSE_Sign1; otherwise it is meant as a JWS.
func IsCOSE(info []byte) bool { return bytes.HasPrefix(info, tagSign1) }
