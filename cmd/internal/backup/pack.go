package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Pack writes the files below dir, which nobody may change meanwhile, as a backup. m
// says of what; its parts are filled in. seal makes the seal of 32 bytes. It returns
// ErrFormat for a file that no backup holds.
func Pack(w io.Writer, dir string, m Manifest, seal func([]byte) []byte) error {
	m.Format, m.LeftOut = formatPlain, LeftOut()
	var err error
	if m.Parts, err = list(dir); err != nil {
		return err
	}
	if slices.ContainsFunc(m.Parts, Part.audit) {
		m.Format = Format
	}
	if err := m.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	hash := sha256.Sum256(text)
	out := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		body []byte
	}{{nameManifest, text}, {nameSeal, seal(hash[:])}} {
		err := out.WriteHeader(header(f.name, int64(len(f.body)), m.TakenAt))
		if err == nil {
			_, err = out.Write(f.body)
		}
		if err != nil {
			return err
		}
	}
	for _, p := range m.Parts {
		if err := add(out, dir, p, m.TakenAt); err != nil {
			return err
		}
	}
	return out.Close()
}

func header(name string, size int64, at time.Time) *tar.Header {
	const private = 0o600
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: private, ModTime: at.Truncate(time.Second)}
}

// list returns the files below dir, in the order of their names.
func list(dir string) (parts []Part, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		p, err := hashed(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		p.Name = filepath.ToSlash(rel)
		parts = append(parts, p)
		return err
	})
	return parts, err
}

// hashed returns size and hash of a file.
func hashed(name string) (Part, error) {
	f, err := os.Open(name)
	if err != nil {
		return Part{}, err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	return Part{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, errors.Join(err, f.Close())
}

func add(out *tar.Writer, dir string, p Part, at time.Time) error {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(p.Name)))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	if err := out.WriteHeader(header(p.Name, p.Size, at)); err != nil {
		return err
	}
	if _, err := io.Copy(out, f); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	return nil
}
