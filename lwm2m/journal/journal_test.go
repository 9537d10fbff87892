package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"steward/lwm2m/journal"
)

// begin opens a journal with frames in dir, whatever was left there.
func begin(t *testing.T, dir string, frames ...string) *journal.Journal {
	t.Helper()
	left, _ := journal.Read(dir) // an error is as good as nothing
	j, err := journal.Create(dir, left)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Rewrite(sequence(frames)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Abandon() })
	return j
}

func sequence(frames []string) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, f := range frames {
			if !yield([]byte(f)) {
				return
			}
		}
	}
}

func add(t *testing.T, j *journal.Journal, frames ...string) {
	t.Helper()
	for _, f := range frames {
		if err := j.Append([]byte(f)); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, dir string) *journal.Left {
	t.Helper()
	left, err := journal.Read(dir)
	if err != nil {
		t.Fatalf("Read = %v", err)
	}
	return left
}

func wantFrames(t *testing.T, when string, left *journal.Left, want ...string) {
	t.Helper()
	var got []string
	for _, f := range left.Frames {
		got = append(got, string(f))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: frames %q, want %q", when, got, want)
	}
}

func TestKilledAndClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	wantFrames(t, "nothing yet", read(t, dir))
	j := begin(t, dir, "one", "two")
	add(t, j, "three", "")
	cell, err := j.Cell(40000) // of the second segment
	if err != nil {
		t.Fatal(err)
	}
	cell.Store(1, 77)
	if err := j.Abandon(); err != nil {
		t.Fatal(err)
	}
	left := read(t, dir)
	wantFrames(t, "killed", left, "one", "two", "three", "")
	numbers, ok := left.Cell(40000)
	if left.Clean || left.Torn || !ok || numbers != [2]uint64{0, 77} {
		t.Errorf("killed: clean %t, torn %t, cell %v %t", left.Clean, left.Torn, numbers, ok)
	}
	if _, ok := left.Cell(70000); ok {
		t.Error("a cell beyond the file")
	}

	j = begin(t, dir, "four")
	if err := j.Close(sequence([]string{"five"})); err != nil {
		t.Fatal(err)
	}
	left = read(t, dir)
	wantFrames(t, "closed", left, "five")
	if _, ok := left.Cell(0); ok || !left.Clean {
		t.Errorf("closed: clean %t, has cells %t", left.Clean, ok)
	}
	for _, err := range []error{j.Append(nil), j.Rewrite(sequence(nil)), j.Close(sequence(nil))} {
		if !errors.Is(err, journal.ErrClosed) {
			t.Errorf("after Close: %v, want %v", err, journal.ErrClosed)
		}
	}
	if _, err := j.Cell(0); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("Cell after Close = %v, want %v", err, journal.ErrClosed)
	}
}

