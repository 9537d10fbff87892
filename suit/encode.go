package suit

import (
	"fmt"
	"maps"
	"slices"
)

// Encode returns the content of the byte string that holds the sequence, in
// deterministic form. It returns ErrOptions for an empty sequence or a command
// without its argument.
func (s Sequence) Encode() ([]byte, error) {
	if len(s) == 0 {
		return nil, fmt.Errorf("%w: empty sequence", ErrOptions)
	}
	b := appendHead(nil, majorArray, uint64(2*len(s)))
	for i := range s {
		argument, err := s[i].encode()
		if err != nil {
			return nil, fmt.Errorf("%v: %w", s[i].Code, err)
		}
		b = append(appendInt(b, int64(s[i].Code)), argument...)
	}
	return b, nil
}

// encode returns the argument of c.
func (c *Command) encode() (item, error) {
	switch codes[c.Code].argument {
	case argumentPolicy:
		return appendHead(nil, majorUint, uint64(c.Policy)), nil
	case argumentIndex:
		return c.Index.encode()
	case argumentParameters:
		return encodeParameters(c.Parameters)
	case argumentAlternatives:
		return c.encodeAlternatives()
	case argumentSequence:
		if len(c.Sequences) != 1 {
			return nil, fmt.Errorf("%w: %d sequences", ErrOptions, len(c.Sequences))
		}
		content, err := c.Sequences[0].Encode()
		return wrap(content), err
	case argumentMultiple:
		return c.encodeMultiple()
	case argumentCopies:
		return c.encodeCopies()
	case argumentAny:
	}
	if len(c.argument) == 0 {
		return nil, fmt.Errorf("%w: no argument", ErrOptions)
	}
	return c.argument, nil
}

func (x Index) encode() (item, error) {
	switch {
	case x.All:
		return item{cborTrue}, nil
	case len(x.List) == 0:
		return nil, fmt.Errorf("%w: no component chosen", ErrOptions)
	case len(x.List) == 1 && !x.listed:
		return intKey(int64(x.List[0])), nil
	}
	b := appendHead(nil, majorArray, uint64(len(x.List)))
	for _, n := range x.List {
		b = appendInt(b, int64(n))
	}
	return b, nil
}

func encodeParameters(list []Parameter) (item, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no parameters", ErrOptions)
	}
	pairs := make([]pair, 0, len(list))
	for _, p := range list {
		pairs = append(pairs, pair{key: intKey(int64(p.Key)), value: p.value})
	}
	return appendMap(nil, pairs), nil
}

func (c *Command) encodeAlternatives() (item, error) {
	if len(c.Sequences) < 2 {
		return nil, fmt.Errorf("%w: %d alternatives", ErrOptions, len(c.Sequences))
	}
	n := len(c.Sequences)
	if c.OrSucceed {
		n++
	}
	b := appendHead(nil, majorArray, uint64(n))
	for _, s := range c.Sequences {
		content, err := s.Encode()
		if err != nil {
			return nil, err
		}
		b = appendBytes(b, content)
	}
	if c.OrSucceed {
		b = append(b, cborNull)
	}
	return b, nil
}

func (c *Command) encodeMultiple() (item, error) {
	pairs := make([]pair, 0, len(c.PerComponent))
	for _, o := range c.PerComponent {
		value, err := encodeParameters(o.Parameters)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{key: intKey(int64(o.Component)), value: value})
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("%w: no parameters", ErrOptions)
	}
	return appendMap(nil, pairs), nil
}

func (c *Command) encodeCopies() (item, error) {
	pairs := make([]pair, 0, len(c.Copies))
	for _, one := range c.Copies {
		b := appendHead(nil, majorArray, uint64(len(one.Keys)))
		for _, key := range one.Keys {
			b = appendInt(b, int64(key))
		}
		pairs = append(pairs, pair{key: intKey(int64(one.Source)), value: b})
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("%w: nothing to copy", ErrOptions)
	}
	return appendMap(nil, pairs), nil
}

