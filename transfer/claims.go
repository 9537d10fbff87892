package transfer

import (
	"crypto"
	"fmt"
	"slices"
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

// UpdateSigners returns the anchors that may sign manifests in UPDATE, and only there:
// those of the new domain to which label 8 gives that purpose. The message was
// accepted with them, and they come into force at Finalise.
func (d *Device) UpdateSigners() (signers []Anchor) {
	if d.nv.State != Updating {
		return nil
	}
	_, destination, err := d.nv.message()
	if err != nil {
		return nil
	}
	for _, a := range d.nv.Truststore {
		marked := func(r AnchorRef) bool { return r.Thumbprint == a.Thumbprint() && r.Purposes.Has(SUITSigner) }
		if a.Domain == Pending && slices.ContainsFunc(destination.Anchors, marked) {
			signers = append(signers, a)
		}
	}
	return signers
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
