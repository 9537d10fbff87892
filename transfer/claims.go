package transfer

import (
	"crypto"
	"fmt"
)

// Claims are what a device can say of itself to an attestation verifier.
type Claims struct {
	// Key is to be certified next, from COMMITTED on; otherwise it is the operational
	// key.
	Key        crypto.PublicKey
	Message    Hash // that led the device here; zero at rest
	Truststore Hash // TruststoreDigest
	Boots      uint64
}

// Claims returns the present values. It returns ErrState for a device that has no
// key yet.
func (d *Device) Claims() (Claims, error) {
	c := Claims{Truststore: TruststoreDigest(d.nv.Truststore), Boots: d.nv.Boots}
	raw := d.nv.Key
	if !d.nv.State.AtRest() && d.nv.State != Ready {
		raw, c.Message = d.nv.Next, d.nv.Hash
	}
	if len(raw) == 0 {
		return Claims{}, fmt.Errorf("transfer: no key in %s: %w", d.nv.State, ErrState)
	}
	key, err := parseKey(raw)
	if err != nil {
		return Claims{}, err
	}
	c.Key = key.Public()
	return c, nil
}
