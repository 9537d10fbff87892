package dtls_test

import (
	"bytes"
	"errors"
	"testing"

	"steward/lwm2m/dtls"
)

func state(tb testing.TB, s *dtls.Session) []byte {
	tb.Helper()
	b, err := s.AppendBinary(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestSessionState: a session that was written and read goes on where it was.
func TestSessionState(t *testing.T) {
	for kind := uint8(1); kind <= 3; kind++ {
		a, b := dtls.NewTestSessions(kind, 7, kind != 2)
		old := seal(t, a, "old")
		if _, err := b.Open(nil, old); err != nil {
			t.Fatal(err)
		}
		read, rest, err := dtls.ReadSession(append(state(t, b), "more"...))
		if err != nil || read != *b || string(rest) != "more" {
			t.Fatalf("suite %d: ReadSession = %+v, %q, %v", kind, read, rest, err)
		}
		if _, err := read.Open(nil, old); !errors.Is(err, dtls.ErrReplay) {
			t.Errorf("suite %d: Open of an old record = %v, want %v", kind, err, dtls.ErrReplay)
		}
		if o, err := read.Open(nil, seal(t, a, "new")); err != nil || string(o.Plaintext) != "new" {
			t.Errorf("suite %d: Open = %q, %v", kind, o.Plaintext, err)
		}
	}
}

func TestReadSessionRefuses(t *testing.T) {
	a, _ := dtls.NewTestSessions(1, 7, true)
	good := state(t, a)
	for name, change := range map[string]func(b []byte) []byte{
		"truncated":                func(b []byte) []byte { return b[:len(b)-1] },
		"empty":                    func([]byte) []byte { return nil },
		"unknown suite":            func(b []byte) []byte { b[len(b)-3] = 4; return b },
		"no suite":                 func(b []byte) []byte { b[len(b)-3] = 0; return b },
		"flag neither 0 nor 1":     func(b []byte) []byte { b[len(b)-4] = 2; return b },
		"overlong identifier":      func(b []byte) []byte { b[len(b)-5] = 33; return b },
		"sequence number too high": func(b []byte) []byte { b[40] = 1; return b },
	} {
		if s, _, err := dtls.ReadSession(change(bytes.Clone(good))); !errors.Is(err, dtls.ErrState) {
			t.Errorf("%s: ReadSession = %+v, %v, want %v", name, s, err, dtls.ErrState)
		}
	}
}

// TestResume: after a crash everything below what may have been seen is refused,
// and nothing that may have been used is used again.
func TestResume(t *testing.T) {
	a, b := dtls.NewTestSessions(1, 0, true)
	records := make([]dtls.Record, 20)
	for i := range records {
		records[i] = seal(t, a, "x")
	}
	b.Resume(1024, 10)
	if b.Next() != 1024 || b.Expected() != 10 {
		t.Errorf("Next, Expected = %d, %d, want 1024, 10", b.Next(), b.Expected())
	}
	for i, r := range records {
		_, err := b.Open(nil, r)
		if refused := errors.Is(err, dtls.ErrReplay); refused != (i < 10) || !refused && err != nil {
			t.Errorf("Open(record %d) = %v", i, err)
		}
	}
	b.Resume(3, 4)
	if b.Next() != 1024 || b.Expected() != 20 {
		t.Errorf("Next, Expected = %d, %d after going back, want 1024, 20", b.Next(), b.Expected())
	}
	fresh, _ := dtls.NewTestSessions(1, 0, true)
	if fresh.Resume(5, 0); fresh.Expected() != 0 {
		t.Errorf("Expected = %d of a session that has received nothing", fresh.Expected())
	}
}

func FuzzReadSession(f *testing.F) {
	a, b := dtls.NewTestSessions(3, 7, true)
	f.Add(state(f, a))
	f.Add(state(f, b))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, rest, err := dtls.ReadSession(in)
		if err != nil {
			return
		}
		if again := state(t, &s); !bytes.Equal(append(again, rest...), in) {
			t.Errorf("ReadSession(%x) is written as %x", in, again)
		}
	})
}
