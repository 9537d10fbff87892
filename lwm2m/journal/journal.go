// Package journal keeps records over the end of the process, whether it was
// stopped or killed: an encrypted file that frames are appended to, and beside
// it cells, a few numbers each in memory shared with a file, for what changes
// with every message. Neither an append nor a cell waits for the disk: both are
// the kernel's as soon as they are made, and survive the process but not the
// host. So after a crash of the host nothing is read (ErrHost). After Close,
// which does wait, everything is.
//
// What was written is read once: Rewrite replaces the key of all that was
// before, and only then may what was read be used.
package journal

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// Errors of reading and writing.
var (
	// ErrKey reports a key file that cannot be used: damaged, readable by others
	// or a copy of what another process has, or had.
	ErrKey = errors.New("journal: unusable key file")
	// ErrConsumed reports a journal that is not of the present key, damaged or an
	// old one put back.
	ErrConsumed = errors.New("journal: not of the present key")
	// ErrHost reports a journal that was not closed before its host stopped: the
	// end of it may be lost.
	ErrHost = errors.New("journal: the host stopped before it was closed")
	// ErrFrame reports a frame longer than MaxFrame.
	ErrFrame = errors.New("journal: overlong frame")
	// ErrClosed reports a journal that is not open.
	ErrClosed = errors.New("journal: closed")
)

const (
	// MaxFrame is the longest frame in bytes, so that a length can be believed
	// before there is memory for it.
	MaxFrame = 1 << 20

	fileMode = 0o600
	dirMode  = 0o700
	others   = 0o077 // permission bits that nobody but the owner may have

	lengthSize = 4
	tagSize    = 16
	nonceSize  = 12
	bufferSize = 256 << 10
	// minGrowth is what a journal may always grow by before it is worth a Rewrite.
	minGrowth = 1 << 20
)

// A Journal is open for appending. Its methods are not safe for concurrent use;
// its cells are, each for itself.
type Journal struct {
	dir        string
	boot       string
	generation uint64
	life       uint64 // generation of the first rewrite, which names the cells' file
	cells      *cells

	file     *os.File // nil: none yet, or closed
	aead     cipher.AEAD
	frames   uint64 // written, the number of the next nonce
	size     int64
	base     int64 // size after the rewrite
	unusable bool  // the file ends with a part of a frame
}

// Create begins a journal in dir in place of what was left there. It becomes
// one, and what was left is gone, with the first Rewrite.
func Create(dir string, left *Left) (*Journal, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{dir: dir, boot: bootID(), generation: left.generation, life: left.generation + 1}
	var err error
	if j.cells, err = createCells(j.path(cellsPrefix, j.life)); err != nil {
		return nil, err
	}
	return j, nil
}

// The files of a journal.
const (
	keyFile       = "key"
	journalPrefix = "journal-"
	cellsPrefix   = "cells-"
)

func (j *Journal) path(prefix string, number uint64) string {
	return filepath.Join(j.dir, fmt.Sprintf("%s%016x", prefix, number))
}

// Cell returns cell i, all zeros when it is new. It is valid until Close.
func (j *Journal) Cell(i uint32) (Cell, error) { return j.cells.at(i) }

// Rewrite replaces the journal, and all that was left by earlier ones, by one of
// these frames. When it returns no other can be read any more.
func (j *Journal) Rewrite(frames iter.Seq[[]byte]) error {
	if j.cells == nil {
		return ErrClosed
	}
	return j.rewrite(frames, false)
}

// Close leaves these frames to the next process and ends the journal. If it
// fails it leaves what the death of the process would.
func (j *Journal) Close(frames iter.Seq[[]byte]) error {
	if j.cells == nil {
		return ErrClosed
	}
	path := j.path(cellsPrefix, j.life)
	if err := j.rewrite(frames, true); err != nil {
		return errors.Join(err, j.Abandon())
	}
	return errors.Join(j.Abandon(), os.Remove(path))
}

// Abandon gives the files free and leaves them as the death of the process
// would.
func (j *Journal) Abandon() error {
	var errs []error
	if j.file != nil {
		errs = append(errs, j.file.Close())
		j.file = nil
	}
	if j.cells != nil {
		errs = append(errs, j.cells.close())
		j.cells = nil
	}
	return errors.Join(errs...)
}

// rewrite makes the journal of the next generation. The old one stays valid
// until the key is replaced.
func (j *Journal) rewrite(frames iter.Seq[[]byte], clean bool) (err error) {
	next := *j
	next.generation, next.frames, next.size, next.unusable = j.generation+1, 0, 0, false
	key := newKey()
	if next.aead, err = aeadOf(key); err != nil {
		return err
	}
	path := j.path(journalPrefix, next.generation)
	next.file, err = os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, fileMode)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("journal: %w", err), next.file.Close(), os.Remove(path))
		}
	}()
	w := bufio.NewWriterSize(next.file, bufferSize)
	if err = next.write(w, header{clean: clean, life: j.life, boot: j.boot}.append(nil)); err != nil {
		return err
	}
	for f := range frames {
		if err = next.write(w, f); err != nil {
			return err
		}
	}
	if err = w.Flush(); err != nil {
		return err
	}
	if clean {
		if err = next.file.Sync(); err != nil {
			return err
		}
	}
	if err = writeKey(filepath.Join(j.dir, keyFile), next.generation, key); err != nil {
		return err
	}
	next.base = next.size
	old := j.file
	*j = next
	if old != nil {
		_ = old.Close() // nothing of it is needed any more
	}
	j.clear()
	return nil
}

// clear removes the files of other generations. One that stays is of no key.
func (j *Journal) clear() {
	for prefix, number := range map[string]uint64{journalPrefix: j.generation, cellsPrefix: j.life} {
		files, _ := filepath.Glob(filepath.Join(j.dir, prefix+"*")) // the pattern is good
		for _, f := range files {
			if f != j.path(prefix, number) {
				_ = os.Remove(f)
			}
		}
	}
}

// Append adds one frame. When it fails for another reason than ErrFrame, as on a
// full disk, only a Rewrite makes the journal usable again.
func (j *Journal) Append(frame []byte) error {
	if j.file == nil || j.unusable {
		return ErrClosed
	}
	err := j.write(j.file, frame)
	j.unusable = err != nil && !errors.Is(err, ErrFrame) // a part of the frame may be there
	return err
}

// Grown reports whether a Rewrite is due: so much was appended that it is worth
// its while, or Append has failed.
func (j *Journal) Grown() bool {
	return j.file != nil && (j.unusable || j.size-j.base > max(j.base, minGrowth))
}

// write seals one frame. Its nonce is its number, under a key of this file alone.
func (j *Journal) write(w io.Writer, frame []byte) error {
	if len(frame) > MaxFrame {
		return fmt.Errorf("%w: %d bytes", ErrFrame, len(frame))
	}
	out := make([]byte, lengthSize, lengthSize+len(frame)+tagSize)
	binary.BigEndian.PutUint32(out, uint32(len(frame)+tagSize)) //nolint:gosec // G115: at most MaxFrame
	out = j.aead.Seal(out, nonceOf(j.frames), frame, nil)
	n, err := w.Write(out)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.frames++
	j.size += int64(n)
	return nil
}

func nonceOf(frame uint64) []byte {
	nonce := make([]byte, nonceSize)
	binary.BigEndian.PutUint64(nonce[nonceSize-8:], frame)
	return nonce
}

func aeadOf(key [keySize]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return cipher.NewGCM(block)
}

// bootID names this run of the host, "" if there is no telling.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(text) > maxBoot {
		return ""
	}
	return string(text)
}
