package cose

import (
	"bytes"
	"fmt"
	"maps"

	"github.com/fxamacker/cbor/v2"
)

// Headers are the two header maps of a message or of one of its signatures.
// Labels are int64 or string.
type Headers struct {
	raw         []byte // the content of the protected byte string
	protected   map[any]cbor.RawMessage
	unprotected map[any]cbor.RawMessage
}

// RawProtected returns the encoded protected map as it was signed, empty if
// there is none. The caller must not change it.
func (h *Headers) RawProtected() []byte { return h.raw }

// Protected returns the encoded value of a protected parameter; ok is false if
// it is absent. label is an int64 or a string. The caller must not change it.
func (h *Headers) Protected(label any) (value []byte, ok bool) {
	value, ok = h.protected[label]
	return value, ok
}

// Bare reports whether the algorithm and the key identifier are protected and nothing
// else is in either map.
func (h *Headers) Bare() bool {
	_, kid := h.protected[LabelKeyID]
	return kid && h.Algorithm() != 0 && len(h.protected) == 2 && len(h.unprotected) == 0
}

// Algorithm returns the protected algorithm; zero if there is none.
func (h *Headers) Algorithm() Algorithm {
	var alg int64
	if err := deterministic.dec.Unmarshal(h.protected[LabelAlgorithm], &alg); err != nil {
		return 0
	}
	return Algorithm(alg)
}

// KeyID returns the key identifier, protected or not; nil if there is none. It
// is a hint for the look-up of a key and proves nothing.
func (h *Headers) KeyID() []byte {
	value, ok := h.protected[LabelKeyID]
	if !ok {
		value = h.unprotected[LabelKeyID]
	}
	var kid []byte
	if err := deterministic.dec.Unmarshal(value, &kid); err != nil {
		return nil
	}
	return kid
}

// parseSigned reads the headers beside a signature, which must name an
// algorithm.
func parseSigned(protected, unprotected, signature []byte, understood []int64) (Headers, error) {
	if len(signature) == 0 {
		return Headers{}, fmt.Errorf("%w: empty", ErrSignature)
	}
	h, err := parseHeaders(protected, unprotected, understood)
	if err != nil {
		return Headers{}, err
	}
	return h, h.needAlgorithm()
}

// parseHeaders reads both maps, checks that they are deterministic and share no
// label, that the algorithm is protected, and that crit names only labels in
// understood (§3.1).
func parseHeaders(protected, unprotected []byte, understood []int64) (Headers, error) {
	h, err := parseMaps(protected, unprotected, true, understood)
	if err != nil {
		return Headers{}, err
	}
	if _, open := h.unprotected[LabelAlgorithm]; open {
		return Headers{}, fmt.Errorf("%w: algorithm not protected", ErrHeader)
	}
	return h, nil
}

// parseMaps is parseHeaders for messages whose algorithm cannot be protected.
// Senders of those do not sort the unprotected map, on which nothing depends.
func parseMaps(protected, unprotected []byte, sorted bool, understood []int64) (Headers, error) {
	if protected == nil {
		return Headers{}, fmt.Errorf("%w: null for the protected map", ErrSyntax)
	}
	h := Headers{raw: protected, protected: map[any]cbor.RawMessage{}}
	var err error
	if len(protected) > 0 {
		if h.protected, err = parseMap(protected, true); err != nil {
			return Headers{}, fmt.Errorf("protected: %w", err)
		}
		// An empty map is written as an empty string (§3): one spelling only.
		if len(h.protected) == 0 {
			return Headers{}, fmt.Errorf("%w: empty protected map", ErrSyntax)
		}
	}
	if h.unprotected, err = parseMap(unprotected, sorted); err != nil {
		return Headers{}, fmt.Errorf("unprotected: %w", err)
	}
	for label := range h.unprotected {
		if _, both := h.protected[label]; both {
			return Headers{}, fmt.Errorf("%w: label %v in both maps", ErrHeader, label)
		}
	}
	if err := h.checkTypes(); err != nil {
		return Headers{}, err
	}
	return h, h.checkCritical(understood)
}

