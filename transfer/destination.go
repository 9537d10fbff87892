package transfer

import (
	"fmt"
	"math"
	"time"
)

// A Reset says what of the device's application survives the commit (§5, wipe).
type Reset uint8

// The reset profiles. Each erases the outgoing provider's secrets and data.
const (
	ResetKeepApplication Reset = 0 // only where the mandate allows it
	ResetData            Reset = 1
	ResetReference       Reset = 2
	ResetFactory         Reset = 3
)

// DefaultReset is used where a Destination names none: the one that needs no
// permission and no image.
const DefaultReset = ResetData

// DefaultGrace is used where a Destination names none (§7, defaults).
const DefaultGrace = 24 * time.Hour

// maxGrace is 90 days: no device waits longer for a provider that is not there.
const maxGrace = 90 * 24 * 60 * 60

// A Destination is written by the incoming provider and reaches the device byte
// for byte. Keep its encoding: a decoded Destination is for reading only.
type Destination struct {
	RAURI     string `cbor:"1,keyasint,omitempty"` // empty: no attestation
	UpdateURI string `cbor:"2,keyasint"`
	// UpdateFirst makes the device ask the update server before it enrols.
	UpdateFirst  bool        `cbor:"3,keyasint"`
	EnrollURI    string      `cbor:"4,keyasint"` // CA2
	Anchors      []AnchorRef `cbor:"8,keyasint"` // the exact set of the new domain
	Reset        *Reset      `cbor:"9,keyasint,omitempty"`
	Grace        *uint64     `cbor:"10,keyasint,omitempty"` // powered seconds from commit to fallback
	ServerURI    string      `cbor:"11,keyasint"`           // the LwM2M server
	Account      Account     `cbor:"18,keyasint"`
	BootstrapURI string      `cbor:"19,keyasint,omitempty"` // empty: none
}

// An Account is what the device writes into its own Server object.
type Account struct {
	_        struct{} `cbor:",toarray"`
	SSID     uint64
	Lifetime uint64 // seconds
}

// Encode returns the bytes that travel. It returns ErrValue.
func (d Destination) Encode() ([]byte, error) {
	if err := d.validate(); err != nil {
		return nil, err
	}
	return encode(d)
}

// ParseDestination reads a Destination. It does not look into the URIs: a device
// reports those apart from a malformed message (E8).
func ParseDestination(raw []byte) (Destination, error) {
	var d Destination
	if err := decode(raw, MaxMessage, &d); err != nil {
		return Destination{}, err
	}
	return d, d.validate()
}

func (d *Destination) validate() error {
	if d.Reset != nil && *d.Reset > ResetFactory || d.Grace != nil && *d.Grace > maxGrace {
		return fmt.Errorf("transfer: reset or grace: %w", ErrValue)
	}
	if d.Account.SSID == 0 || d.Account.SSID >= math.MaxUint16 || d.Account.Lifetime == 0 ||
		d.Account.Lifetime > math.MaxInt32 {
		return fmt.Errorf("transfer: account %d, lifetime %d: %w", d.Account.SSID, d.Account.Lifetime, ErrValue)
	}
	if len(d.RAURI) > MaxURI || len(d.BootstrapURI) > MaxURI {
		return fmt.Errorf("transfer: URI: %w", ErrValue)
	}
	return firstError(
		validateText("updateURI", d.UpdateURI),
		validateText("enrollURI", d.EnrollURI),
		validateText("server URI", d.ServerURI),
		validateAnchors(d.Anchors),
	)
}

// URIs returns the URIs that d names.
func (d *Destination) URIs() []string {
	uris := []string{d.UpdateURI, d.EnrollURI, d.ServerURI}
	if d.RAURI != "" {
		uris = append(uris, d.RAURI)
	}
	if d.BootstrapURI != "" {
		uris = append(uris, d.BootstrapURI)
	}
	return uris
}

// Renews reports whether the device renews its certificate, with a fresh key, before it
// registers (§4, step 11).
func (d *Destination) Renews() bool { return d.RAURI != "" || d.UpdateFirst }

// ResetProfile returns the reset that applies.
func (d *Destination) ResetProfile() Reset {
	if d.Reset == nil {
		return DefaultReset
	}
	return *d.Reset
}

// GracePeriod returns the powered time that the device gives the new domain.
func (d *Destination) GracePeriod() time.Duration {
	if d.Grace == nil {
		return DefaultGrace
	}
	return time.Duration(min(*d.Grace, maxGrace)) * time.Second
}
