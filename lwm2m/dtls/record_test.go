package dtls_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"steward/lwm2m/dtls"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestParseRecord(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     dtls.Record
		rest     int
		err      error
	}{
		{
			name: "RFC 6347 §4.1, application data and one byte behind it", in: "17fefd0001000000000005000201020a",
			want: dtls.Record{Type: dtls.ApplicationData, Epoch: 1, Sequence: 5, Fragment: []byte{1, 2}}, rest: 1,
		},
		{
			name: "RFC 9146 §4, tls12_cid", in: "19fefd0001ffffffffffff0102030405060708000109",
			want: dtls.Record{
				Type: dtls.TLS12CID, Epoch: 1, Sequence: 1<<48 - 1, CID: []byte{1, 2, 3, 4, 5, 6, 7, 8}, Fragment: []byte{9},
			},
		},
		{
			name: "RFC 6347 §4.2.1, version 1.0 in a first hello", in: "16feff0000000000000000000101",
			want: dtls.Record{Type: dtls.Handshake, Fragment: []byte{1}},
		},
		{name: "empty", err: dtls.ErrTruncated},
		{name: "header cut off", in: "17fefd000100000000000500", err: dtls.ErrTruncated},
		{name: "identifier cut off", in: "19fefd0001ffffffffffff01020304050607", err: dtls.ErrTruncated},
		{name: "fragment cut off", in: "17fefd000100000000000500020102"[:28], err: dtls.ErrTruncated},
		{name: "TLS 1.2", in: "17030300010000000000050000", err: dtls.ErrVersion},
		{name: "heartbeat", in: "18fefd00010000000000050000", err: dtls.ErrContentType},
		{name: "a CoAP message", in: "40010001b36f6f62626262626262", err: dtls.ErrContentType},
		{name: "overlong", in: "17fefd0001000000000005ffff", err: dtls.ErrLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, rest, err := dtls.ParseRecord(unhex(t, c.in))
			if !errors.Is(err, c.err) {
				t.Fatalf("ParseRecord(%s) = %v, want %v", c.in, err, c.err)
			}
			if err != nil {
				return
			}
			if r.Type != c.want.Type || r.Epoch != c.want.Epoch || r.Sequence != c.want.Sequence ||
				!bytes.Equal(r.CID, c.want.CID) || !bytes.Equal(r.Fragment, c.want.Fragment) || len(rest) != c.rest {
				t.Errorf("ParseRecord(%s) = %+v, %d left, want %+v, %d", c.in, r, len(rest), c.want, c.rest)
			}
		})
	}
}

const helloHead = "010000300001000000000030" + "fefd" // message header, client_version

func helloRecord(t *testing.T, fragment string) dtls.Record {
	t.Helper()
	return dtls.Record{Type: dtls.Handshake, Fragment: unhex(t, fragment)}
}

func TestIsHello(t *testing.T) {
	random := "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	if !dtls.IsHello(helloRecord(t, helloHead+random+"00")) {
		t.Error("IsHello = false")
	}
	for name, r := range map[string]dtls.Record{
		"server hello":    helloRecord(t, "02"+helloHead[2:]+random),
		"second fragment": helloRecord(t, "010000300001000020000010"+random+random),
		"empty":           {Type: dtls.Handshake},
		"epoch 1":         {Type: dtls.Handshake, Epoch: 1, Fragment: unhex(t, helloHead+random)},
	} {
		if dtls.IsHello(r) {
			t.Errorf("%s: IsHello = true", name)
		}
	}
}

// FuzzParseRecord: a record and what follows it are the datagram, in order.
func FuzzParseRecord(f *testing.F) {
	for _, s := range []string{
		"17fefd0001000000000005000201020a", "19fefd0001ffffffffffff0102030405060708000109",
		"16fefd00000000000000000030" + helloHead + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, rest, err := dtls.ParseRecord(in)
		if err != nil {
			return
		}
		if joined := append(append(append([]byte{}, r.Header...), r.Fragment...), rest...); !bytes.Equal(joined, in) {
			t.Errorf("ParseRecord(%x) lost bytes: %x", in, joined)
		}
		if r.Type == dtls.TLS12CID && len(r.CID) != dtls.CIDLength {
			t.Errorf("ParseRecord(%x): identifier %x", in, r.CID)
		}
		var s dtls.Session
		if _, err := s.Open(nil, r); err == nil {
			t.Errorf("a session without keys opened %x", in)
		}
	})
}
