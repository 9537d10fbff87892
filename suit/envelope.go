package suit

import (
	"fmt"
)

// An Element is a key of the envelope or of the manifest (§12.1).
type Element int64

// The elements that this package reads.
const (
	ElementAuthentication Element = 2
	ElementManifest       Element = 3
	ElementValidate       Element = 7
	ElementLoad           Element = 8
	ElementInvoke         Element = 9
	ElementCoSWID         Element = 14
	ElementDependencies   Element = 15
	ElementPayloadFetch   Element = 16
	ElementCandidate      Element = 18
	ElementInstall        Element = 20
	ElementText           Element = 23
	ElementUninstall      Element = 24
)

// An Envelope is a decoded SUIT_Envelope (§8.2). Nothing in it is proven before
// its digest, an authentication block and the digests of its severable elements
// have been verified. The slices alias the bytes given to Decode.
type Envelope struct {
	// Tagged says whether tag 107 stood in front.
	Tagged bool
	// RawDigest is the encoded SUIT_Digest of the manifest: the detached payload
	// of each authentication block.
	RawDigest []byte
	// Digest is RawDigest, decoded.
	Digest Digest
	// Blocks are the authentication blocks, COSE messages, not looked into.
	Blocks [][]byte
	// RawManifest is the encoded manifest, without its byte string header.
	RawManifest []byte
	// Severable holds the contents of severable elements present.
	Severable map[Element][]byte
	// Integrated holds the integrated payloads by their URI, such as "#fw".
	Integrated map[string][]byte
}

// Decode reads an envelope. It checks the encoding of the envelope itself and of
// its authentication wrapper, but not yet that of the manifest. Errors are
// *DecodeError with LayerEnvelope, for ErrEncoding, ErrStructure and
// ErrNotImplemented.
func Decode(raw []byte, l Limits) (*Envelope, error) {
	e, err := decodeEnvelope(raw, l)
	return e, in(LayerEnvelope, err)
}

func decodeEnvelope(raw []byte, l Limits) (*Envelope, error) {
	if l.Envelope == 0 {
		l.Envelope = MaxEnvelope
	}
	if len(raw) > l.Envelope {
		return nil, fmt.Errorf("%w: envelope of %d bytes, %d allowed", ErrEncoding, len(raw), l.Envelope)
	}
	if err := check(raw); err != nil {
		return nil, err
	}
	body, tagged, err := untag(raw, l.Untagged)
	if err != nil {
		return nil, err
	}
	if body.major() != majorMap {
		return nil, fmt.Errorf("%w: envelope is not a map", ErrStructure)
	}
	pairs, err := body.pairs()
	if err != nil {
		return nil, err
	}
	e := &Envelope{Tagged: tagged, Severable: map[Element][]byte{}, Integrated: map[string][]byte{}}
	for _, p := range pairs {
		if err := e.add(p); err != nil {
			return nil, err
		}
	}
	switch {
	case e.RawDigest == nil:
		return nil, fmt.Errorf("%w: no authentication wrapper", ErrStructure)
	case e.RawManifest == nil:
		return nil, fmt.Errorf("%w: no manifest", ErrStructure)
	}
	return e, nil
}

// untag takes tag 107 off. A bare manifest (tag 1070) is never a package:
// nothing authenticates it.
func untag(raw item, untagged bool) (item, bool, error) {
	if raw.major() != majorTag {
		if !untagged {
			return nil, false, fmt.Errorf("%w: no tag %d", ErrStructure, TagEnvelope)
		}
		return raw, false, nil
	}
	r := &reader{b: raw}
	_, tag, err := r.head()
	if err != nil || tag != TagEnvelope {
		return nil, false, fmt.Errorf("%w: tag %d, not %d", ErrStructure, tag, TagEnvelope)
	}
	return raw[r.off:], true, nil
}

// add takes up one member of the envelope.
func (e *Envelope) add(p pair) error {
	content, err := p.value.bytes()
	if p.key.major() == majorText {
		name, nameErr := p.key.text()
		if nameErr != nil || err != nil {
			return fmt.Errorf("%w: integrated payload %q is not a byte string", ErrStructure, name)
		}
		e.Integrated[name] = content
		return nil
	}
	key, keyErr := p.key.int()
	if keyErr != nil {
		return fmt.Errorf("envelope key: %w", keyErr)
	}
	if err != nil {
		return fmt.Errorf("envelope element %d: %w", key, err)
	}
	switch Element(key) {
	case ElementAuthentication:
		return e.authentication(content)
	case ElementManifest:
		e.RawManifest = content
	case ElementCoSWID, ElementDependencies, ElementPayloadFetch, ElementCandidate, ElementInstall, ElementText:
		e.Severable[Element(key)] = content
	default:
		return fmt.Errorf("%w: unknown envelope element %d", ErrStructure, key)
	}
	return nil
}

// authentication reads the wrapper (§8.3): the wrapped digest of the manifest
// and any number of wrapped COSE messages.
func (e *Envelope) authentication(content item) error {
	if err := check(content); err != nil {
		return fmt.Errorf("authentication wrapper: %w", err)
	}
	members, err := content.array()
	if err != nil || len(members) == 0 || len(members) > maxBlocks+1 {
		return fmt.Errorf("%w: authentication wrapper of %d items", ErrStructure, len(members))
	}
	for i, m := range members {
		block, err := m.bytes()
		if err != nil {
			return fmt.Errorf("authentication block %d: %w", i, err)
		}
		if i > 0 {
			e.Blocks = append(e.Blocks, block)
			continue
		}
		e.RawDigest = block
		if e.Digest, err = ParseDigest(block); err != nil {
			return fmt.Errorf("manifest digest: %w", err)
		}
	}
	return nil
}

// VerifyDigest compares the digest of the wrapper with the manifest, its byte
// string header included (§8.3). Only the algorithms named are accepted, SHA-256
// if none is. It returns ErrAlgorithm or ErrDigest.
func (e *Envelope) VerifyDigest(allowed ...DigestAlgorithm) error {
	return e.Digest.Verify(wrap(e.RawManifest), orSHA256(allowed)...)
}

func orSHA256(allowed []DigestAlgorithm) []DigestAlgorithm {
	if len(allowed) == 0 {
		return []DigestAlgorithm{SHA256}
	}
	return allowed
}

// Encode returns the envelope in deterministic form. The manifest, the digest
// and the blocks are copied as they are, so that signatures stay valid.
func (e *Envelope) Encode() []byte {
	wrapper := appendHead(nil, majorArray, uint64(1+len(e.Blocks)))
	wrapper = appendBytes(wrapper, e.RawDigest)
	for _, b := range e.Blocks {
		wrapper = appendBytes(wrapper, b)
	}
	pairs := []pair{
		{key: intKey(int64(ElementAuthentication)), value: wrap(wrapper)},
		{key: intKey(int64(ElementManifest)), value: wrap(e.RawManifest)},
	}
	for element, content := range e.Severable {
		pairs = append(pairs, pair{key: intKey(int64(element)), value: wrap(content)})
	}
	for name, content := range e.Integrated {
		pairs = append(pairs, pair{key: encodeText(name), value: wrap(content)})
	}
	var b []byte
	if e.Tagged {
		b = appendHead(nil, majorTag, TagEnvelope)
	}
	return appendMap(b, pairs)
}

// Sever drops the content of a severable element (§8.6). Signatures stay valid,
// for the manifest holds the digest.
func (e *Envelope) Sever(element Element) { delete(e.Severable, element) }