// TestReadOnce: once a new journal has begun, what was read cannot be read
// again, not even where copies of the files are put back.
func TestReadOnce(t *testing.T) {
	dir, copies := t.TempDir(), t.TempDir()
	j := begin(t, dir, "secret")
	if err := j.Close(sequence([]string{"snapshot"})); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(copies+"/all", os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	wantFrames(t, "first", read(t, dir), "snapshot")
	j = begin(t, dir, "now")
	defer j.Abandon()
	wantFrames(t, "the new one", read(t, dir), "now")

	put := func(name, as string) {
		b, err := os.ReadFile(filepath.Join(copies, "all", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, as), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	old, present := names(t, copies+"/all", "journal-*")[0], names(t, dir, "journal-*")[0]
	put(old, old)
	wantFrames(t, "an old journal put back", read(t, dir), "now")
	put(old, present)
	if left, err := journal.Read(dir); !errors.Is(err, journal.ErrConsumed) || len(left.Frames) > 0 {
		t.Errorf("an old journal in place of the new: Read = %v, want %v", err, journal.ErrConsumed)
	}
	if err := os.Remove(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	put("key", "key")
	if left, err := journal.Read(dir); !errors.Is(err, journal.ErrKey) || len(left.Frames) > 0 {
		t.Errorf("an old key put back: Read = %v, want %v", err, journal.ErrKey)
	}
}

func names(t *testing.T, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in %s, %v", pattern, dir, err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files
}

// TestTorn cuts the file at every length: what is whole before it is read.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	j := begin(t, dir, "base")
	add(t, j, "first", "second")
	file := filepath.Join(dir, names(t, dir, "journal-*")[0])
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ends := map[int]int{len(whole): 3}
	for _, n := range []string{"second", "first", "base"} {
		at := len(whole)
		for e := range ends {
			at = min(at, e)
		}
		ends[at-4-16-len(n)] = ends[at] - 1
	}
	frames := 0
	for n := range len(whole) + 1 {
		if err := os.WriteFile(file, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		left, err := journal.Read(dir)
		k, atEnd := ends[n]
		if atEnd {
			frames = k
		}
		headless := len(ends) > 0 && n < minimum(ends)
		if headless != errors.Is(err, journal.ErrConsumed) || len(left.Frames) != frames ||
			!headless && left.Torn == atEnd {
			t.Fatalf("cut at %d: %d frames, torn %t, %v; want %d", n, len(left.Frames), left.Torn, err, frames)
		}
	}
}

func minimum(m map[int]int) int {
	out := int(^uint(0) >> 1)
	for k := range m {
		out = min(out, k)
	}
	return out
}

func TestReadRefuses(t *testing.T) {
	remove := func(pattern string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, names(t, dir, pattern)[0])) }
	}
	for name, c := range map[string]struct {
		do   func(dir string) error
		want error
	}{
		"another run of the host": {func(dir string) error {
			j, err := journal.Create(dir, &journal.Left{})
			if err != nil {
				return err
			}
			journal.OtherHost(j)
			return errors.Join(j.Rewrite(sequence([]string{"x"})), j.Abandon())
		}, journal.ErrHost},
		"key readable by others": {func(dir string) error { return os.Chmod(dir+"/key", 0o644) }, journal.ErrKey},
		"key cut off":            {func(dir string) error { return os.Truncate(dir+"/key", 20) }, journal.ErrKey},
		"no journal":             {remove("journal-*"), journal.ErrConsumed},
		"no cells":               {remove("cells-*"), os.ErrNotExist},
		"damaged": {func(dir string) error {
			file := dir + "/" + names(t, dir, "journal-*")[0]
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			b[5] ^= 1
			return os.WriteFile(file, b, 0o600)
		}, journal.ErrConsumed},
	} {
		dir := t.TempDir()
		if err := begin(t, dir, "x").Abandon(); err != nil {
			t.Fatal(err)
		}
		if err := c.do(dir); err != nil {
			t.Fatal(err)
		}
		left, err := journal.Read(dir)
		if !errors.Is(err, c.want) || left == nil || len(left.Frames) > 0 {
			t.Errorf("%s: Read = %v, want %v", name, err, c.want)
		}
		wantFrames(t, name+", a new beginning", read(t, dirOf(t, begin(t, dir, "y"), dir)), "y")
	}
}

func dirOf(t *testing.T, j *journal.Journal, dir string) string {
	t.Helper()
	if err := j.Abandon(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCompaction: the file does not grow for ever, and nothing of it can be read
// without the key.
func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	j := begin(t, dir)
	frame := bytes.Repeat([]byte("key material "), 1000)
	var largest int64
	for range 1000 {
		if err := j.Append(frame); err != nil {
			t.Fatal(err)
		}
		if j.Grown() {
			if err := j.Rewrite(sequence([]string{"live"})); err != nil {
				t.Fatal(err)
			}
		}
		files := names(t, dir, "*")
		if len(files) != 3 {
			t.Fatalf("files %q", files)
		}
		info, err := os.Stat(filepath.Join(dir, names(t, dir, "journal-*")[0]))
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	if largest > 2<<20 {
		t.Errorf("grew to %d bytes", largest)
	}
	for _, f := range names(t, dir, "*") {
		path := filepath.Join(dir, f)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || bytes.Contains(b, []byte("material")) {
			t.Errorf("%s: mode %v, %v, in the clear %t", f, info.Mode(), err, bytes.Contains(b, []byte("material")))
		}
	}
	if err := j.Append(make([]byte, journal.MaxFrame+1)); !errors.Is(err, journal.ErrFrame) {
		t.Errorf("Append of too much = %v, want %v", err, journal.ErrFrame)
	}
	add(t, j, "goes on")
}

func FuzzOpen(f *testing.F) {
	f.Add(journal.SealFrames(f, nil))
	f.Add(journal.SealFrames(f, [][]byte{[]byte("one"), {}, []byte("two")}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		frames, torn := journal.OpenFrames(t, bytes.Clone(raw))
		again := journal.SealFrames(t, frames)
		if !bytes.HasPrefix(raw, again) || torn != (len(again) < len(raw)) {
			t.Errorf("%x opened as %x, torn %t", raw, frames, torn)
		}
	})
}

// TestWriteFails: what failed to be appended is lost, and nothing is appended
// behind it; a Rewrite, which is due then, repairs the journal.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	j := begin(t, dir, "base")
	if err := journal.Break(j); err != nil {
		t.Fatal(err)
	}
	if err := j.Append([]byte("lost")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Append = %v, want %v", err, os.ErrClosed)
	}
	if err := j.Append([]byte("refused")); !errors.Is(err, journal.ErrClosed) || !j.Grown() {
		t.Errorf("Append after a failure = %v, Grown = %t; want %v, true", err, j.Grown(), journal.ErrClosed)
	}
	wantFrames(t, "broken", read(t, dir), "base")
	if err := j.Rewrite(sequence([]string{"repaired"})); err != nil || j.Grown() {
		t.Errorf("Rewrite = %v, Grown = %t", err, j.Grown())
	}
	add(t, j, "goes on")
	wantFrames(t, "repaired", read(t, dir), "repaired", "goes on")

	tooLong := func(yield func([]byte) bool) { yield(make([]byte, journal.MaxFrame+1)) }
	if err := j.Rewrite(tooLong); !errors.Is(err, journal.ErrFrame) {
		t.Errorf("Rewrite = %v, want %v", err, journal.ErrFrame)
	}
	add(t, j, "still")
	wantFrames(t, "after a Rewrite that failed", read(t, dir), "repaired", "goes on", "still")
	if err := j.Close(tooLong); !errors.Is(err, journal.ErrFrame) {
		t.Errorf("Close = %v, want %v", err, journal.ErrFrame)
	}
	wantFrames(t, "after a Close that failed", read(t, dir), "repaired", "goes on", "still")
}

// TestAppendBesideRewrite: what is appended while a Rewrite is under way is in
// the old journal, which the death of the process would leave until the end of
// the Rewrite, and in the new one at its place.
func TestAppendBesideRewrite(t *testing.T) {
	dir := t.TempDir()
	j := begin(t, dir, "base")
	if err := j.Rewrite(func(yield func([]byte) bool) {
		add(t, j, "early")
		if !yield([]byte("first")) {
			t.Error("the first frame was refused")
		}
		add(t, j, "between")
		wantFrames(t, "meanwhile", read(t, dir), "base", "early", "between")
		if !yield([]byte("second")) {
			t.Error("the second frame was refused")
		}
		add(t, j, "late")
	}); err != nil {
		t.Fatal(err)
	}
	add(t, j, "after")
	wantFrames(t, "in the end", read(t, dir), "early", "first", "between", "second", "late", "after")
}
