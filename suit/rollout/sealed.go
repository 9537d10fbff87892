package rollout

import (
	"crypto/ecdh"
	"fmt"

	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
)

// Sealed is the ciphertext of an image with secrets. It is one for all devices; the key
// to it is encrypted to each, in a manifest of its own, when it asks
// (draft-ietf-suit-firmware-encryption §6.2).
type Sealed struct {
	Component []byte      // suit.ComponentID of the image
	Staging   []byte      // suit.ComponentID into which the ciphertext is fetched
	Digest    suit.Digest // of the ciphertext
	Size      int         // of the ciphertext, bytes
}

// seal encrypts the image of a release for those who have not enrolled.
func (r *Release) seal(c *Content, component, staging suit.ComponentID) error {
	if staging == component {
		return fmt.Errorf("%w: the ciphertext is fetched into another component than the image's", ErrRelease)
	}
	key, err := cose.NewContentKey(0, nil)
	if err != nil {
		return err
	}
	if c.Key, err = key.Encode(); err != nil {
		return err
	}
	if c.Cipher, err = key.Encrypt(c.Image); err != nil {
		return err
	}
	digest, err := suit.Sum(suit.SHA256, c.Cipher)
	r.Sealed = &Sealed{
		Component: []byte(component), Staging: []byte(staging), Digest: digest, Size: len(c.Cipher),
	}
	return err
}

// A SealedEnvelope is what one device is given of a release whose image holds secrets.
type SealedEnvelope struct {
	Device   fleet.ID
	Release  string
	Key      [32]byte    // SHA-256 of the SubjectPublicKeyInfo that it is encrypted to
	Manifest suit.Digest // by which the device reports
	Envelope []byte
}

// SealFor makes the manifest of a release whose image holds secrets for the device with
// a key on P-256: that of its next certificate. key is Content.Key; uri is where the
// device fetches Content.Cipher. It returns ErrRelease.
func (r Release) SealFor(to *ecdh.PublicKey, key []byte, uri string, signer *cose.Signer) (
	envelope []byte, manifest suit.Digest, err error,
) {
	fail := func(err error) ([]byte, suit.Digest, error) {
		return nil, suit.Digest{}, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	vendor, err1 := author.ParseUUID(r.Vendor)
	class, err2 := author.ParseUUID(r.Class)
	recipient, err3 := cose.NewPublicKey(to, nil)
	content, err4 := cose.ParseContentKey(key)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return fail(err)
		}
	}
	if r.Sealed == nil {
		return nil, suit.Digest{}, fmt.Errorf("%w: %s is not encrypted", ErrRelease, r.ID)
	}
	info, err := content.EncryptTo(nil, recipient)
	if err != nil {
		return fail(err)
	}
	component := suit.ComponentID(r.Sealed.Component)
	built, err := author.Plan{
		Vendor: vendor, Class: class, Sequence: r.Sequence,
		Text: text(ImageSpec{Name: r.Name, Version: r.Version, Component: component}),
		Images: []author.Image{{
			Component: component, Staging: suit.ComponentID(r.Sealed.Staging), Boot: true,
			Slots: []author.Slot{{Digest: r.Digest, Size: uint64(r.Size), URI: uri}}, //nolint:gosec // not negative
			Sealed: &author.Sealed{
				Info: info, Digest: r.Sealed.Digest, Size: uint64(r.Sealed.Size), //nolint:gosec // not negative
			},
		}},
	}.Build()
	if err != nil {
		return fail(err)
	}
	if envelope, err = author.Sign(built.Envelope, signer); err != nil {
		return fail(err)
	}
	return envelope, built.Envelope.Digest, nil
}