// Envelope encodes the manifest into a tagged envelope that has its digest but
// no authentication block yet. The elements named are made severable: their
// content stands in the envelope and the manifest has its digest (§8.6). It
// returns ErrOptions for a manifest that Decode would not accept.
func (m *Manifest) Envelope(digest DigestAlgorithm, sever ...Element) (*Envelope, error) {
	elements, err := m.elements()
	if err != nil {
		return nil, err
	}
	e := &Envelope{Tagged: true, Severable: map[Element][]byte{}, Integrated: map[string][]byte{}}
	severed := make(map[Element]Digest, len(m.Severed)+len(sever))
	maps.Copy(severed, m.Severed)
	for _, element := range sever {
		content, ok := elements[element]
		if !ok || !slices.Contains(severable, element) {
			return nil, fmt.Errorf("%w: element %d cannot be severed", ErrOptions, element)
		}
		sum, err := Sum(digest, wrap(content))
		if err != nil {
			return nil, err
		}
		e.Severable[element] = content
		severed[element] = sum
		delete(elements, element)
	}
	if e.RawManifest, err = m.encode(elements, severed); err != nil {
		return nil, err
	}
	if e.Digest, err = Sum(digest, wrap(e.RawManifest)); err != nil {
		return nil, err
	}
	e.RawDigest = e.Digest.Encode()
	if _, err := e.Manifest(digest); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return e, nil
}

// elements encodes what stands in a byte string of its own.
func (m *Manifest) elements() (map[Element][]byte, error) {
	elements := make(map[Element][]byte)
	for _, s := range sectionKeys {
		seq, ok := m.Sections[s.section]
		if !ok {
			continue
		}
		content, err := seq.Encode()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.section, err)
		}
		elements[s.element] = content
	}
	if len(m.Text) > 0 {
		elements[ElementText] = encodeTexts(m.Text)
	}
	if m.CoSWID != nil {
		elements[ElementCoSWID] = m.CoSWID
	}
	if m.MUD != nil {
		elements[ElementMUD] = m.MUD.encode()
	}
	return elements, nil
}

// encode returns the map of the manifest.
func (m *Manifest) encode(elements map[Element][]byte, severed map[Element]Digest) ([]byte, error) {
	common, err := m.encodeCommon()
	if err != nil {
		return nil, err
	}
	pairs := []pair{
		{key: intKey(keyVersion), value: intKey(ManifestVersion)},
		{key: intKey(keySequence), value: appendHead(nil, majorUint, m.Sequence)},
		{key: intKey(keyCommon), value: wrap(common)},
	}
	if m.ReferenceURI != "" {
		pairs = append(pairs, pair{key: intKey(keyReferenceURI), value: encodeText(m.ReferenceURI)})
	}
	if m.ID != "" {
		pairs = append(pairs, pair{key: intKey(keyManifestID), value: item(m.ID)})
	}
	if m.Version != nil {
		pairs = append(pairs, pair{key: intKey(keySetVersion), value: wrap(m.Version.Encode())})
	}
	for element, content := range elements {
		pairs = append(pairs, pair{key: intKey(int64(element)), value: wrap(content)})
	}
	for element, digest := range severed {
		pairs = append(pairs, pair{key: intKey(int64(element)), value: digest.Encode()})
	}
	return appendMap(nil, pairs), nil
}

func (m *Manifest) encodeCommon() ([]byte, error) {
	components := appendHead(nil, majorArray, uint64(len(m.Components)))
	for _, id := range m.Components {
		components = append(components, id...)
	}
	pairs := []pair{{key: intKey(keyComponents), value: components}}
	if len(m.Dependencies) > 0 {
		pairs = append(pairs, pair{key: intKey(keyDependencies), value: encodeDependencies(m.Dependencies)})
	}
	if shared, ok := m.Sections[SectionShared]; ok {
		content, err := shared.Encode()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", SectionShared, err)
		}
		pairs = append(pairs, pair{key: intKey(keyShared), value: wrap(content)})
	}
	return appendMap(nil, pairs), nil
}
