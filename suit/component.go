package suit

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxSegments = 16  // of a component identifier; TEEP's have 4
	maxSegment  = 255 // bytes
)

// A ComponentID names a component of a device (§8.4.4): a list of byte strings,
// held in its encoded form so that identifiers are comparable. The zero value
// names nothing.
type ComponentID string

// NewComponentID returns the identifier made of segments.
func NewComponentID(segments ...[]byte) ComponentID {
	b := appendHead(nil, majorArray, uint64(len(segments)))
	for _, s := range segments {
		b = appendBytes(b, s)
	}
	return ComponentID(b)
}

// ComponentPath returns the identifier with the segments of a text such as
// "fw" or "modem/main". The empty text gives an identifier without segments.
func ComponentPath(text string) ComponentID {
	if text == "" {
		return NewComponentID()
	}
	parts := strings.Split(text, "/")
	segments := make([][]byte, 0, len(parts))
	for _, p := range parts {
		segments = append(segments, []byte(p))
	}
	return NewComponentID(segments...)
}

// Segments returns the byte strings of id.
func (id ComponentID) Segments() [][]byte {
	members, err := item(id).safeArray()
	if err != nil {
		return nil
	}
	segments := make([][]byte, 0, len(members))
	for _, m := range members {
		content, err := m.bytes()
		if err != nil {
			return nil
		}
		segments = append(segments, bytes.Clone(content))
	}
	return segments
}

// String returns the segments, joined by slashes: as text where they are
// printable, otherwise in hexadecimal. It is for people; it may be ambiguous.
func (id ComponentID) String() string {
	segments := id.Segments()
	parts := make([]string, 0, len(segments))
	for _, s := range segments {
		if printable(s) {
			parts = append(parts, string(s))
			continue
		}
		parts = append(parts, hex.EncodeToString(s))
	}
	return strings.Join(parts, "/")
}

// printable reports whether s can be shown as text without confusing anyone.
func printable(s []byte) bool {
	if len(s) == 0 || !utf8.Valid(s) {
		return false
	}
	for _, r := range string(s) {
		if !unicode.IsPrint(r) || r == '/' {
			return false
		}
	}
	return true
}

// HasPrefix reports whether the segments of id begin with those of prefix.
func (id ComponentID) HasPrefix(prefix ComponentID) bool {
	own, wanted := id.Segments(), prefix.Segments()
	if prefix == "" || len(own) < len(wanted) {
		return false
	}
	for i, s := range wanted {
		if !bytes.Equal(own[i], s) {
			return false
		}
	}
	return true
}

// safeArray is array for input that check has not seen.
func (i item) safeArray() ([]item, error) {
	if err := check(i); err != nil {
		return nil, err
	}
	return i.array()
}

// componentOf reads one component identifier.
func componentOf(i item) (ComponentID, error) {
	members, err := i.array()
	if err != nil {
		return "", fmt.Errorf("component identifier: %w", err)
	}
	if len(members) > maxSegments {
		return "", fmt.Errorf("%w: component identifier of %d segments", ErrStructure, len(members))
	}
	for _, m := range members {
		segment, err := m.bytes()
		if err != nil {
			return "", fmt.Errorf("component identifier: %w", err)
		}
		if len(segment) > maxSegment {
			return "", fmt.Errorf("%w: component identifier segment of %d bytes", ErrStructure, len(segment))
		}
	}
	return ComponentID(i), nil
}

// componentsOf reads the list of components, which are at least one and differ.
func componentsOf(i item) ([]ComponentID, error) {
	members, err := i.array()
	if err != nil {
		return nil, fmt.Errorf("components: %w", err)
	}
	if len(members) == 0 || len(members) > MaxComponents {
		return nil, fmt.Errorf("%w: %d components", ErrStructure, len(members))
	}
	ids := make([]ComponentID, 0, len(members))
	seen := make(map[ComponentID]bool, len(members))
	for _, m := range members {
		id, err := componentOf(m)
		if err != nil {
			return nil, err
		}
		if seen[id] {
			return nil, fmt.Errorf("%w: component %v twice", ErrStructure, id)
		}
		seen[id] = true
		ids = append(ids, id)
	}
	return ids, nil
}
