// Package nvm is the non-volatile memory of a simulated device: a small map of
// keys to values in an append-only journal. What was written is there after a
// crash at any instant, each write as a whole or not at all.
//
// The file begins with a magic number. Each record is the length of its payload
// and the payload's CRC-32C, four bytes each in big-endian order, and the payload:
// the changes of one write. A torn record at the end is dropped; one in the
// middle is an error.
package nvm

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"steward/cmd/internal/durable"
)

// The reasons for which a file cannot be used.
var (
	// ErrFormat reports a file that is not a journal.
	ErrFormat = errors.New("not a journal")
	// ErrPowerCut is what every write returns after the power was cut.
	ErrPowerCut = errors.New("power cut")
	// ErrTooLarge reports a write beyond the limit of a record.
	ErrTooLarge = errors.New("record too large")
)

const (
	magic      = "stwrdnv1"
	headLength = 8
	// maxRecord is the length in bytes of the longest payload: an image of 4 MiB and
	// an envelope that holds it, in base64.
	maxRecord = 16 << 20
	// compactAt is the length in bytes from which a file with mostly dead records
	// is rewritten.
	compactAt = 256 << 10
	fileMode  = 0o600
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // never changed

// Options open a File.
type Options struct {
	Path string
	// NoSync leaves writes to the operating system: they survive the process, not
	// the machine.
	NoSync bool
	// PowerCut is asked before each write; true cuts the power in its middle. Nil:
	// never.
	PowerCut func() bool
}

// A File is an open journal. It is safe for concurrent use.
type File struct {
	o Options

	mu     sync.Mutex
	f      *os.File
	size   int64
	values map[string][]byte
	off    bool // the power is cut
}

// Open opens or makes the file and replays it. It returns ErrFormat for
// something else, and the errors of the file system.
func Open(o Options) (*File, error) {
	f, err := os.OpenFile(o.Path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	n := &File{o: o, f: f, values: map[string][]byte{}}
	if err := n.replay(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", o.Path, err), f.Close())
	}
	return n, nil
}

// Read returns the values of a file that may be in use, without changing it. It
// returns fs.ErrNotExist or ErrFormat.
func Read(path string) (map[string][]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := map[string][]byte{}
	if _, err := decode(raw, values); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

func (n *File) replay() error {
	raw, err := io.ReadAll(n.f)
	if err != nil {
		return err
	}
	if len(raw) < len(magic) && bytes.HasPrefix([]byte(magic), raw) { // new, or cut at birth
		if err := n.f.Truncate(0); err != nil {
			return err
		}
		if _, err := n.f.WriteAt([]byte(magic), 0); err != nil {
			return err
		}
		n.size = int64(len(magic))
		return n.sync(n.f)
	}
	end, err := decode(raw, n.values)
	if err != nil {
		return err
	}
	n.size = int64(end)
	if end == len(raw) {
		return nil
	}
	return errors.Join(n.f.Truncate(n.size), n.sync(n.f))
}

// Get returns a value; nil if there is none.
func (n *File) Get(key string) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bytes.Clone(n.values[key])
}

// Keys returns the keys, sorted.
func (n *File) Keys() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.values))
}

// Put writes one value; nil deletes it.
func (n *File) Put(key string, value []byte) error {
	return n.Write(map[string][]byte{key: value})
}

// Write makes all changes durable at once; a nil value deletes its key. It
// returns ErrTooLarge, ErrPowerCut, or the error of the file system; after such
// an error the File must be closed and opened again.
func (n *File) Write(changes map[string][]byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	raw := encode(changes)
	if len(raw) > maxRecord+headLength {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(raw))
	}
	if err := n.cut(raw); err != nil {
		return err
	}
	if _, err := n.f.WriteAt(raw, n.size); err != nil {
		return err
	}
	if err := n.sync(n.f); err != nil {
		return err
	}
	n.size += int64(len(raw))
	for key, value := range changes {
		if value == nil {
			delete(n.values, key)
			continue
		}
		n.values[key] = bytes.Clone(value)
	}
	if n.size > compactAt && n.size > 2*n.live() {
		return n.compact()
	}
	return nil
}

// cut leaves half of raw in the file if the power is to be cut.
func (n *File) cut(raw []byte) error {
	if !n.off && (n.o.PowerCut == nil || !n.o.PowerCut()) {
		return nil
	}
	if !n.off {
		n.off = true
		_, _ = n.f.WriteAt(raw[:len(raw)/2], n.size) // that is the fault
	}
	return ErrPowerCut
}

func (n *File) live() int64 {
	size := int64(len(magic))
	for key, value := range n.values {
		size += headLength + int64(len(key)+len(value))
	}
	return size
}

// Compact rewrites the file with nothing but the present values, so that those
// that were deleted or replaced are gone.
func (n *File) Compact() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.compact()
}

func (n *File) compact() error {
	raw := []byte(magic)
	for key, value := range n.values {
		raw = append(raw, encode(map[string][]byte{key: value})...)
	}
	if err := n.cut(nil); err != nil {
		return err
	}
	fresh, err := os.OpenFile(n.o.Path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	if _, err := fresh.Write(raw); err != nil {
		return errors.Join(err, fresh.Close())
	}
	if err := errors.Join(n.sync(fresh), os.Rename(fresh.Name(), n.o.Path)); err != nil {
		return errors.Join(err, fresh.Close())
	}
	old := n.f
	n.f, n.size = fresh, int64(len(raw))
	return errors.Join(old.Close(), n.syncDir())
}

func (n *File) sync(f *os.File) error {
	if n.o.NoSync {
		return nil
	}
	return f.Sync()
}

func (n *File) syncDir() error {
	if n.o.NoSync {
		return nil
	}
	return durable.SyncDirectory(filepath.Dir(n.o.Path))
}

// Close closes the file; there is nothing left to write.
func (n *File) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.f.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}
