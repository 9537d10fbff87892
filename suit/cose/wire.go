package cose

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// A Kind is the tag of a COSE message (§2).
type Kind uint64

// The kinds of message that occur in signed documents.
const (
	KindUntagged Kind = 0
	KindMac0     Kind = TagMac0
	KindSign1    Kind = TagSign1
	KindEncrypt  Kind = TagEncrypt
	KindMac      Kind = TagMac
	KindSign     Kind = TagSign
)

// KindOf returns the tag in front of raw, KindUntagged if there is an array
// without one. It looks at no more than the first bytes and returns ErrSyntax
// if they are neither.
func KindOf(raw []byte) (Kind, error) {
	switch {
	case len(raw) == 0:
	case raw[0]>>5 == majorArray:
		return KindUntagged, nil
	case raw[0]>>5 == majorTag && raw[0]&0x1f < oneByte:
		return Kind(raw[0] & 0x1f), nil
	case raw[0] == majorTag<<5|oneByte && len(raw) > 1 && raw[1] >= oneByte:
		return Kind(raw[1]), nil
	}
	return 0, fmt.Errorf("%w: neither array nor known tag", ErrSyntax)
}

const (
	majorTag = 6
	oneByte  = 24 // the additional information that announces one byte
)

// untag takes the tag want off raw, if there is one; another tag is ErrSyntax.
func untag(raw []byte, want Kind) (body []byte, tagged bool, err error) {
	if len(raw) > MaxMessage {
		return nil, false, fmt.Errorf("%w: %d bytes", ErrSyntax, len(raw))
	}
	kind, err := KindOf(raw)
	switch {
	case err != nil:
		return nil, false, err
	case kind == KindUntagged:
		return raw, false, nil
	case kind != want:
		return nil, false, fmt.Errorf("%w: tag %d, not %d", ErrSyntax, kind, want)
	case kind < oneByte:
		return raw[1:], true, nil
	}
	return raw[2:], true, nil
}

// decodeMessage reads the array raw into wire and compares its re-encoding:
// that refuses whatever the decoder lets pass, such as undefined for null.
func decodeMessage(raw []byte, wire any) error {
	if err := deterministic.dec.Unmarshal(raw, wire); err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	again, err := deterministic.enc.Marshal(wire)
	if err != nil || !bytes.Equal(again, raw) {
		return fmt.Errorf("%w: not deterministic", ErrSyntax)
	}
	return nil
}

// encodeMessage encodes wire with or without its tag.
func encodeMessage(wire any, tag uint64, tagged bool) ([]byte, error) {
	if tagged {
		wire = cbor.Tag{Number: tag, Content: wire}
	}
	raw, err := deterministic.enc.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return raw, nil
}

// emptyMap is the encoded unprotected map of all messages made here.
func emptyMap() cbor.RawMessage { return cbor.RawMessage{majorMap << 5} }
