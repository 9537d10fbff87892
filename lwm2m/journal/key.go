package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	keySize   = 32 // AES-256
	keyMagic  = "swk1"
	birthSize = 20
	keyTotal  = len(keyMagic) + 8 + birthSize + keySize
)

func newKey() (key [keySize]byte) {
	_, _ = rand.Read(key[:]) // never fails
	return key
}

// writeKey makes key the one of this generation, and every other key lost. The
// file names its own birth, so that a copy of it is not taken for it.
func writeKey(path string, generation uint64, key [keySize]byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	born, err := birth(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	out := append(make([]byte, 0, keyTotal), keyMagic...)
	out = binary.BigEndian.AppendUint64(out, generation)
	out = append(out, born[:]...)
	_, err = f.Write(append(out, key[:]...))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readKey returns the present key. It returns ErrKey, or fs.ErrNotExist.
func readKey(path string) (generation uint64, key [keySize]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, key, fmt.Errorf("journal: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return 0, key, fmt.Errorf("journal: %w", err)
	}
	if info.Mode().Perm()&others != 0 {
		return 0, key, fmt.Errorf("%w: %s has mode %04o, want %04o", ErrKey, path, info.Mode().Perm(), fileMode)
	}
	b := make([]byte, keyTotal+1)
	n, _ := f.Read(b) // what is missing is seen
	if n != keyTotal || string(b[:len(keyMagic)]) != keyMagic {
		return 0, key, fmt.Errorf("%w: %s is damaged", ErrKey, path)
	}
	b = b[len(keyMagic):]
	generation = binary.BigEndian.Uint64(b)
	born, err := birth(f)
	if err != nil {
		return generation, key, fmt.Errorf("journal: %w", err)
	}
	if [birthSize]byte(b[8:]) != born {
		return generation, key, fmt.Errorf("%w: %s is a copy", ErrKey, path)
	}
	copy(key[:], b[8+birthSize:])
	return generation, key, nil
}
