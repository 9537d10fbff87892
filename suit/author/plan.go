package author

import (
	"fmt"
	"maps"
	"slices"

	"steward/suit"
	"steward/suit/cose"
)

// A Plan describes an update of several components. Build is for the common case
// of one.
type Plan struct {
	// Vendor, Class, Device and Sequence are those of Options.
	Vendor, Class, Device UUID
	Sequence              uint64
	// Images are what is installed, each in a component of its own.
	Images []Image
	// Dependencies are manifests of others that are carried out first.
	Dependencies []Dependency
	// ID names the component that the manifest itself is; empty if unsaid. It
	// takes a device with trust domains.
	ID suit.ComponentID
	// Version is that of the whole; nil if unsaid. It takes a device with update
	// management.
	Version suit.Version
	// UseBefore is the time in seconds since 1970 after which the update is not
	// begun any more; zero for none. It takes a device with update management.
	UseBefore    uint64
	ReferenceURI string
	Text         []suit.Text
	// MUD refers to what the software needs of the network; nil if unsaid.
	MUD *suit.MUD
	// Digest is the algorithm of all digests; zero means SHA-256.
	Digest suit.DigestAlgorithm
	// Sever lists elements whose content stands in the envelope, besides the
	// texts.
	Sever []suit.Element
}

// An Image is the new content of one component.
type Image struct {
	Component suit.ComponentID
	// Slots are the variants for a component that has several places (A/B): one
	// of them is installed. If there is but one variant, Slots has one entry.
	Slots []Slot
	// Staging is a component into which the image is fetched before it is copied
	// from there; empty fetches it where it belongs.
	Staging suit.ComponentID
	// Encryption encrypts the image to devices or groups; nil does not. It needs
	// Staging, unless the image is Inline.
	Encryption *cose.Encryption
	// Sealed is an image that was encrypted before; nil is none. It needs Staging, and
	// one slot with the digest, the size and the URI.
	Sealed *Sealed
	// Boot has the device verify the image at each start, and invoke it.
	Boot bool
}

// Sealed is the ciphertext of an image, for many devices: to each the key to it is
// encrypted by itself, in a manifest of its own.
type Sealed struct {
	Info   []byte      // COSE_Encrypt without ciphertext, to the device
	Digest suit.Digest // of the ciphertext
	Size   uint64      // of the ciphertext, bytes
}

// A Slot is an image for one place of a component.
type Slot struct {
	// Number is the slot; it matters only if there are several.
	Number uint64
	// Payload is the image. It may be left out in favour of Digest and Size
	// unless it is Integrated, Inline or encrypted.
	Payload []byte
	Digest  suit.Digest
	Size    uint64
	// URI is where the device fetches the image, or what it is encrypted to.
	URI string
	// FetchArguments is what the protocol of URI needs beside it; nil for nothing.
	// It takes a device that knows them (process.ArgumentFetcher).
	FetchArguments []byte
	// Integrated puts the payload into the envelope under URI, or "#name".
	Integrated bool
	// Inline puts the payload into the manifest itself: for a few bytes.
	Inline bool
}

// A Dependency is a manifest of its own, perhaps signed by someone else.
type Dependency struct {
	// Component is what holds its envelope on the device.
	Component suit.ComponentID
	// Envelope is the signed envelope. Its manifest is named by its digest, so
	// that it can be countersigned later.
	Envelope []byte
	// URI is where the device fetches it; empty integrates it.
	URI string
	// Prefix goes before the names of its components; empty for none.
	Prefix suit.ComponentID
}

// Built is what Plan.Build makes.
type Built struct {
	Envelope *suit.Envelope
	// Payloads are what must be served, by URI: images, encrypted or not, and
	// dependencies.
	Payloads map[string][]byte
}

// Build returns an envelope with its digest but without a signature, and the
// payloads to serve. It returns ErrOptions.
func (p Plan) Build() (*Built, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if p.Digest == 0 {
		p.Digest = suit.SHA256
	}
	b := &planner{
		plan: p, built: &Built{Payloads: map[string][]byte{}}, integrated: map[string][]byte{},
		m: &suit.Manifest{
			Sequence: p.Sequence, ReferenceURI: p.ReferenceURI, ID: p.ID, Version: p.Version, Text: p.Text,
			MUD:      p.MUD,
			Sections: map[suit.Section]suit.Sequence{},
		},
	}
	for i := range p.Images {
		b.name(p.Images[i].Component)
	}
	for i := range p.Dependencies {
		b.dependency(&p.Dependencies[i])
	}
	for i := range p.Images {
		b.image(i)
	}
	b.identity()
	if b.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, b.err)
	}
	sever := slices.Clone(p.Sever)
	if len(p.Text) > 0 && !slices.Contains(sever, suit.ElementText) {
		sever = append(sever, suit.ElementText)
	}
	e, err := b.m.Envelope(p.Digest, sever...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	maps.Copy(e.Integrated, b.integrated)
	b.built.Envelope = e
	return b.built, nil
}

// check finds what can be said without building.
func (p *Plan) check() error {
	if p.Vendor.IsZero() || p.Class.IsZero() {
		return fmt.Errorf("%w: no vendor or class", ErrOptions)
	}
	if len(p.Images)+len(p.Dependencies) == 0 {
		return fmt.Errorf("%w: nothing to install", ErrOptions)
	}
	for i := range p.Images {
		if err := p.Images[i].check(); err != nil {
			return fmt.Errorf("image %d: %w", i, err)
		}
	}
	for i, d := range p.Dependencies {
		if d.Component == "" || len(d.Envelope) == 0 {
			return fmt.Errorf("%w: dependency %d has no component or no envelope", ErrOptions, i)
		}
	}
	return nil
}

func (i *Image) check() error {
	if i.Component == "" || len(i.Slots) == 0 {
		return fmt.Errorf("%w: no component or no payload", ErrOptions)
	}
	for n := range i.Slots {
		s := &i.Slots[n]
		needed := s.Integrated || s.Inline || i.Encryption != nil
		switch {
		case needed && s.Payload == nil:
			return fmt.Errorf("%w: slot %d has no payload", ErrOptions, s.Number)
		case s.Payload == nil && (len(s.Digest.Value) == 0 || s.Size == 0):
			return fmt.Errorf("%w: slot %d has neither payload nor digest and size", ErrOptions, s.Number)
		case i.Sealed != nil && (needed || i.Staging == "" || len(i.Slots) > 1):
			return fmt.Errorf("%w: what was encrypted before is fetched, into one slot, by way of another component",
				ErrOptions)
		case i.Encryption != nil && !s.Inline && i.Staging == "":
			return fmt.Errorf("%w: no component in which to stage the ciphertext", ErrOptions)
		case !s.Inline && !s.Integrated && s.URI == "":
			return fmt.Errorf("%w: slot %d has no URI", ErrOptions, s.Number)
		}
	}
	return nil
}
