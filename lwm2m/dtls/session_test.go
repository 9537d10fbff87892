package dtls_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"steward/lwm2m/dtls"
)

func seal(tb testing.TB, s *dtls.Session, message string) dtls.Record {
	tb.Helper()
	raw, err := s.Seal(nil, dtls.ApplicationData, []byte(message))
	if err != nil {
		tb.Fatal(err)
	}
	r, rest, err := dtls.ParseRecord(raw)
	if err != nil || len(rest) != 0 {
		tb.Fatalf("ParseRecord(%x) = %d left, %v", raw, len(rest), err)
	}
	return r
}

// TestSessionWindow opens records out of order (RFC 6347 §4.1.2.6).
func TestSessionWindow(t *testing.T) {
	a, b := dtls.NewTestSessions(1, 0, true)
	records := make([]dtls.Record, 200)
	for i := range records {
		records[i] = seal(t, a, fmt.Sprint(i))
	}
	for _, c := range []struct {
		sequence int
		newest   bool
		err      error
	}{
		{5, true, nil},
		{3, false, nil},
		{5, false, dtls.ErrReplay},
		{3, false, dtls.ErrReplay},
		{6, true, nil},
		{0, false, nil},
		{70, true, nil},
		{6, false, dtls.ErrReplay}, // 64 behind: outside the window
		{7, false, nil},            // 63 behind: inside
		{7, false, dtls.ErrReplay},
		{199, true, nil}, // farther than the window is long
		{70, false, dtls.ErrReplay},
		{198, false, nil},
		{199, false, dtls.ErrReplay},
	} {
		o, err := b.Open(nil, records[c.sequence])
		if !errors.Is(err, c.err) || o.Newest != c.newest {
			t.Errorf("Open(record %d) = newest %t, %v, want %t, %v", c.sequence, o.Newest, err, c.newest, c.err)
		}
		if err == nil && string(o.Plaintext) != fmt.Sprint(c.sequence) {
			t.Errorf("Open(record %d) = %q", c.sequence, o.Plaintext)
		}
	}
}

func TestSessionOpenRefuses(t *testing.T) {
	a, b := dtls.NewTestSessions(2, 1, true)
	good := seal(t, a, "message")
	change := func(f func(r *dtls.Record)) dtls.Record {
		r := good
		r.Header = append([]byte(nil), good.Header...)
		r.CID = append([]byte(nil), good.CID...)
		r.Fragment = append([]byte(nil), good.Fragment...)
		f(&r)
		return r
	}
	for name, c := range map[string]struct {
		r   dtls.Record
		err error
	}{
		"epoch 2":             {change(func(r *dtls.Record) { r.Epoch = 2 }), dtls.ErrEpoch},
		"epoch 0":             {change(func(r *dtls.Record) { r.Epoch = 0 }), dtls.ErrEpoch},
		"no identifier":       {change(func(r *dtls.Record) { r.Type, r.CID = dtls.ApplicationData, nil }), dtls.ErrCID},
		"other identifier":    {change(func(r *dtls.Record) { r.CID[3] ^= 1 }), dtls.ErrCID},
		"shorter than a tag":  {change(func(r *dtls.Record) { r.Fragment = r.Fragment[:20] }), dtls.ErrTruncated},
		"sequence changed":    {change(func(r *dtls.Record) { r.Header[10] ^= 1; r.Sequence ^= 1 }), dtls.ErrForged},
		"nonce changed":       {change(func(r *dtls.Record) { r.Fragment[0] ^= 1 }), dtls.ErrForged},
		"ciphertext changed":  {change(func(r *dtls.Record) { r.Fragment[9] ^= 1 }), dtls.ErrForged},
		"last byte cut off":   {change(func(r *dtls.Record) { r.Fragment = r.Fragment[:len(r.Fragment)-1] }), dtls.ErrForged},
		"nothing but padding": {padding(t, a), dtls.ErrContentType},
	} {
		before := *b
		if _, err := b.Open(nil, c.r); !errors.Is(err, c.err) {
			t.Errorf("%s: Open = %v, want %v", name, err, c.err)
		}
		if *b != before {
			t.Errorf("%s: the session changed", name)
		}
	}
	if o, err := b.Open(nil, good); err != nil || string(o.Plaintext) != "message" {
		t.Errorf("Open after all = %q, %v", o.Plaintext, err)
	}
}

// padding is an authentic record whose inner plaintext has no type.
func padding(t *testing.T, s *dtls.Session) dtls.Record {
	t.Helper()
	raw, err := s.Seal(nil, 0, []byte{0, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := dtls.ParseRecord(raw)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSessionExhausted(t *testing.T) {
	a, _ := dtls.NewTestSessions(3, 1<<48-1, false)
	if _, err := a.Seal(nil, dtls.ApplicationData, nil); err != nil {
		t.Errorf("Seal with the last number = %v", err)
	}
	if _, err := a.Seal(nil, dtls.ApplicationData, nil); !errors.Is(err, dtls.ErrExhausted) {
		t.Errorf("Seal = %v, want %v", err, dtls.ErrExhausted)
	}
}

// TestSessionHasNoPointers keeps a table of sessions free for the collector.
func TestSessionHasNoPointers(t *testing.T) {
	typ := reflect.TypeFor[dtls.Session]()
	for f := range typ.Fields() {
		switch f.Type.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.String, reflect.Interface, reflect.Func, reflect.Chan:
			t.Errorf("field %s is a %s", f.Name, f.Type)
		default:
		}
	}
	if typ.Size() > 128 {
		t.Errorf("a session takes %d bytes", typ.Size())
	}
}

func BenchmarkSealOpen(b *testing.B) {
	for kind, name := range map[uint8]string{1: "ccm8", 3: "gcm"} {
		b.Run(name, func(b *testing.B) {
			x, y := dtls.NewTestSessions(kind, 1, true)
			message, record, plain := make([]byte, 64), make([]byte, 0, 256), make([]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if record, err = x.Seal(record[:0], dtls.ApplicationData, message); err != nil {
					b.Fatal(err)
				}
				r, _, err := dtls.ParseRecord(record)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := y.Open(plain[:0], r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
