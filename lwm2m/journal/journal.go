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
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
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
	// minGrowth is what a journal may always grow by before it is worth a Rewrite.
	minGrowth = 1 << 20
)

// A Journal is open for appending. Its methods may be called at the same time,
// but for Rewrite and Close, of which one may run at a time.
type Journal struct {
	dir  string
	boot string
	life uint64 // generation of the first rewrite, which names the cells' file
	// cells are nil when the journal is closed; a cell is safe for itself.
	cells atomic.Pointer[cells]

	mu         sync.Mutex
	generation uint64
	now        *file // nil: none yet, or closed
	next       *file // that a Rewrite is making; nil: none
	base       int64 // size of now after the rewrite
}

// Create begins a journal in dir in place of what was left there. It becomes
// one, and what was left is gone, with the first Rewrite.
func Create(dir string, left *Left) (*Journal, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{dir: dir, boot: bootID(), generation: left.generation, life: left.generation + 1}
	c, err := createCells(path(dir, cellsPrefix, j.life))
	if err != nil {
		return nil, err
	}
	j.cells.Store(c)
	return j, nil
}

// The files of a journal.
const (
	keyFile       = "key"
	journalPrefix = "journal-"
	cellsPrefix   = "cells-"
)

func path(dir, prefix string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%s%016x", prefix, number))
}

// Cell returns cell i, all zeros when it is new. It is valid until Close. It takes
// no lock when the cell, or one above it, was there before.
func (j *Journal) Cell(i uint32) (Cell, error) { return j.cells.Load().at(i) }

// Rewrite replaces the journal, and all that was left by earlier ones, by one of
// these frames. When it returns no other can be read any more. What is appended
// meanwhile is in both, in the new one between the frames that were taken before
// and after. Nobody waits longer than for the writing of one frame.
func (j *Journal) Rewrite(frames iter.Seq[[]byte]) error {
	if j.cells.Load() == nil {
		return ErrClosed
	}
	return j.rewrite(frames, false)
}

// Close leaves these frames to the next process and ends the journal. If it
// fails it leaves what the death of the process would.
func (j *Journal) Close(frames iter.Seq[[]byte]) error {
	if j.cells.Load() == nil {
		return ErrClosed
	}
	if err := j.rewrite(frames, true); err != nil {
		return errors.Join(err, j.Abandon())
	}
	return errors.Join(j.Abandon(), os.Remove(path(j.dir, cellsPrefix, j.life)))
}

// Abandon gives the files free and leaves them as the death of the process
// would.
func (j *Journal) Abandon() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var errs []error
	if j.now != nil {
		errs = append(errs, j.now.Close())
		j.now = nil
	}
	if c := j.cells.Swap(nil); c != nil {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// rewrite makes the journal of the next generation. The old one stays valid
// until the key is replaced, and both have the same to say then.
func (j *Journal) rewrite(frames iter.Seq[[]byte], clean bool) error {
	j.mu.Lock()
	generation := j.generation + 1
	j.mu.Unlock()
	name, key := path(j.dir, journalPrefix, generation), newKey()
	next, err := createFile(name, key)
	if err != nil {
		return err
	}
	if err = j.fill(next, frames, clean); err == nil {
		err = writeKey(filepath.Join(j.dir, keyFile), generation, key)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next = nil
	if err != nil {
		return errors.Join(fmt.Errorf("journal: %w", err), next.Close(), os.Remove(name))
	}
	if j.now != nil {
		_ = j.now.Close() // nothing of it is needed any more
	}
	j.now, j.generation, j.base = next, generation, next.size
	j.clear()
	return nil
}

// fill writes the header and the frames of a new file.
func (j *Journal) fill(next *file, frames iter.Seq[[]byte], clean bool) error {
	err := next.write(header{clean: clean, life: j.life, boot: j.boot}.append(nil))
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.next = next
	j.mu.Unlock()
	for f := range frames {
		j.mu.Lock()
		err := next.write(f)
		j.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if clean {
		return next.Sync()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if next.unusable { // what was appended meanwhile is not in it
		return ErrClosed
	}
	return nil
}

// clear removes the files of other generations. One that stays is of no key.
func (j *Journal) clear() {
	for prefix, number := range map[string]uint64{journalPrefix: j.generation, cellsPrefix: j.life} {
		files, _ := filepath.Glob(filepath.Join(j.dir, prefix+"*")) // the pattern is good
		for _, f := range files {
			if f != path(j.dir, prefix, number) {
				_ = os.Remove(f)
			}
		}
	}
}

// Append adds one frame. When it fails for another reason than ErrFrame, as on a
// full disk, only a Rewrite makes the journal usable again.
func (j *Journal) Append(frame []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next != nil {
		_ = j.next.write(frame) // its failure is the rewrite's
	}
	if j.now == nil {
		return ErrClosed
	}
	return j.now.write(frame)
}

// Grown reports whether a Rewrite is due: so much was appended that it is worth
// its while, or Append has failed.
func (j *Journal) Grown() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.now != nil && (j.now.unusable || j.now.size-j.base > max(j.base, minGrowth))
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
