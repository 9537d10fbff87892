package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// CellNumbers is how many numbers a cell holds.
const CellNumbers = 2

const (
	cellSize = 8 * CellNumbers
	// segmentCells are mapped at a time; segmentSize is a multiple of every page
	// size.
	segmentCells = 32768
	segmentSize  = segmentCells * cellSize
)

// A Cell is a few numbers of the journal. A store is one instruction, so that
// the death of the process leaves each number as it was or as it became. The
// zero Cell is none: stores to it are lost.
type Cell struct{ b *[cellSize]byte }

// Store sets number k.
func (c Cell) Store(k int, n uint64) {
	if c.b != nil {
		binary.NativeEndian.PutUint64(c.b[8*k:], n)
	}
}

// Load returns number k.
func (c Cell) Load(k int) uint64 {
	if c.b == nil {
		return 0
	}
	return binary.NativeEndian.Uint64(c.b[8*k:])
}

// cells is a file in shared memory that grows by segments.
type cells struct {
	file *os.File
	// segments are those that are mapped; a longer list takes the place of this one.
	segments atomic.Pointer[[][]byte]
	growing  sync.Mutex
}

func createCells(path string) (*cells, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, fileMode)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	c := &cells{file: f}
	c.segments.Store(new([][]byte))
	return c, nil
}

func (c *cells) at(i uint32) (Cell, error) {
	if c == nil {
		return Cell{}, ErrClosed
	}
	segments := *c.segments.Load()
	for uint32(len(segments)) <= i/segmentCells { //nolint:gosec // G115: a small number
		var err error
		if segments, err = c.grow(len(segments)); err != nil {
			return Cell{}, fmt.Errorf("journal: %w", err)
		}
	}
	at := i % segmentCells * cellSize
	return Cell{(*[cellSize]byte)(segments[i/segmentCells][at:])}, nil
}

// grow adds a segment to n of them, unless somebody else was first. Its zeros are
// written, not only promised by the length: a full disk must be an error now and
// not the end of the process later.
func (c *cells) grow(n int) ([][]byte, error) {
	c.growing.Lock()
	defer c.growing.Unlock()
	segments := *c.segments.Load()
	if len(segments) > n {
		return segments, nil
	}
	at := int64(n) * segmentSize
	if _, err := c.file.WriteAt(make([]byte, segmentSize), at); err != nil {
		return nil, err
	}
	s, err := syscall.Mmap(int(c.file.Fd()), at, segmentSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	segments = append(segments[:n:n], s)
	c.segments.Store(&segments)
	return segments, nil
}

// close unmaps the cells: nobody may have one any more.
func (c *cells) close() error {
	c.growing.Lock()
	defer c.growing.Unlock()
	var errs []error
	for _, s := range *c.segments.Swap(new([][]byte)) {
		errs = append(errs, syscall.Munmap(s))
	}
	return errors.Join(append(errs, c.file.Close())...)
}
