package suit

import (
	"fmt"
	"net/url"
	"slices"
)

// A Section is a command sequence of the manifest; its name is that of the
// stage in which it runs.
type Section string

// The sections that this package reads.
const (
	SectionShared   Section = "shared"
	SectionFetch    Section = "payload-fetch"
	SectionInstall  Section = "install"
	SectionValidate Section = "validate"
	SectionLoad     Section = "load"
	SectionInvoke   Section = "invoke"
)

// A Manifest is a decoded SUIT_Manifest (§8.4).
type Manifest struct {
	// Sequence is the sequence number, which protects against rollback.
	Sequence uint64
	// ReferenceURI is where the whole manifest can be found; empty if unsaid.
	ReferenceURI string
	// Components are what the manifest acts on, at least one.
	Components []ComponentID
	// Sections are the command sequences present, SectionShared among them.
	Sections map[Section]Sequence
	// Severed are the digests of severable elements whose content is missing.
	Severed map[Element]Digest
	// Text describes the manifest to people; nil if there is none or it was
	// severed.
	Text []Text
	// CoSWID is the software identification tag, encoded, not looked into.
	CoSWID []byte
}

// The keys of the manifest and of its common part.
const (
	keyVersion      = 1
	keySequence     = 2
	keyCommon       = 3
	keyReferenceURI = 4
	keyDependencies = 1
	keyComponents   = 2
	keyShared       = 4
)

// sectionKeys are the elements that hold command sequences, in the order in
// which they run. It is never changed.
var sectionKeys = []struct {
	element Element
	section Section
}{
	{ElementPayloadFetch, SectionFetch},
	{ElementInstall, SectionInstall},
	{ElementValidate, SectionValidate},
	{ElementLoad, SectionLoad},
	{ElementInvoke, SectionInvoke},
}

// severable are the elements that may be severed (§8.6). It is never changed.
var severable = []Element{ElementCoSWID, ElementPayloadFetch, ElementInstall, ElementText}

// knownElement reports whether this package reads the element of a manifest.
func knownElement(key int64) bool {
	if key >= keyVersion && key <= keyReferenceURI || slices.Contains(severable, Element(key)) {
		return true
	}
	for _, s := range sectionKeys {
		if int64(s.element) == key {
			return true
		}
	}
	return false
}

// Manifest decodes the manifest and the severable elements of the envelope after
// comparing their digests; those may be of the algorithms named, or SHA-256 if
// none is. It proves nothing about the origin. Errors are *DecodeError:
// LayerManifest for the encoding of the map and unknown elements, LayerSeverable
// for ErrDigest, ErrAlgorithm and ErrUnauthenticated, LayerContent for the rest.
func (e *Envelope) Manifest(allowed ...DigestAlgorithm) (*Manifest, error) {
	elements, err := elementsOf(e.RawManifest)
	if err != nil {
		return nil, in(LayerManifest, err)
	}
	d := manifestDecoder{envelope: e, elements: elements, allowed: orSHA256(allowed)}
	d.m.Sections = map[Section]Sequence{}
	d.m.Severed = map[Element]Digest{}
	if err := d.severable(); err != nil {
		return nil, in(LayerSeverable, err)
	}
	if err := d.content(); err != nil {
		return nil, in(LayerContent, err)
	}
	return &d.m, nil
}

// elementsOf reads the map of the manifest, whose elements must all be known.
func elementsOf(raw item) (map[int64]item, error) {
	if err := check(raw); err != nil {
		return nil, err
	}
	pairs, err := raw.pairs()
	if err != nil {
		return nil, err
	}
	elements := make(map[int64]item, len(pairs))
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return nil, fmt.Errorf("manifest key: %w", err)
		}
		if !knownElement(key) {
			return nil, unknownElement("manifest", key)
		}
		elements[key] = p.value
	}
	return elements, nil
}

// A manifestDecoder fills a Manifest.
type manifestDecoder struct {
	envelope *Envelope
	elements map[int64]item
	allowed  []DigestAlgorithm
	m        Manifest
}

// severable puts the contents of severed elements in the place of their digests
// once they have been compared.
func (d *manifestDecoder) severable() error {
	for _, element := range severable {
		if err := d.severableElement(element); err != nil {
			return fmt.Errorf("element %d: %w", element, err)
		}
	}
	return nil
}

