package estcoap_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"steward/est/estcoap"
)

func TestMultipart(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string // hex
		want []estcoap.Part
		err  error
	}{
		{
			"RFC 8710 §2: formats 42 and 0", "8418 2a 43 012345 00 46 3031323334 35",
			[]estcoap.Part{{Format: 42, Body: []byte{1, 0x23, 0x45}}, {Body: []byte("012345")}},
			nil,
		},
		{"RFC 9148 §5.8: key and certificate", "84 19011c 42 3000 19011f 41 30", []estcoap.Part{
			{Format: 284, Body: []byte{0x30, 0}}, {Format: 287, Body: []byte{0x30}},
		}, nil},
		{"nothing", "80", []estcoap.Part{}, nil},
		{"absent part", "82 19011f f6", []estcoap.Part{{Format: 287}}, nil},
		{"empty part", "82 19011f 40", []estcoap.Part{{Format: 287, Body: []byte{}}}, nil},
		{"empty input", "", nil, estcoap.ErrMultipart},
		{"map", "a1 00 40", nil, estcoap.ErrMultipart},
		{"odd", "81 00", nil, estcoap.ErrMultipart},
		{"text", "82 00 61 41", nil, estcoap.ErrMultipart},
		{"indefinite array", "9f 00 40 ff", nil, estcoap.ErrMultipart},
		{"indefinite bytes", "82 00 5f 41 00 ff", nil, estcoap.ErrMultipart},
		{"long form of 0", "82 1800 40", nil, estcoap.ErrMultipart},
		{"eight bytes", "82 1b0000000000000000 40", nil, estcoap.ErrMultipart},
		{"format of 17 bits", "82 1a00010000 40", nil, estcoap.ErrMultipart},
		{"truncated body", "82 00 42 00", nil, estcoap.ErrMultipart},
		{"truncated head", "82 19 01", nil, estcoap.ErrMultipart},
		{"length of 4 GiB", "82 00 5affffffff", nil, estcoap.ErrMultipart},
		{"array of 4 GiB", "9afffffffe", nil, estcoap.ErrMultipart},
		{"nine parts", "92" + strings.Repeat("0040", 9), nil, estcoap.ErrMultipart},
		{"trailing byte", "80 00", nil, estcoap.ErrMultipart},
		{"null for a format", "82 f6 40", nil, estcoap.ErrMultipart},
	} {
		in, err := hex.DecodeString(strings.ReplaceAll(tt.in, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := estcoap.DecodeMultipart(in)
		if !errors.Is(err, tt.err) || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: DecodeMultipart = %v, %v, want %v, %v", tt.name, got, err, tt.want, tt.err)
		}
		if err == nil && !bytes.Equal(estcoap.EncodeMultipart(got...), in) {
			t.Errorf("%s: encode of decode = %x", tt.name, estcoap.EncodeMultipart(got...))
		}
	}
	if _, err := estcoap.DecodeMultipart(make([]byte, 1<<17)); !errors.Is(err, estcoap.ErrMultipart) {
		t.Errorf("huge: %v", err)
	}
	for _, size := range []int{23, 24, 255, 256, 65535} {
		part := estcoap.Part{Format: 284, Body: make([]byte, size)}
		got, err := estcoap.DecodeMultipart(estcoap.EncodeMultipart(part))
		if size == 65535 { // more than the message may have
			if !errors.Is(err, estcoap.ErrMultipart) {
				t.Errorf("%d bytes: %v", size, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, []estcoap.Part{part}) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// FuzzDecodeMultipart: no panic, bounded, and what was read is written the same.
func FuzzDecodeMultipart(f *testing.F) {
	f.Add(estcoap.EncodeMultipart(estcoap.Part{Format: 284, Body: []byte{0x30}}, estcoap.Part{Format: 287}))
	f.Add([]byte{0x9a, 0xff, 0xff, 0xff, 0xfe})
	f.Add([]byte{0x82, 0x00, 0x5a, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := estcoap.DecodeMultipart(in)
		if err != nil {
			return
		}
		if len(got) > 8 || !bytes.Equal(estcoap.EncodeMultipart(got...), in) {
			t.Errorf("%d parts, encode of decode = %x, want %x", len(got), estcoap.EncodeMultipart(got...), in)
		}
	})
}
