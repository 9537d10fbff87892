package nvm_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steward/cmd/internal/sim/nvm"
)

func open(t *testing.T, o nvm.Options) *nvm.File {
	t.Helper()
	n, err := nvm.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func put(t *testing.T, n *nvm.File, key, value string) {
	t.Helper()
	if err := n.Put(key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func TestValuesSurvive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	n := open(t, nvm.Options{Path: path})
	put(t, n, "a", "1")
	put(t, n, "b", "")
	put(t, n, "c", "3")
	if err := n.Write(map[string][]byte{"a": []byte("2"), "c": nil}); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = open(t, nvm.Options{Path: path})
	if got := n.Keys(); strings.Join(got, " ") != "a b" || string(n.Get("a")) != "2" || n.Get("b") == nil {
		t.Errorf("keys %v, a = %q, b = %v", got, n.Get("a"), n.Get("b"))
	}
	values, err := nvm.Read(path)
	if err != nil || string(values["a"]) != "2" || len(values) != 2 {
		t.Errorf("Read = %v, %v", values, err)
	}
}

func TestWhatWasReplacedIsGoneAfterCompact(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	n := open(t, nvm.Options{Path: path, NoSync: true})
	put(t, n, "key", "canary-1")
	put(t, n, "key", "canary-2")
	put(t, n, "other", "canary-3")
	if err := n.Put("other", nil); err != nil {
		t.Fatal(err)
	}
	if err := n.Compact(); err != nil {
		t.Fatal(err)
	}
	put(t, n, "more", "4")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"canary-1": false, "canary-2": true, "canary-3": false} {
		if bytes.Contains(raw, []byte(text)) != want {
			t.Errorf("file holds %s: %v, want %v", text, !want, want)
		}
	}
	values, err := nvm.Read(path)
	if err != nil || string(values["key"]) != "canary-2" || string(values["more"]) != "4" {
		t.Errorf("Read = %v, %v", values, err)
	}
}

func TestFileStaysSmall(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	n := open(t, nvm.Options{Path: path, NoSync: true})
	for range 200 {
		put(t, n, "key", strings.Repeat("x", 10_000))
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 300_000 {
		t.Errorf("%d bytes, %v, for one value of 10 kB", info.Size(), err)
	}
}

// TestEveryTail cuts a file at each of its bytes: what is left are the writes that
// are there as a whole.
func TestEveryTail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	n := open(t, nvm.Options{Path: path, NoSync: true})
	sizes, states := []int64{8}, []map[string][]byte{{}}
	state := map[string][]byte{}
	for _, value := range []string{"one", "two", "three"} {
		put(t, n, "key", value)
		put(t, n, value, value)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		state = maps.Clone(state)
		state["key"], state[value] = []byte(value), []byte(value)
		sizes, states = append(sizes, info.Size()), append(states, state)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range raw {
		torn := filepath.Join(t.TempDir(), "torn")
		if err := os.WriteFile(torn, raw[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		n := open(t, nvm.Options{Path: torn, NoSync: true})
		whole := 0
		for i, size := range sizes {
			if int64(cut) >= size {
				whole = i
			}
		}
		for key, value := range states[whole] {
			if key != "key" && !bytes.Equal(n.Get(key), value) {
				t.Errorf("cut at %d: %s = %q, want %q", cut, key, n.Get(key), value)
			}
		}
		put(t, n, "after", "power")
		if values, err := nvm.Read(torn); err != nil || string(values["after"]) != "power" {
			t.Errorf("cut at %d: after another write %v, %v", cut, values, err)
		}
	}
}

func TestPowerCut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	cut := false
	n := open(t, nvm.Options{Path: path, NoSync: true, PowerCut: func() bool { return cut }})
	put(t, n, "a", "1")
	cut = true
	for range 2 {
		if err := n.Put("a", []byte("2")); !errors.Is(err, nvm.ErrPowerCut) {
			t.Errorf("Put = %v, want %v", err, nvm.ErrPowerCut)
		}
		if err := n.Compact(); !errors.Is(err, nvm.ErrPowerCut) {
			t.Errorf("Compact = %v, want %v", err, nvm.ErrPowerCut)
		}
	}
	if got := open(t, nvm.Options{Path: path, NoSync: true}).Get("a"); string(got) != "1" {
		t.Errorf("a = %q after the cut, want 1", got)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	n := open(t, nvm.Options{Path: path, NoSync: true})
	put(t, n, "a", "1")
	put(t, n, "b", "2")
	if err := n.Put("large", make([]byte, 17<<20)); !errors.Is(err, nvm.ErrTooLarge) {
		t.Errorf("Put = %v, want %v", err, nvm.ErrTooLarge)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(raw)
	damaged[17] ^= 1 // in the first record
	for name, content := range map[string][]byte{
		"another file": []byte("PK\x03\x04 is no journal"), "damaged in the middle": damaged,
	} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := nvm.Open(nvm.Options{Path: bad}); !errors.Is(err, nvm.ErrFormat) {
			t.Errorf("%s: Open = %v, want %v", name, err, nvm.ErrFormat)
		}
		if _, err := nvm.Read(bad); !errors.Is(err, nvm.ErrFormat) {
			t.Errorf("%s: Read = %v, want %v", name, err, nvm.ErrFormat)
		}
	}
}

// FuzzRead reads any file: no panic, and what was read can be written and read
// again.
func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	n, err := nvm.Open(nvm.Options{Path: path, NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	if err := n.Write(map[string][]byte{"key": []byte("value"), "gone": nil, "": {}}); err != nil {
		f.Fatal(err)
	}
	if err := n.Close(); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("stwrdnv1"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		values, err := nvm.Read(path)
		if err != nil {
			return
		}
		n, err := nvm.Open(nvm.Options{Path: path, NoSync: true})
		if err != nil {
			t.Fatalf("Open = %v after Read", err)
		}
		defer func() { _ = n.Close() }()
		if err := n.Compact(); err != nil {
			t.Fatal(err)
		}
		again, err := nvm.Read(path)
		if err != nil || !maps.EqualFunc(values, again, bytes.Equal) {
			t.Errorf("Read = %v, %v after Compact, want %v", again, err, values)
		}
	})
}