func (d *manifestDecoder) severableElement(element Element) error {
	i, listed := d.elements[int64(element)]
	content, present := d.envelope.Severable[element]
	if !listed || i.major() != majorArray {
		if present {
			return ErrUnauthenticated
		}
		return nil
	}
	digest, err := digestOf(i)
	if err != nil {
		return err
	}
	if !present {
		d.m.Severed[element] = digest
		delete(d.elements, int64(element))
		return nil
	}
	wrapped := wrap(content) // the digest is over the header as well (§8.6)
	if err := digest.Verify(wrapped, d.allowed...); err != nil {
		return err
	}
	d.elements[int64(element)] = wrapped
	return nil
}

func (d *manifestDecoder) content() error {
	version, err := d.uint(keyVersion, "manifest version")
	if err != nil {
		return err
	}
	if version != Version {
		return fmt.Errorf("%w: %d", ErrVersion, version)
	}
	if d.m.Sequence, err = d.uint(keySequence, "sequence number"); err != nil {
		return err
	}
	steps := []func() error{d.reference, d.common, d.sections, d.coswid, d.text}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// uint returns a required number.
func (d *manifestDecoder) uint(key int64, name string) (uint64, error) {
	i, ok := d.elements[key]
	if !ok {
		return 0, fmt.Errorf("%w: no %s", ErrStructure, name)
	}
	n, err := i.uint()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

func (d *manifestDecoder) reference() error {
	i, ok := d.elements[keyReferenceURI]
	if !ok {
		return nil
	}
	text, err := i.text()
	if err != nil {
		return fmt.Errorf("reference URI: %w", err)
	}
	if _, err := url.Parse(text); err != nil {
		return fmt.Errorf("%w: reference URI", ErrStructure)
	}
	d.m.ReferenceURI = text
	return nil
}

// common reads the components and the shared sequence (§8.4.5).
func (d *manifestDecoder) common() error {
	i, ok := d.elements[keyCommon]
	if !ok {
		return fmt.Errorf("%w: no common part", ErrStructure)
	}
	body, err := i.open()
	if err != nil {
		return fmt.Errorf("common: %w", err)
	}
	pairs, err := body.pairs()
	if err != nil {
		return fmt.Errorf("common: %w", err)
	}
	var shared item
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return fmt.Errorf("common key: %w", err)
		}
		switch key {
		case keyDependencies:
			return fmt.Errorf("%w: dependencies", ErrNotImplemented)
		case keyComponents:
			if d.m.Components, err = componentsOf(p.value); err != nil {
				return err
			}
		case keyShared:
			shared = p.value
		default:
			return fmt.Errorf("%w: unknown element %d of common", ErrStructure, key)
		}
	}
	if d.m.Components == nil {
		return fmt.Errorf("%w: no components", ErrStructure)
	}
	if shared == nil {
		return nil
	}
	return d.section(SectionShared, shared)
}

func (d *manifestDecoder) sections() error {
	for _, s := range sectionKeys {
		i, ok := d.elements[int64(s.element)]
		if !ok {
			continue
		}
		if err := d.section(s.section, i); err != nil {
			return err
		}
	}
	return nil
}

func (d *manifestDecoder) section(section Section, i item) error {
	content, err := i.bytes()
	if err != nil {
		return fmt.Errorf("%s: %w", section, err)
	}
	seq, err := ParseSequence(content, len(d.m.Components), section == SectionShared)
	if err != nil {
		return fmt.Errorf("%s: %w", section, err)
	}
	d.m.Sections[section] = seq
	return nil
}

func (d *manifestDecoder) coswid() error {
	i, ok := d.elements[int64(ElementCoSWID)]
	if !ok {
		return nil
	}
	var err error
	if d.m.CoSWID, err = i.bytes(); err != nil {
		return fmt.Errorf("coswid: %w", err)
	}
	return nil
}

func (d *manifestDecoder) text() error {
	i, ok := d.elements[int64(ElementText)]
	if !ok {
		return nil
	}
	body, err := i.open()
	if err != nil {
		return fmt.Errorf("text: %w", err)
	}
	d.m.Text, err = textsOf(body, d.m.Components)
	return err
}
