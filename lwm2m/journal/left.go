package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Left is what the last process left in a directory.
type Left struct {
	// Clean says that the journal was closed. Otherwise cells tell of the last moments.
	Clean bool
	// Frames are those of the last Rewrite, or of Close, and what was appended since.
	Frames [][]byte
	// Torn says that the last frame was cut off, as happens to a process that is
	// killed while it writes. It is not among Frames.
	Torn bool

	generation uint64
	cells      []byte
}

// Read reads what is left in dir, nothing if there never was a journal. With an
// error, which is ErrKey, ErrConsumed, ErrHost or the file system's, it returns
// an empty Left, which Create takes too.
func Read(dir string) (*Left, error) {
	left := &Left{}
	generation, key, err := readKey(filepath.Join(dir, keyFile))
	left.generation = generation
	if errors.Is(err, fs.ErrNotExist) {
		return left, nil
	}
	if err != nil {
		return left, err
	}
	aead, err := aeadOf(key)
	if err != nil {
		return left, err
	}
	raw, err := os.ReadFile(path(dir, journalPrefix, generation))
	if errors.Is(err, fs.ErrNotExist) {
		return left, fmt.Errorf("%w: no file", ErrConsumed)
	}
	if err != nil {
		return left, fmt.Errorf("journal: %w", err)
	}
	frames, torn := (&file{aead: aead}).open(raw)
	if len(frames) == 0 {
		return left, ErrConsumed
	}
	h, err := readHeader(frames[0])
	if err != nil {
		return left, err
	}
	if !h.clean {
		if h.boot == "" || h.boot != bootID() {
			return left, ErrHost
		}
		if left.cells, err = os.ReadFile(path(dir, cellsPrefix, h.life)); err != nil {
			return left, fmt.Errorf("journal: %w", err)
		}
	}
	left.Clean, left.Frames, left.Torn = h.clean, frames[1:], torn
	return left, nil
}

// Cell returns the numbers of cell i as they were last, and whether there is one.
func (l *Left) Cell(i uint32) (numbers [CellNumbers]uint64, ok bool) {
	at := int(i) * cellSize
	if at+cellSize > len(l.cells) {
		return numbers, false
	}
	c := Cell{(*[cellSize]byte)(l.cells[at:])}
	for k := range numbers {
		numbers[k] = c.Load(k)
	}
	return numbers, true
}

// header is the first frame of a journal.
type header struct {
	clean bool
	life  uint64
	boot  string
}

const (
	headerVersion = 1
	headerSize    = 10
	maxBoot       = 64
)

func (h header) append(dst []byte) []byte {
	var clean byte
	if h.clean {
		clean = 1
	}
	dst = append(dst, headerVersion, clean)
	dst = binary.BigEndian.AppendUint64(dst, h.life)
	return append(dst, h.boot...)
}

// readHeader returns ErrConsumed for what another version of the program wrote.
func readHeader(b []byte) (header, error) {
	if len(b) < headerSize || len(b) > headerSize+maxBoot || b[0] != headerVersion || b[1] > 1 {
		return header{}, fmt.Errorf("%w: unknown header", ErrConsumed)
	}
	return header{clean: b[1] == 1, life: binary.BigEndian.Uint64(b[2:]), boot: string(b[headerSize:])}, nil
}
