package revokelog_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/revokelog"
	"steward/est"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// entries returns n entries of all kinds, each unlike the others.
func entries(n int) (out []est.Entry) {
	for i := range n {
		h := sha256.Sum256(fmt.Append(nil, i))
		switch i % 3 {
		case 0:
			out = append(out, est.Entry{Kind: est.EntryRevoked, Revocation: est.Revocation{
				Hash: h, Issuer: est.Hash{1}, Serial: fmt.Sprintf("%x", 7+i), At: now, NotAfter: now.Add(time.Hour),
				Reason: est.PrivilegeWithdrawn, SPKI: est.Hash{31: 5},
			}})
		case 1:
			out = append(out, est.Entry{Kind: est.EntryDeleted, Subject: h, Number: int64(i)})
		case 2:
			out = append(out, est.Entry{Kind: est.EntryNumber, Subject: h, Number: int64(i)})
		}
	}
	return out
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string, at time.Time) *revokelog.Log {
	t.Helper()
	l, err := revokelog.Open(path, at)
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// replayed returns what the next process finds, and whether the last ended in order.
func replayed(t *testing.T, raw []byte, at time.Time) (out []est.Entry, clean bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "revocations")
	check(t, os.WriteFile(path, raw, 0o600))
	clean, err := open(t, path, at).Replay(func(e est.Entry) error { out = append(out, e); return nil })
	check(t, err)
	return out, clean
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	check(t, err)
	return raw
}

func TestReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	l := open(t, path, now)
	all := entries(9)
	for i := range all {
		check(t, l.Append(all[i:i+1]))
		if got, clean := replayed(t, read(t, path), now); clean || !slices.Equal(got, all[:i+1]) {
			t.Fatalf("after %d: %+v, clean %v", i+1, got, clean)
		}
	}
	check(t, l.Close())
	if got, clean := replayed(t, read(t, path), now); !clean || !slices.Equal(got, all) {
		t.Errorf("after Close: %d entries, clean %v", len(got), clean)
	}
	second := open(t, path, now)
	if _, clean := replayed(t, read(t, path), now); clean {
		t.Error("a process that was killed at once counts as ended in order")
	}
	check(t, second.Append(all[:1]))
	check(t, second.Close())
	if got, clean := replayed(t, read(t, path), now); !clean || len(got) != len(all) {
		t.Errorf("after two processes: %d entries, clean %v, want %d", len(got), clean, len(all))
	}
}

// TestTornTail cuts the file at every byte: what was whole before is there, and the
// next record goes where the torn one began.
func TestTornTail(t *testing.T) {
	all := entries(4)
	whole, err := revokelog.Encode(all)
	check(t, err)
	for n := range len(whole) + 1 {
		want := max(0, n-revokelog.HeaderSize) / revokelog.RecordSize
		for _, tail := range [][]byte{nil, make([]byte, 3*revokelog.RecordSize)} {
			if n < revokelog.HeaderSize && tail != nil {
				continue
			}
			path := filepath.Join(t.TempDir(), "revocations")
			check(t, os.WriteFile(path, append(slices.Clone(whole[:n]), tail...), 0o600))
			l := open(t, path, now)
			var got []est.Entry
			_, err := l.Replay(func(e est.Entry) error { got = append(got, e); return nil })
			check(t, err)
			check(t, l.Append(all[3:]))
			after, _ := replayed(t, read(t, path), now)
			if !slices.Equal(got, all[:want]) || want < 4 && !slices.Equal(after, append(got, all[3])) {
				t.Fatalf("cut at byte %d: %d entries, then %d; want %d", n, len(got), len(after), want)
			}
		}
	}
}

