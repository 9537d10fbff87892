package backup_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/backup"
)

func seal(hash []byte) []byte { return append([]byte("seal:"), hash...) }

// packed returns a backup of three small files.
func packed(tb testing.TB) []byte {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range map[string]string{
		"steward.db": strings.Repeat("row", 1000), "keys/vault": "v", "pki/rootb.pem": "r",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	var out bytes.Buffer
	m := backup.Manifest{Provider: "Alpha", Schema: 7, TakenAt: time.Unix(1800000000, 0).UTC()}
	if err := backup.Pack(&out, dir, m, seal); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestPackUnpack(t *testing.T) {
	raw, dir := packed(t), t.TempDir()
	a, err := backup.Unpack(bytes.NewReader(raw), dir)
	if err != nil {
		t.Fatal(err)
	}
	if a.Manifest.Provider != "Alpha" || len(a.Manifest.Parts) != 3 || !bytes.Equal(a.Seal, seal(a.Hash[:])) {
		t.Errorf("archive %+v", a)
	}
	got, err := os.ReadFile(filepath.Join(dir, "keys", "vault"))
	if err != nil || string(got) != "v" {
		t.Errorf("keys/vault = %q, %v", got, err)
	}
	if _, err := backup.Unpack(bytes.NewReader(raw), ""); err != nil {
		t.Errorf("reading only: %v", err)
	}
}

// TestCutShort cuts a backup everywhere: no part of one is ever taken for a whole.
func TestCutShort(t *testing.T) {
	raw := packed(t)
	end := len(raw) - 3*512 // the last of it is padding
	for n := 0; n < end; n += 97 {
		_, err := backup.Unpack(bytes.NewReader(raw[:n]), "")
		if !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrFormat) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(raw), err)
		}
	}
}

// TestFlipped changes each byte of what parts hold.
func TestFlipped(t *testing.T) {
	raw := packed(t)
	at := bytes.Index(raw, []byte("rowrow"))
	for _, i := range []int{at, at + 1500, at + 2999} {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if _, err := backup.Unpack(bytes.NewReader(bad), t.TempDir()); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("byte %d altered: %v", i, err)
		}
	}
}

// rewritten returns the backup with its manifest changed, and entries added at the end.
func rewritten(t *testing.T, change func(*backup.Manifest), more ...string) []byte {
	t.Helper()
	in := tar.NewReader(bytes.NewReader(packed(t)))
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, body []byte) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(body)), Mode: 0o600}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "manifest.json" {
			var m backup.Manifest
			if err := json.Unmarshal(body, &m); err != nil {
				t.Fatal(err)
			}
			change(&m)
			if body, err = json.Marshal(m); err != nil {
				t.Fatal(err)
			}
		}
		add(h.Name, body)
	}
	for _, name := range more {
		add(name, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestBadInput(t *testing.T) {
	none := func(*backup.Manifest) {}
	rename := func(name string) func(*backup.Manifest) {
		return func(m *backup.Manifest) { m.Parts[0].Name = name }
	}
	for name, row := range map[string]struct {
		raw  []byte
		want error
	}{
		"empty":          {nil, backup.ErrFormat},
		"no tar":         {[]byte("PK\x03\x04 something else, long enough to be read as a header"), backup.ErrFormat},
		"a later format": {rewritten(t, func(m *backup.Manifest) { m.Format = backup.Format + 1 }), backup.ErrVersion},
		"no format":      {rewritten(t, func(m *backup.Manifest) { m.Format = 0 }), backup.ErrFormat},
		"a part more":    {rewritten(t, none, "keys/more"), backup.ErrDamaged},
		"out of the way": {rewritten(t, rename("keys/../../x")), backup.ErrDamaged},
		"absolute":       {rewritten(t, rename("/etc/passwd")), backup.ErrDamaged},
		"hidden":         {rewritten(t, rename("keys/.x")), backup.ErrDamaged},
		"machine key":    {rewritten(t, rename("machine/key")), backup.ErrDamaged},
		"associations":   {rewritten(t, rename("associations/a")), backup.ErrDamaged},
		"twice":          {rewritten(t, func(m *backup.Manifest) { m.Parts[1] = m.Parts[0] }), backup.ErrDamaged},
		"no database":    {rewritten(t, func(m *backup.Manifest) { m.Parts = m.Parts[:2] }), backup.ErrDamaged},
		"negative size":  {rewritten(t, func(m *backup.Manifest) { m.Parts[0].Size = -1 }), backup.ErrDamaged},
		"another size":   {rewritten(t, func(m *backup.Manifest) { m.Parts[0].Size++ }), backup.ErrDamaged},
		"no hash":        {rewritten(t, func(m *backup.Manifest) { m.Parts[0].SHA256 = "" }), backup.ErrDamaged},
		"parts in disorder": {rewritten(t, func(m *backup.Manifest) {
			m.Parts[0], m.Parts[1] = m.Parts[1], m.Parts[0]
		}), backup.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := backup.Unpack(bytes.NewReader(row.raw), dir); !errors.Is(err, row.want) {
				t.Errorf("Unpack = %v, want %v", err, row.want)
			}
		})
	}
}

// holed returns a backup whose database is one hole of size bytes, written in a few.
func holed(t *testing.T, size int64) []byte {
	t.Helper()
	hash := sha256.New()
	if _, err := io.CopyN(hash, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	m := backup.Manifest{Format: backup.Format, Parts: []backup.Part{
		{Name: backup.Database, Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))},
	}}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	add := func(kind byte, name, body string) {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], fmt.Sprintf("%07o\x00%07o\x00%07o\x00%011o\x00%011o\x00        %c", 0o600, 0, 0, len(body), 0, kind))
		copy(h[257:], "ustar\x0000")
		sum := 0
		for _, b := range h {
			sum += int(b)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		out.Write(h)
		out.WriteString(body)
		out.Write(make([]byte, (512-len(body)%512)%512))
	}
	add('0', "manifest.json", string(text))
	add('0', "manifest.seal", "seal")
	var pax strings.Builder
	for _, r := range []string{
		"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=" + backup.Database,
		"GNU.sparse.realsize=" + strconv.FormatInt(size, 10),
	} {
		n := len(r) + 4 // two digits, a blank and a line feed
		pax.WriteString(strconv.Itoa(n) + " " + r + "\n")
	}
	add('x', "pax", pax.String())
	sparse := "1\n" + strconv.FormatInt(size, 10) + "\n0\n" // one piece, at the end, of nothing
	add('0', "steward.db", sparse+strings.Repeat("\x00", 512-len(sparse)))
	out.Write(make([]byte, 1024))
	return out.Bytes()
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestHolesAreRefused: a small file does not become a large one on the disk.
func TestHolesAreRefused(t *testing.T) {
	raw, dir := holed(t, 1<<20), t.TempDir()
	if _, err := backup.Unpack(bytes.NewReader(raw), dir); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("%d bytes that want to be 1 MiB: %v", len(raw), err)
	}
	if info, err := os.Stat(filepath.Join(dir, backup.Database)); err == nil {
		t.Errorf("%d bytes were written", info.Size())
	}
}

func TestPackRefusesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"steward.db", "admin.token"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := backup.Pack(io.Discard, dir, backup.Manifest{}, seal); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("Pack = %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(packed(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		inside := filepath.Join(dir, "inside")
		if err := os.Mkdir(inside, 0o700); err != nil {
			t.Fatal(err)
		}
		_, _ = backup.Unpack(bytes.NewReader(raw), inside)
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Fatalf("it wrote outside: %v, %v", entries, err)
		}
	})
}
