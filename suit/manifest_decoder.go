package suit

import (
	"fmt"
	"net/url"
)

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
	if version != ManifestVersion {
		return fmt.Errorf("%w: %d", ErrVersion, version)
	}
	if d.m.Sequence, err = d.uint(keySequence, "sequence number"); err != nil {
		return err
	}
	steps := []func() error{d.reference, d.identity, d.common, d.sections, d.coswid, d.mud, d.text}
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

// identity reads the name and the version of the manifest.
func (d *manifestDecoder) identity() error {
	if i, ok := d.elements[keyManifestID]; ok {
		var err error
		if d.m.ID, err = componentOf(i); err != nil {
			return fmt.Errorf("manifest component: %w", err)
		}
	}
	i, ok := d.elements[keySetVersion]
	if !ok {
		return nil
	}
	body, err := i.open()
	if err != nil {
		return fmt.Errorf("set-version: %w", err)
	}
	d.m.Version, err = versionOf(body)
	return err
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
		if err := d.commonElement(p, &shared); err != nil {
			return err
		}
	}
	if d.m.Components == nil {
		return fmt.Errorf("%w: no components", ErrStructure)
	}
	if err := d.m.checkDependencies(); err != nil {
		return err
	}
	if shared == nil {
		return nil
	}
	return d.section(SectionShared, shared)
}

// commonElement takes up one element of the common part; the shared sequence must
// wait for the components.
func (d *manifestDecoder) commonElement(p pair, shared *item) error {
	key, err := p.key.int()
	if err != nil {
		return fmt.Errorf("common key: %w", err)
	}
	switch key {
	case keyDependencies:
		d.m.Dependencies, err = dependenciesOf(p.value)
	case keyComponents:
		d.m.Components, err = componentsOf(p.value)
	case keyShared:
		*shared = p.value
	default:
		err = fmt.Errorf("%w: unknown element %d of common", ErrStructure, key)
	}
	return err
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
	seq, err := parseSequence(content, d.m.indices(), section == SectionShared)
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

func (d *manifestDecoder) mud() error {
	i, ok := d.elements[int64(ElementMUD)]
	if !ok {
		return nil
	}
	body, err := i.open()
	if err != nil {
		return fmt.Errorf("MUD: %w", err)
	}
	m, err := mudOf(body)
	if err != nil {
		return fmt.Errorf("MUD: %w", err)
	}
	d.m.MUD = &m
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
