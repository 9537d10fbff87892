package transfer

import (
	"bytes"
	"crypto"
	"fmt"
)

// The key of the READY receipt was named in evidence, and what ran before the update
// has seen it. So a device that attested or was updated renews its certificate once,
// with a fresh key, before it registers (§4, step 11).

// renews reports whether the certificate in use is still that of the READY receipt's
// key where it may not stay.
func (n *nvm) renews(d *Destination) bool {
	return d.Renews() && !bytes.Equal(n.Key, n.Fresh)
}

// wantsFresh reports whether the fresh key is the next to be enrolled.
func (n *nvm) wantsFresh() bool { return len(n.Fresh) > 0 && !n.FreshRefused }

// enrolling returns the key to be enrolled at CA2. Its right follows a renewal, and
// whether that came about a device that fell back need not know.
func (n *nvm) enrolling() []byte {
	if n.wantsFresh() {
		return n.Fresh
	}
	return n.Next
}

// FreshKey returns the key with which the device renews its certificate before it
// registers: the same until the transfer has ended. It returns ErrState unless an
// Effect asks for it.
func (d *Device) FreshKey() (crypto.Signer, error) {
	if err := d.mayRenew(); err != nil {
		return nil, err
	}
	return d.keptKey(func(n *nvm) *[]byte { return &n.Fresh })
}

// keptKey returns the key at a place in the memory, made there once.
func (d *Device) keptKey(at func(*nvm) *[]byte) (crypto.Signer, error) {
	if len(*at(&d.nv)) == 0 {
		err := d.update(func(n *nvm) (err error) { *at(n), err = d.newKey(); return err })
		if err != nil {
			return nil, err
		}
	}
	return parseKey(*at(&d.nv))
}

// Renewed makes the fresh key, with the certificate issued for it, the operational
// one. It returns ErrState unless an Effect asks for it, and ErrCertificate for a
// certificate of another key.
func (d *Device) Renewed(certificate []byte) error {
	if err := d.mayRenew(); err != nil {
		return err
	}
	key, err := parseKey(d.nv.Fresh)
	if err != nil {
		return fmt.Errorf("transfer: no fresh key: %w", ErrState)
	}
	if err := certifies(certificate, key); err != nil {
		return err
	}
	return d.update(func(n *nvm) error {
		n.Key, n.Cert, n.Attempts = n.Fresh, bytes.Clone(certificate), 0
		return nil
	})
}

func (d *Device) mayRenew() error {
	if e, ok := d.Next(); !ok || !e.Renew {
		return fmt.Errorf("transfer: fresh key in %s: %w", d.nv.State, ErrState)
	}
	return nil
}
