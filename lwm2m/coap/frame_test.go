package coap_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"steward/lwm2m/coap"
)

func TestParseFrame(t *testing.T) {
	long := strings.Repeat("ab", 300)
	tests := []struct {
		name, in string
		code     coap.Code
		token    string
		payload  string
		err      error
	}{
		{name: "RFC 8323 §3.2, ping with token 42", in: "01e242", code: coap.Ping, token: "42"},
		{name: "RFC 8323 §3.4, empty message", in: "0000", code: coap.Empty},
		{
			name: "13 bytes behind the token", in: "d10045aaff" + strings.Repeat("01", 12),
			code: coap.Content, token: "aa", payload: strings.Repeat("01", 12),
		},
		{name: "301 bytes behind the token", in: "e0002045ff" + long, code: coap.Content, payload: long},
		{name: "no bytes", in: "", err: coap.ErrShort},
		{name: "code missing", in: "00", err: coap.ErrShort},
		{name: "token longer than 8", in: "0901010203040506070809", err: coap.ErrTokenLength},
		{name: "shorter than it says", in: "2045ff", err: coap.ErrShort},
		{name: "longer than it says", in: "004500", err: coap.ErrShort},
		{name: "marker without payload", in: "1045ff", err: coap.ErrNoPayload},
		{name: "option truncated", in: "1001b5", err: coap.ErrOptionForm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := coap.ParseFrame(unhex(t, tt.in))
			if !errors.Is(err, tt.err) {
				t.Fatalf("ParseFrame = %v, want %v", err, tt.err)
			}
			if err == nil && (m.Code != tt.code || !bytes.Equal(m.Token, unhex(t, tt.token)) ||
				!bytes.Equal(m.Payload, unhex(t, tt.payload)) || m.Type != coap.NON) {
				t.Errorf("ParseFrame = %+v", m)
			}
		})
	}
}

func TestFrameLength(t *testing.T) {
	tests := []struct {
		in   string
		want int
		ok   bool
		err  error
	}{
		{in: "", ok: false},
		{in: "d0", ok: false},
		{in: "e000", ok: false},
		{in: "f0000000", ok: false},
		{in: "0f", err: coap.ErrTokenLength},
		{in: "c8", want: 22, ok: true},
		{in: "d000", want: 16, ok: true},
		{in: "e20000", want: 275, ok: true},
		{in: "f000000000", want: 65811, ok: true},
		{in: "f8ffffffff", want: math.MaxInt32, ok: true},
	}
	for _, tt := range tests {
		n, ok, err := coap.FrameLength(unhex(t, tt.in))
		if n != tt.want || ok != tt.ok || !errors.Is(err, tt.err) {
			t.Errorf("FrameLength(%s) = %d, %v, %v, want %d, %v, %v", tt.in, n, ok, err, tt.want, tt.ok, tt.err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	said := coap.Capabilities{MaxMessageSize: 1152, BlockWise: true}
	d, err := said.Message().Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := coap.AppendFrame(nil, d), unhex(t, "40e122048020"); !bytes.Equal(got, want) {
		t.Errorf("CSM = %x, want %x", got, want)
	}
	heard, err := coap.Capabilities{MaxMessageSize: 9}.With(said.Message())
	if err != nil || heard != said {
		t.Errorf("With = %+v, %v, want %+v", heard, err, said)
	}
	if heard, err = heard.With(coap.Message{Options: []coap.Option{{ID: 6}}}); err != nil || heard != said {
		t.Errorf("elective option: %+v, %v, want %+v", heard, err, said)
	}
	if _, err = heard.With(coap.Message{Options: []coap.Option{{ID: 5}}}); !errors.Is(err, coap.ErrOption) {
		t.Errorf("critical option: %v, want ErrOption", err)
	}
}

// FuzzFrame: what is a frame is the frame of the datagram that says the same.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{"01e242", "0000", "40e122048020", "d10045aaff010101010101010101010101", "f8ffffffff"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := coap.ParseFrame(in)
		if err != nil || m.Code == coap.Empty {
			return
		}
		d, err := m.Append(nil)
		if err != nil {
			t.Fatalf("%x: %v", in, err)
		}
		frame := coap.AppendFrame(nil, d)
		again, err := coap.ParseFrame(frame)
		if err != nil || again.Code != m.Code || !bytes.Equal(again.Token, m.Token) ||
			!bytes.Equal(again.Payload, m.Payload) || len(again.Options) != len(m.Options) {
			t.Fatalf("%x became %x: %+v, %v", in, frame, again, err)
		}
		if n, ok, err := coap.FrameLength(frame[:min(len(frame), 6)]); n != len(frame) || !ok || err != nil {
			t.Fatalf("FrameLength = %d, %v, %v, want %d", n, ok, err, len(frame))
		}
	})
}
