package signlog_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"steward/cmd/internal/signlog"
	"steward/lwm2m/server"
)

// sign returns the n-th of many different signs of life.
func sign(n int) server.Sign {
	s := server.Sign{
		At: time.UnixMicro(1_700_000_000_000_000 + int64(n)).UTC(), Lifetime: time.Duration(n) * time.Second,
		Address: netip.MustParseAddrPort("192.0.2.1:5683"),
	}
	s.Location[0], s.Location[15] = byte(n), 7
	if n%2 == 1 {
		s.Address = netip.MustParseAddrPort("[2001:db8::1]:61616")
	}
	return s
}

func signs(from, to int) (out []server.Sign) {
	for n := from; n < to; n++ {
		out = append(out, sign(n))
	}
	return out
}

func open(t *testing.T, dir string) *signlog.Log {
	t.Helper()
	l, err := signlog.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func appended(t *testing.T, l *signlog.Log, all []server.Sign) {
	t.Helper()
	for _, s := range all {
		if !l.Append(s) {
			t.Fatal("Append refused")
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// left returns what the next process finds in dir.
func left(t *testing.T, dir string) (out []server.Sign) {
	t.Helper()
	after := t.TempDir()
	check(t, os.CopyFS(after, os.DirFS(dir)))
	check(t, open(t, after).Replay(func(s server.Sign) { out = append(out, s) }))
	return out
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	check(t, err)
	return names
}

// What was synced is there for the next process, in order, over several files and
// several processes; what was not is lost; what was folded is gone.
func TestReplay(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	appended(t, first, signs(0, 3))
	check(t, first.Sync())
	check(t, first.Sync()) // of nothing
	appended(t, first, signs(3, 4))
	if got := left(t, dir); !slices.Equal(got, signs(0, 3)) {
		t.Errorf("after Sync: %+v, want what was before it", got)
	}
	drop, err := first.Rotate()
	check(t, err)
	appended(t, first, signs(4, 6))
	check(t, first.Close())
	if got := left(t, dir); len(got) != 6 {
		t.Errorf("after Rotate and Close: %d signs, want 6", len(got))
	}

	check(t, drop())
	second := open(t, dir)
	var got []server.Sign
	check(t, second.Replay(func(s server.Sign) { got = append(got, s) }))
	if !slices.Equal(got, signs(4, 6)) {
		t.Errorf("after drop: %+v, want what came after Rotate", got)
	}
	drop, err = second.Rotate()
	check(t, err)
	check(t, drop())
	check(t, drop()) // again is no error
	check(t, second.Close())
	if got := left(t, dir); len(got) != 0 {
		t.Errorf("after all was folded: %+v", got)
	}
}

// A crash at any byte of the tail leaves what was whole before it; so does damage
// of any byte, but for the record that has it.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	appended(t, l, signs(0, 4))
	check(t, l.Close())
	whole, err := os.ReadFile(files(t, dir)[0])
	check(t, err)
	const header, record = 8, 50
	if len(whole) != header+4*record {
		t.Fatalf("file of %d bytes, want %d", len(whole), header+4*record)
	}
	replayed := func(raw []byte) []server.Sign {
		dir := t.TempDir()
		check(t, os.WriteFile(filepath.Join(dir, "000000000001.signs"), raw, 0o600))
		return left(t, dir)
	}
	if got := replayed(make([]byte, len(whole))); len(got) != 0 {
		t.Fatalf("a file of zeros: %d signs", len(got))
	}
	for n := range len(whole) + 1 {
		want := signs(0, max(0, n-header)/record)
		if got := replayed(whole[:n]); !slices.Equal(got, want) {
			t.Fatalf("cut at byte %d: %d signs, want %d", n, len(got), len(want))
		}
		zeros := append(slices.Clone(whole[:max(n, header)]), make([]byte, 3*record)...)
		if got := replayed(zeros); !slices.Equal(got, want) {
			t.Fatalf("zeros from byte %d on: %d signs, want %d", n, len(got), len(want))
		}
	}
	for n := header; n < len(whole); n++ {
		damaged := slices.Clone(whole)
		damaged[n] ^= 0x10
		broken := (n - header) / record
		if got := replayed(damaged); !slices.Equal(got, slices.Delete(signs(0, 4), broken, broken+1)) {
			t.Fatalf("byte %d damaged: %d signs, want all but that record", n, len(got))
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, name := range []string{"notes.txt", "000000000001.signs.bak", "1.signs"} {
		stranger := t.TempDir()
		check(t, os.WriteFile(filepath.Join(stranger, name), nil, 0o600))
		if _, err := signlog.Open(stranger); !errors.Is(err, signlog.ErrFormat) {
			t.Errorf("Open beside %s = %v, want ErrFormat", name, err)
		}
	}
	later := t.TempDir()
	check(t, os.WriteFile(filepath.Join(later, "000000000001.signs"), []byte("STWSIGN2"), 0o600))
	if err := open(t, later).Replay(func(server.Sign) {}); !errors.Is(err, signlog.ErrFormat) {
		t.Errorf("Replay of a later version = %v, want ErrFormat", err)
	}
}

// A log does not grow without bound, whoever forgets to sync or fold it; a new file
// has room again.
func TestBounds(t *testing.T) {
	l := open(t, t.TempDir())
	const most = 64 << 20 / 50
	n := 0
	for n <= most && l.Append(sign(n)) {
		if n++; n%100_000 == 0 {
			check(t, l.Sync())
		}
	}
	if n < most-1 || n > most {
		t.Errorf("%d signs in a file, want %d", n, most)
	}
	_, err := l.Rotate()
	check(t, err)
	for n = 0; n <= most && l.Append(sign(n)); n++ {
	}
	if n == 0 || n >= most/2 {
		t.Errorf("%d signs without Sync, want some and an end", n)
	}
}

// A disk that fails is told, and the log takes no more until a new file is begun.
func TestBrokenDisk(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	appended(t, l, signs(0, 1))
	check(t, l.Break())
	if err := l.Sync(); err == nil {
		t.Error("Sync without a disk succeeded")
	}
	if l.Append(sign(1)) {
		t.Error("Append after a failed Sync succeeded")
	}
	_, _ = l.Rotate()
	if !l.Append(sign(2)) || l.Sync() != nil {
		t.Error("a new file takes nothing")
	}
	if got := left(t, dir); !slices.Equal(got, signs(2, 3)) {
		t.Errorf("left %+v, want what came after", got)
	}
}

func FuzzReplay(f *testing.F) {
	dir := f.TempDir()
	l, err := signlog.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	l.Append(sign(0))
	l.Append(sign(1))
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "000000000001.signs"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:60])
	f.Fuzz(func(t *testing.T, raw []byte) {
		n := 0
		err := signlog.ReplayFile(raw, func(s server.Sign) {
			n++
			if got := signlog.Record(s); !signlog.IsRecord(got, s) {
				t.Errorf("%+v does not come back from %x", s, got)
			}
		})
		if err == nil && n > len(raw)/50 {
			t.Errorf("%d signs of %d bytes", n, len(raw))
		}
	})
}