// parseMap reads one header map and, if sorted, compares it with its re-encoding.
func parseMap(raw []byte, sorted bool) (map[any]cbor.RawMessage, error) {
	if len(raw) > maxHeader {
		return nil, fmt.Errorf("%w: header of %d bytes", ErrSyntax, len(raw))
	}
	if len(raw) == 0 || raw[0]>>5 != majorMap {
		return nil, fmt.Errorf("%w: header is not a map", ErrSyntax)
	}
	if members := smallMap(raw); members != nil {
		return members, nil
	}
	var values map[any]any
	if err := deterministic.dec.Unmarshal(raw, &values); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	again, err := deterministic.enc.Marshal(values)
	if err != nil || sorted && !bytes.Equal(again, raw) {
		return nil, fmt.Errorf("%w: header is not deterministic", ErrSyntax)
	}
	var members map[any]cbor.RawMessage
	if err := deterministic.dec.Unmarshal(raw, &members); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	for label := range maps.Keys(members) {
		switch label.(type) {
		case int64, string:
		default:
			return nil, fmt.Errorf("%w: label of type %T", ErrHeader, label)
		}
	}
	return members, nil
}

// smallMap reads the two maps that nearly all messages have, the empty one and
// that with an algorithm only, without a general decoder. It returns nil for
// others.
func smallMap(raw []byte) map[any]cbor.RawMessage {
	const algorithmOnly, minimum = majorMap<<5 | 1, 3
	switch {
	case len(raw) == 1 && raw[0] == majorMap<<5:
		return map[any]cbor.RawMessage{}
	case len(raw) < minimum || raw[0] != algorithmOnly || int64(raw[1]) != LabelAlgorithm:
		return nil
	}
	value := raw[2:]
	short := len(value) == 1 && value[0]&0x1f < oneByte
	long := len(value) == 2 && value[0]&0x1f == oneByte && value[1] >= oneByte
	if value[0]>>5 > 1 || !short && !long { // majors 0 and 1 are integers
		return nil
	}
	return map[any]cbor.RawMessage{LabelAlgorithm: bytes.Clone(value)}
}

// majorMap and majorArray are major types (RFC 8949 §3.1).
const (
	majorBytes = 2
	majorArray = 4
	majorMap   = 5
)

// checkTypes refuses a key identifier that is not a byte string.
func (h *Headers) checkTypes() error {
	for _, members := range []map[any]cbor.RawMessage{h.protected, h.unprotected} {
		if kid, ok := members[LabelKeyID]; ok && kid[0]>>5 != majorBytes {
			return fmt.Errorf("%w: kid is not a byte string", ErrHeader)
		}
	}
	return nil
}

// checkCritical applies §3.1: crit is protected, not empty, and each label it
// names is present and understood.
func (h *Headers) checkCritical(understood []int64) error {
	if _, open := h.unprotected[LabelCritical]; open {
		return fmt.Errorf("%w: crit is not protected", ErrCritical)
	}
	raw, ok := h.protected[LabelCritical]
	if !ok {
		return nil
	}
	var labels []any
	if err := deterministic.dec.Unmarshal(raw, &labels); err != nil || len(labels) == 0 {
		return fmt.Errorf("%w: crit is not a list of labels", ErrCritical)
	}
	known := map[any]bool{LabelAlgorithm: true, LabelKeyID: true}
	for _, label := range understood {
		known[label] = true
	}
	for _, label := range labels {
		switch label.(type) {
		case int64, string:
		default:
			return fmt.Errorf("%w: label of type %T", ErrCritical, label)
		}
		if _, present := h.protected[label]; !present || !known[label] {
			return fmt.Errorf("%w: label %v", ErrCritical, label)
		}
	}
	return nil
}

// needAlgorithm returns ErrHeader without an algorithm and ErrAlgorithm for one
// that this package does not implement.
func (h *Headers) needAlgorithm() error {
	raw, ok := h.protected[LabelAlgorithm]
	if !ok {
		return fmt.Errorf("%w: no algorithm", ErrHeader)
	}
	if alg := h.Algorithm(); !alg.Supported() {
		return fmt.Errorf("%w: %x", ErrAlgorithm, []byte(raw))
	}
	return nil
}

// protect encodes the protected map of a signature: extra, the algorithm and
// the key identifier. It returns ErrOptions if extra names one of those.
func protect(alg Algorithm, kid []byte, extra map[int64]any) ([]byte, error) {
	members := make(map[int64]any, len(extra)+2)
	maps.Copy(members, extra)
	for _, label := range []int64{LabelAlgorithm, LabelKeyID} {
		if _, taken := members[label]; taken {
			return nil, fmt.Errorf("%w: label %d is set by the signer", ErrOptions, label)
		}
	}
	members[LabelAlgorithm] = int64(alg)
	if len(kid) > 0 {
		members[LabelKeyID] = kid
	}
	return encodeMap(members)
}

// encodeMap encodes a protected map; an empty one is an empty string (§3).
func encodeMap(members map[int64]any) ([]byte, error) {
	if len(members) == 0 {
		return []byte{}, nil
	}
	raw, err := deterministic.enc.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return raw, nil
}