func TestDamage(t *testing.T) {
	whole, err := revokelog.Encode(entries(4))
	check(t, err)
	for at := range len(whole) - revokelog.RecordSize {
		bad := slices.Clone(whole)
		bad[at] ^= 4
		want := revokelog.ErrDamaged
		if at < revokelog.HeaderSize {
			want = revokelog.ErrFormat
		}
		if _, err := revokelog.Parse(bad); !errors.Is(err, want) {
			t.Fatalf("byte %d: %v, want %v", at, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "revocations")
	check(t, os.WriteFile(path, []byte("something else"), 0o600))
	if _, err := revokelog.Open(path, now); !errors.Is(err, revokelog.ErrFormat) {
		t.Errorf("Open = %v, want ErrFormat", err)
	}
}

// TestBroken: what could not be written is an error for everybody whom it concerns,
// and the file stays one that can be read.
func TestBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	l := open(t, path, now)
	all := entries(2)
	check(t, l.Append(all[:1]))
	check(t, l.Break())
	for range 2 {
		if err := l.Append(all[1:]); err == nil {
			t.Error("Append to a file that is closed went well")
		}
	}
	_ = l.Close()
	if got, clean := replayed(t, read(t, path), now); clean || !slices.Equal(got, all[:1]) {
		t.Errorf("%+v, clean %v, want the first alone", got, clean)
	}
	for name, e := range map[string]est.Entry{
		"reason": {Kind: est.EntryRevoked, Revocation: est.Revocation{Serial: "1", Reason: "hold"}},
	} {
		if err := open(t, filepath.Join(t.TempDir(), "r"), now).Append([]est.Entry{e}); err == nil {
			t.Errorf("%s: Append went well", name)
		}
	}
}

// TestForeignSerials: what a factory's CA may have for a serial number, and ours never
// has, is known by the certificate's hash.
func TestForeignSerials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	l := open(t, path, now)
	for i, serial := range []string{"0", "-1f", "", "zz", "11223344556677889900112233445566778899001122"} {
		r := entries(1)[0].Revocation
		r.Serial, r.Hash[0] = serial, byte(i)
		check(t, l.Append([]est.Entry{{Kind: est.EntryRevoked, Revocation: r}}))
	}
	check(t, l.Close())
	got, clean := replayed(t, read(t, path), now)
	if !clean || len(got) != 5 || got[1].Revocation.Hash[0] != 1 || got[1].Revocation.Serial != "" {
		t.Errorf("%+v, clean %v", got, clean)
	}
}

// TestTwoProcesses: one file is one provider's.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	open(t, path, now)
	if _, err := revokelog.Open(path, now); err == nil {
		t.Error("opened twice")
	}
}

// TestRewrite: what has expired, and what later entries replace, does not stay for ever.
func TestRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	l := open(t, path, now)
	check(t, l.Append(entries(revokelog.MinRewrite)))
	for i := range revokelog.MinRewrite {
		check(t, l.Append([]est.Entry{{Kind: est.EntryNumber, Subject: est.Hash{9}, Number: int64(i)}}))
		if i == 50 {
			break
		}
	}
	check(t, l.Close())
	before := len(read(t, path))
	got, _ := replayed(t, read(t, path), now.Add(2*time.Hour))
	if last := got[len(got)-1]; last.Number != 50 {
		t.Errorf("last number %+v, want 50", last)
	}
	for _, e := range got {
		if e.Kind == est.EntryRevoked {
			t.Fatalf("expired: %+v", e)
		}
	}
	bodies := bytes.Repeat(read(t, path)[revokelog.HeaderSize:], 4)
	check(t, os.WriteFile(path, append(read(t, path), bodies...), 0o600))
	check(t, open(t, path, now).Close())
	if after := len(read(t, path)); after > before {
		t.Errorf("file of %d bytes after %d, though nothing is new", after, before)
	}
}

// TestTogether: of those who append at once, each is told after its own is on the disk.
func TestTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	l := open(t, path, now)
	all := entries(60)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			if err := l.Append(all[i : i+1]); err != nil {
				t.Error(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			got, err := revokelog.Parse(raw)
			if err != nil || !slices.Contains(got, all[i]) {
				t.Errorf("entry %d is not in the file: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func FuzzParse(f *testing.F) {
	whole, err := revokelog.Encode(entries(5))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:30])
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := revokelog.Parse(raw)
		if err != nil {
			return
		}
		got = slices.DeleteFunc(got, func(e est.Entry) bool { return e.Kind != est.EntryRevoked })
		again, err := revokelog.Encode(got)
		if err != nil {
			t.Fatalf("Encode of what was parsed: %v", err)
		}
		if back, err := revokelog.Parse(again); err != nil || !slices.Equal(back, got) {
			t.Errorf("%+v, %v, want %+v", back, err, got)
		}
	})
}
