package coap_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"steward/lwm2m/coap"
)

// wireMessages are datagrams and what they say.
var wireMessages = []struct {
	name string
	in   string
	want coap.Message
}{
	{"RFC 7252 Figure 16, request", "40017d34 bb74656d7065726174757265", coap.Message{
		Code: coap.GET, ID: 0x7d34, Options: []coap.Option{{ID: 11, Value: []byte("temperature")}},
	}},
	{"RFC 7252 Figure 16, response", "60457d34 ff32322e332043", coap.Message{
		Type: coap.ACK, Code: coap.Content, ID: 0x7d34, Payload: []byte("22.3 C"),
	}},
	{"RFC 7252 Figure 17, request", "41017d35 20 bb74656d7065726174757265", coap.Message{
		Code: coap.GET, ID: 0x7d35, Token: []byte{0x20}, Options: []coap.Option{{ID: 11, Value: []byte("temperature")}},
	}},
	{"RFC 7252 Figure 17, response", "61457d35 20 ff32322e332043", coap.Message{
		Type: coap.ACK, Code: coap.Content, ID: 0x7d35, Token: []byte{0x20}, Payload: []byte("22.3 C"),
	}},
	{"RFC 7252 Figure 20, empty acknowledgement", "60007d38", coap.Message{Type: coap.ACK, ID: 0x7d38}},
	{"LwM2M vectors, POST /1/0/8", "4402b60b 2161fb63 b131 0130 0138", coap.Message{
		Code: coap.POST, ID: 46603, Token: []byte{0x21, 0x61, 0xfb, 0x63},
		Options: []coap.Option{{ID: 11, Value: []byte("1")}, {ID: 11, Value: []byte("0")}, {ID: 11, Value: []byte("8")}},
	}},
	{"reset", "7000ffff", coap.Message{Type: coap.RST, ID: 0xffff}},
	{"option value ends with the marker's byte", "40010001 b1ff", coap.Message{
		Code: coap.GET, ID: 1, Options: []coap.Option{{ID: 11, Value: []byte{0xff}}},
	}},
	{"extended delta and length", "50010001 ed0017 03" + strings.Repeat("61", 16), coap.Message{
		Type: coap.NON, Code: coap.GET, ID: 1,
		Options: []coap.Option{{ID: 292, Value: bytes.Repeat([]byte("a"), 16)}},
	}},
	{"code of a reserved class", "40e10001", coap.Message{Code: 0xe1, ID: 1}},
}

func TestParse(t *testing.T) {
	for _, tt := range wireMessages {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.in)
			got, err := coap.Parse(in)
			if err != nil || !same(got, tt.want) {
				t.Errorf("Parse(%x) = %+v, %v, want %+v", in, got, err, tt.want)
			}
			if out, err := tt.want.Append([]byte("pre")); err != nil || string(out) != "pre"+string(in) {
				t.Errorf("Append = %x, %v, want %x", out, err, in)
			}
		})
	}
}

// same compares messages; nil and empty slices are equal.
func same(a, b coap.Message) bool {
	if len(a.Options) == 0 && len(b.Options) == 0 {
		a.Options, b.Options = nil, nil
	}
	if len(a.Options) != len(b.Options) || !bytes.Equal(a.Token, b.Token) || !bytes.Equal(a.Payload, b.Payload) {
		return false
	}
	for i, o := range a.Options {
		if o.ID != b.Options[i].ID || !bytes.Equal(o.Value, b.Options[i].Value) {
			return false
		}
	}
	a.Options, b.Options, a.Token, b.Token, a.Payload, b.Payload = nil, nil, nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

// badMessages are datagrams that Parse refuses.
var badMessages = []struct {
	name string
	in   string
	err  error
}{
	{"nothing", "", coap.ErrShort},
	{"three bytes", "400100", coap.ErrShort},
	{"version 0", "00010001", coap.ErrWireVersion},
	{"version 2", "80010001", coap.ErrWireVersion},
	{"token of 9 bytes", "49010001 010203040506070809", coap.ErrTokenLength},
	{"token truncated", "44010001 010203", coap.ErrShort},
	{"empty with token", "41000001 01", coap.ErrNotEmpty},
	{"empty with payload", "60000001 ff01", coap.ErrNotEmpty},
	{"option truncated", "40010001 b574", coap.ErrOptionForm},
	{"extended delta truncated", "40010001 d0", coap.ErrOptionForm},
	{"extended length truncated", "40010001 0e01", coap.ErrOptionForm},
	{"delta 15", "40010001 f101", coap.ErrOptionForm},
	{"length 15", "40010001 1f01", coap.ErrOptionForm},
	{"number above 65535", "40010001 e0fff0 e0fff1", coap.ErrOptionForm},
	{"65 options", "40010001" + strings.Repeat("10", 65), coap.ErrOptionForm},
	{"marker without payload", "40010001 ff", coap.ErrNoPayload},
	{"marker without payload behind an option", "40010001 b161 ff", coap.ErrNoPayload},
}

func TestParseBad(t *testing.T) {
	for _, tt := range badMessages {
		t.Run(tt.name, func(t *testing.T) {
			_, err := coap.Parse(unhex(t, tt.in))
			if !errors.Is(err, tt.err) || !errors.Is(err, coap.ErrMessage) {
				t.Errorf("Parse(%s) = %v, want %v", tt.in, err, tt.err)
			}
		})
	}
}

func TestAppendBad(t *testing.T) {
	if _, err := (coap.Message{Token: make([]byte, 9), Code: coap.GET}).Append(nil); !errors.Is(err, coap.ErrTokenLength) {
		t.Errorf("long token: %v", err)
	}
	if _, err := (coap.Message{Payload: []byte("x")}).Append(nil); !errors.Is(err, coap.ErrNotEmpty) {
		t.Errorf("empty with payload: %v", err)
	}
	m := coap.Message{Code: coap.GET, Options: []coap.Option{{ID: 15, Value: []byte("b")}, {ID: 11, Value: []byte("a")}}}
	d, err := m.Append(nil)
	if err != nil || !bytes.Equal(d, unhex(t, "40010000 b161 4162")) || m.Options[0].ID != 15 {
		t.Errorf("unsorted options: %x, %v", d, err)
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		coap.Content.String():                 "2.05",
		coap.RequestEntityIncomplete.String(): "4.08",
		coap.ProxyingNotSupported.String():    "5.05",
		coap.IPATCH.String():                  "0.07",
		coap.NON.String():                     "NON",
		coap.FormatID(112).String():           "112",
		coap.Format{}.String():                "",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range wireMessages {
		f.Add(unhex(f, tt.in))
	}
	for _, tt := range badMessages {
		f.Add(unhex(f, tt.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := coap.Parse(in)
		if err != nil {
			return
		}
		out, err := m.Append(nil)
		if err != nil {
			t.Fatalf("Append after Parse(%x): %v", in, err)
		}
		if len(out) > len(in) {
			t.Fatalf("Parse(%x) grew to %x", in, out)
		}
		// Equal lengths mean that no option of number 0 was dropped.
		if len(out) == len(in) && !bytes.Equal(out, in) {
			t.Fatalf("Parse(%x) became %x", in, out)
		}
		again, err := coap.Parse(out)
		if err != nil || !same(m, again) {
			t.Fatalf("Parse(%x) = %+v, then %+v, %v", in, m, again, err)
		}
	})
}
