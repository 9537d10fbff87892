package backup

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
	"strings"
)

// An Archive is a backup that was read to its end.
type Archive struct {
	Manifest Manifest
	Hash     [sha256.Size]byte // of the manifest as it was written
	Seal     []byte            // over Hash
}

// Unpack reads a backup and writes its parts below dir, which must exist, on the disk
// when it returns. With dir "" it only reads. Everything is compared with the
// manifest; it returns ErrFormat, ErrVersion or ErrDamaged.
func Unpack(r io.Reader, dir string) (Archive, error) {
	in := tar.NewReader(r)
	var a Archive
	text, err := small(in, nameManifest, maxManifest)
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&a.Manifest); err != nil {
		return a, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := a.Manifest.check(); err != nil {
		return a, err
	}
	a.Hash = sha256.Sum256(text)
	if a.Seal, err = small(in, nameSeal, maxSeal); err != nil {
		return a, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	for _, p := range a.Manifest.Parts {
		if err := extract(in, dir, p); err != nil {
			return a, err
		}
	}
	if _, err := in.Next(); !errors.Is(err, io.EOF) {
		return a, fmt.Errorf("%w: more than its manifest says", ErrDamaged)
	}
	return a, nil
}

// small reads the next file, which is called name and no larger than limit.
func small(in *tar.Reader, name string, limit int64) ([]byte, error) {
	h, err := in.Next()
	switch {
	case err != nil:
		return nil, err
	case h.Name != name, h.Typeflag != tar.TypeReg, h.Size > limit:
		return nil, fmt.Errorf("%.80q in the place of %s", h.Name, name)
	}
	return io.ReadAll(io.LimitReader(in, limit))
}

// extract reads the next file, which must be p.
func extract(in *tar.Reader, dir string, p Part) error {
	h, err := in.Next()
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, p.Name, err)
	}
	if sparse(h) {
		return fmt.Errorf("%w: %s has holes", ErrDamaged, p.Name)
	}
	if h.Name != p.Name || h.Typeflag != tar.TypeReg || h.Size != p.Size {
		return fmt.Errorf("%w: %.80q of %d bytes in the place of %s", ErrDamaged, h.Name, h.Size, p.Name)
	}
	hash := sha256.New()
	if err := store(dir, p.Name, io.TeeReader(in, hash)); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: cut short within %s", ErrDamaged, p.Name)
		}
		return err
	}
	if hex.EncodeToString(hash.Sum(nil)) != p.SHA256 {
		return fmt.Errorf("%w: %s is not what was backed up", ErrDamaged, p.Name)
	}
	return nil
}

// sparse reports whether a file of the archive has holes, which make terabytes of a few
// bytes. We write none.
func sparse(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// store writes a file below dir; nowhere if that is "".
func store(dir, name string, from io.Reader) error {
	if dir == "" {
		_, err := io.Copy(io.Discard, from)
		return err
	}
	to := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Sync(), f.Close())
}
