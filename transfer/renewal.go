package transfer

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
)

// SetRenewed makes the key of EnrolmentKey, with the certificate issued for it, the
// operational one, and keeps the one before until Prove or Revert: a certificate
// that works is never given up for one that has not served yet.
func (d *Device) SetRenewed(certificate []byte) error {
	key, err := d.EnrolmentKey()
	if err != nil {
		return err
	}
	if err := certifies(certificate, key); err != nil {
		return err
	}
	return d.update(func(n *nvm) error {
		if len(n.FormerCert) == 0 { // else the one between never served
			n.Former, n.FormerCert = n.Key, n.Cert
		}
		n.Key, n.Cert, n.Renew = n.Renew, bytes.Clone(certificate), nil
		return nil
	})
}

// SetFactory makes another factory key and certificate those of the device: that of
// its permanent CA has taken the place of the one before (transfer protocol §6). They
// are not in the journal: whoever keeps them gives them to OpenDevice. It returns
// ErrState unless the device is at rest, and ErrCertificate for a certificate of
// another key or name.
func (d *Device) SetFactory(key crypto.Signer, certificate []byte) error {
	if !d.nv.State.AtRest() {
		return fmt.Errorf("transfer: factory key in %s: %w", d.nv.State, ErrState)
	}
	if err := certifies(certificate, key); err != nil {
		return err
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil || parsed.Subject.CommonName != d.subject {
		return fmt.Errorf("transfer: of another device: %w", ErrCertificate)
	}
	d.o.FactoryKey, d.o.FactoryCertificate, d.factory = key, certificate, HashOf(certificate)
	return nil
}

// Mandate returns the service user's order that was written last; nil: none was.
func (d *Device) Mandate() []byte { return bytes.Clone(d.nv.Mandate) }

// Former returns the key and certificate before the operational one, as long as
// that has not served; ok is false if there is none.
func (d *Device) Former() (key crypto.Signer, certificate []byte, ok bool) {
	if len(d.nv.FormerCert) == 0 {
		return nil, nil, false
	}
	key, err := parseKey(d.nv.Former)
	return key, bytes.Clone(d.nv.FormerCert), err == nil
}

// Prove says that the operational certificate has served: the one before is
// forgotten.
func (d *Device) Prove() error {
	if len(d.nv.FormerCert) == 0 {
		return nil
	}
	return d.update(func(n *nvm) error {
		n.Former, n.FormerCert = nil, nil
		return nil
	})
}

// Revert puts the certificate before into use again. The key of the one that did not
// serve is that of the next renewal: the right may be bound to it.
func (d *Device) Revert() error {
	if len(d.nv.FormerCert) == 0 {
		return nil
	}
	return d.update(func(n *nvm) error {
		n.Renew = n.Key
		n.Key, n.Cert, n.Former, n.FormerCert = n.Former, n.FormerCert, nil, nil
		return nil
	})
}

// EnrolmentKeys returns the keys with which the device may enrol by its factory
// certificate, when its operational one is of no use any more: the right is bound to
// the key of the certificate issued last, which the device need not have got. asked
// says that a renewal was sent, so that this is probably the key of EnrolmentKey.
func (d *Device) EnrolmentKeys(asked bool) ([]crypto.Signer, error) {
	stored := [][]byte{d.nv.Key, d.nv.Renew, d.nv.Former}
	if asked {
		stored[0], stored[1] = stored[1], stored[0]
	}
	var keys []crypto.Signer
	var errs []error
	for _, raw := range stored {
		if len(raw) == 0 {
			continue
		}
		key, err := parseKey(raw)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) > 0 || len(errs) > 0 {
		return keys, errors.Join(errs...)
	}
	key, err := d.EnrolmentKey()
	if err != nil {
		return nil, err
	}
	return []crypto.Signer{key}, nil
}

// SetOperational makes the key that a certificate was issued for, one of
// EnrolmentKeys, with that certificate the operational one. All others are forgotten.
// It returns ErrState unless the device is at rest or in READY, and ErrCertificate
// for another key.
func (d *Device) SetOperational(certificate []byte) error {
	if err := d.mayEnrol(); err != nil {
		return err
	}
	err := fmt.Errorf("transfer: %w", ErrCertificate)
	for _, raw := range [][]byte{d.nv.Renew, d.nv.Key, d.nv.Former} {
		key, parsed := parseKey(raw)
		if parsed != nil {
			continue
		}
		if err = certifies(certificate, key); err != nil {
			continue
		}
		return d.update(func(n *nvm) error {
			n.Key, n.Cert = raw, bytes.Clone(certificate)
			n.Renew, n.Former, n.FormerCert = nil, nil, nil
			return nil
		})
	}
	return err
}
