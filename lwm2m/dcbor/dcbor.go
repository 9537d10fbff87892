// Package dcbor reads and writes structs in deterministic CBOR (RFC 8949 §4.2.1),
// strictly and within bounds, for what is signed: one value has one encoding.
package dcbor

import (
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// ErrForm reports CBOR that is well-formed but not the deterministic encoding of what
// it says: longer integers, unsorted maps, null for an absent member, or a missing
// one that is not optional.
var ErrForm = errors.New("not the deterministic encoding")

// Limits bound what is read, before anything is allocated. Zero fields take the
// library's defaults, 32 levels and 131,072 elements and pairs.
type Limits struct {
	Depth    int // levels of nesting, 4 at least
	Elements int // of one array
	Pairs    int // of one map
}

// A Codec is safe for concurrent use. Tags, indefinite lengths, duplicate keys and
// members that the struct does not have are refused.
type Codec struct {
	enc cbor.EncMode
	dec cbor.DecMode
}

// New returns a Codec. Limits are constants of the program: it panics where the
// library refuses them.
func New(l Limits) Codec {
	enc, err := cbor.EncOptions{
		Sort: cbor.SortCoreDeterministic, IndefLength: cbor.IndefLengthForbidden,
		NilContainers: cbor.NilContainerAsEmpty, TagsMd: cbor.TagsForbidden,
	}.EncMode()
	if err != nil {
		panic(err)
	}
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: l.Depth, MaxArrayElements: l.Elements, MaxMapPairs: l.Pairs,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return Codec{enc, dec}
}

// Marshal returns v encoded.
func (c Codec) Marshal(v any) ([]byte, error) { return c.enc.Marshal(v) }

// Unmarshal reads raw into v, for parts whose whole is read by Read.
func (c Codec) Unmarshal(raw []byte, v any) error { return c.dec.Unmarshal(raw, v) }

// UnmarshalFirst reads the first item of a sequence (RFC 8742) and returns the rest.
func (c Codec) UnmarshalFirst(raw []byte, v any) (rest []byte, err error) {
	return c.dec.UnmarshalFirst(raw, v)
}

// Decoder returns what reads a sequence of items (RFC 8742) from r. Each is to be read
// into a cbor.RawMessage and then by Read, which alone looks at its form.
func (c Codec) Decoder(r io.Reader) *cbor.Decoder { return c.dec.NewDecoder(r) }

// Read reads raw into v and returns ErrForm unless encoding v again gives raw.
func (c Codec) Read(raw []byte, v any) error {
	if err := c.dec.Unmarshal(raw, v); err != nil {
		return err
	}
	again, err := c.enc.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	if string(again) != string(raw) {
		return ErrForm
	}
	return nil
}
