package dcbor_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"steward/lwm2m/dcbor"
)

type body struct {
	A uint64   `cbor:"1,keyasint"`
	B []uint64 `cbor:"2,keyasint,omitempty"`
	C string   `cbor:"24,keyasint,omitempty"`
}

var codec = dcbor.New(dcbor.Limits{Depth: 4, Elements: 16, Pairs: 16})

// TestRead has a row for each form that is refused; the first is the one that is not.
func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		form      bool // ErrForm, not an error of the library
		ok        bool
	}{
		{name: "as written", raw: "a301010281031818" + "6178", ok: true},
		{name: "a longer integer", raw: "a1011801", form: true},
		{name: "unsorted", raw: "a202810301" + "01", form: true},
		{name: "null for an absent member", raw: "a2010102f6", form: true},
		{name: "a missing member", raw: "a0", form: true},
		{name: "a key twice", raw: "a201010102"},
		{name: "an unknown member", raw: "a201010301"},
		{name: "indefinite", raw: "bf0101ff"},
		{name: "a tag", raw: "c1a10101"},
		{name: "17 elements", raw: "a2010102910101010101010101010101010101010101"},
		{name: "more behind it", raw: "a1010100"},
		{name: "cut", raw: "a101"},
	} {
		raw, err := hex.DecodeString(tt.raw)
		if err != nil {
			t.Fatal(err)
		}
		var b body
		err = codec.Read(raw, &b)
		if (err == nil) != tt.ok || errors.Is(err, dcbor.ErrForm) != tt.form {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// FuzzRead: what is read is written as it was.
func FuzzRead(f *testing.F) {
	f.Add([]byte{0xa1, 1, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b body
		if codec.Read(raw, &b) != nil {
			return
		}
		if again, err := codec.Marshal(b); err != nil || string(again) != string(raw) {
			t.Errorf("%x becomes %x, %v", raw, again, err)
		}
	})
}
