package suit

import (
	"fmt"
	"net/url"
)

// ElementMUD holds the reference to a manufacturer usage description. It cannot
// be severed (draft-ietf-suit-mud §5).
const ElementMUD Element = 25

// The keys of SUIT_MUD_container, in the order in which its definition lists its
// members; the draft leaves the numbers open.
const (
	keyMUDURL = 1
	keyMUDSKI = 2
)

// tagURI marks a URI (RFC 8949 §3.4.5.3).
const tagURI = 32

// A MUD says where the network finds what the software needs of it, and who signs
// that (draft-ietf-suit-mud §5, RFC 8520).
type MUD struct {
	// URL is where the description is; https, as RFC 8520 §13.1 demands.
	URL string
	// SKI is the thumbprint of the COSE key that signs the description.
	SKI Digest
}

// encode returns the container.
func (m MUD) encode() item {
	u := append(appendHead(nil, majorTag, tagURI), encodeText(m.URL)...)
	return appendMap(nil, []pair{
		{key: intKey(keyMUDURL), value: u}, {key: intKey(keyMUDSKI), value: m.SKI.Encode()},
	})
}

// check returns ErrStructure for a URL that is none of RFC 8520, or a thumbprint
// that is none.
func (m MUD) check() error {
	u, err := url.Parse(m.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%w: MUD URL is not https", ErrStructure)
	}
	if h, err := m.SKI.Algorithm.New(); err != nil || h.Size() != len(m.SKI.Value) {
		return fmt.Errorf("%w: MUD thumbprint of %d bytes by %v", ErrStructure, len(m.SKI.Value), m.SKI.Algorithm)
	}
	return nil
}

// mudOf reads the container, which has both members and no others.
func mudOf(i item) (MUD, error) {
	pairs, err := i.pairs()
	if err != nil {
		return MUD{}, err
	}
	var m MUD
	members := map[int64]bool{}
	for _, p := range pairs {
		key, err := p.key.int()
		if err != nil {
			return MUD{}, err
		}
		switch members[key] = true; key {
		case keyMUDURL:
			m.URL, err = taggedText(p.value)
		case keyMUDSKI:
			m.SKI, err = digestOf(p.value)
		default:
			err = fmt.Errorf("%w: unknown element %d", ErrStructure, key)
		}
		if err != nil {
			return MUD{}, err
		}
	}
	if !members[keyMUDURL] || !members[keyMUDSKI] {
		return MUD{}, fmt.Errorf("%w: without URL or thumbprint", ErrStructure)
	}
	return m, m.check()
}

// taggedText reads a text with the tag of URIs.
func taggedText(i item) (string, error) {
	if i.major() != majorTag {
		return "", fmt.Errorf("%w: URL is not tagged", ErrStructure)
	}
	r := &reader{b: i}
	_, tag, err := r.head()
	if err != nil || tag != tagURI {
		return "", fmt.Errorf("%w: tag %d, not %d", ErrStructure, tag, tagURI)
	}
	return i[r.off:].text()
}
