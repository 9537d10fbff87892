package suit

import (
	"fmt"
	"slices"
)

// A Section is a command sequence of the manifest; its name is that of the
// stage in which it runs.
type Section string

// The sections that this package reads.
const (
	SectionShared       Section = "shared"
	SectionDependencies Section = "dependency-resolution"
	SectionFetch        Section = "payload-fetch"
	SectionCandidate    Section = "candidate-verification"
	SectionInstall      Section = "install"
	SectionValidate     Section = "validate"
	SectionLoad         Section = "load"
	SectionInvoke       Section = "invoke"
	SectionUninstall    Section = "uninstall"
)

// A Manifest is a decoded SUIT_Manifest (§8.4).
type Manifest struct {
	// Sequence is the sequence number, which protects against rollback.
	Sequence uint64
	// ReferenceURI is where the whole manifest can be found; empty if unsaid.
	ReferenceURI string
	// Components are what the manifest acts on, at least one.
	Components []ComponentID
	// Dependencies are those components that hold envelopes, by ascending index.
	Dependencies []Dependency
	// ID names the component that the manifest itself is; empty if unsaid.
	ID ComponentID
	// Version is that of the components together; nil if unsaid.
	Version Version
	// Sections are the command sequences present, SectionShared among them.
	Sections map[Section]Sequence
	// Severed are the digests of severable elements whose content is missing.
	Severed map[Element]Digest
	// Text describes the manifest to people; nil if there is none or it was
	// severed.
	Text []Text
	// CoSWID is the software identification tag, encoded, not looked into.
	CoSWID []byte
	// MUD refers to what the software needs of the network; nil if unsaid.
	MUD *MUD
}

// The keys of the manifest and of its common part.
const (
	keyVersion      = 1
	keySequence     = 2
	keyCommon       = 3
	keyReferenceURI = 4
	keyManifestID   = 5
	keySetVersion   = 6
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
	{ElementDependencies, SectionDependencies},
	{ElementPayloadFetch, SectionFetch},
	{ElementCandidate, SectionCandidate},
	{ElementInstall, SectionInstall},
	{ElementValidate, SectionValidate},
	{ElementLoad, SectionLoad},
	{ElementInvoke, SectionInvoke},
	{ElementUninstall, SectionUninstall},
}

// severable are the elements that may be severed (§8.6). It is never changed.
var severable = []Element{
	ElementCoSWID, ElementDependencies, ElementPayloadFetch, ElementCandidate, ElementInstall, ElementText,
}

// Element returns the key of the element in which s stands: for the shared
// sequence, that of the common part.
func (s Section) Element() Element {
	for _, row := range sectionKeys {
		if row.section == s {
			return row.element
		}
	}
	return keyCommon
}

// Severable reports whether the element may be severed from the manifest (§8.6).
func (e Element) Severable() bool { return slices.Contains(severable, e) }

// knownElement reports whether this package reads the element of a manifest.
func knownElement(key int64) bool {
	if key >= keyVersion && key <= keySetVersion || slices.Contains(severable, Element(key)) ||
		Element(key) == ElementMUD {
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
			return nil, fmt.Errorf("%w: unknown manifest element %d", ErrStructure, key)
		}
		elements[key] = p.value
	}
	return elements, nil
}
