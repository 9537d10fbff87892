// Package revokelog keeps in an append-only file what a restored database must not
// forget: revoked certificates, deleted rights, and CRL numbers (est.Journal).
//
// The file is a header and records of one size, each with its checksum, and is on
// the disk before anybody is told of a revocation. A tail that a crash tore was
// never told of and is cut off; damage before a good record is an error.
package revokelog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"steward/cmd/internal/durable"
	"steward/est"
)

// Errors of a Log.
var (
	// ErrFormat reports a file that is none of ours, or of a later version.
	ErrFormat = errors.New("not a log of revocations")
	// ErrDamaged reports a bad record that good ones follow.
	ErrDamaged = errors.New("log of revocations is damaged")
)

const (
	// header begins the file: what it is, and the version of its records.
	header = "STWREVO1"
	// minRewrite is how many records there must be before a file is written anew
	// without those that are over.
	minRewrite = 4096
)

// A Log is one file. It is safe for concurrent use.
type Log struct {
	path    string
	lock    *os.File
	entries []est.Entry // of the processes before; nil after Replay
	clean   bool

	io    sync.Mutex // held while the file is written; guards what follows
	file  *os.File
	size  int64 // of what is good in it
	dirty bool  // the last write failed: what is behind size is not known

	mu   sync.Mutex // guards next; never held across I/O
	next *batch     // what the next write brings to the disk
}

// A batch is what calls of Append that come together write at once. Log.io guards
// done and err.
type batch struct {
	body []byte
	done bool
	err  error
}

// Open opens the file, making it if need be, cuts a torn tail off, and leaves out
// certificates that expired before since. It returns ErrFormat or ErrDamaged, and
// an error while another process has the file.
func Open(path string, since time.Time) (*Log, error) {
	lock, err := lockBeside(path)
	if err != nil {
		return nil, err
	}
	l, err := open(path, since)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l.lock = lock
	return l, nil
}

// lockBeside locks the file for this process by another beside it: the file itself may
// be replaced, and is read before it can be locked.
func lockBeside(path string) (*os.File, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: another process has it: %w", path, err), lock.Close())
	}
	return lock, nil
}

func open(path string, since time.Time) (*Log, error) {
	l := &Log{path: path}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	entries, whole, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if n := len(entries); n > 0 && entries[n-1].Kind == kindClosed && whole == len(raw) {
		l.clean = true
		whole -= recordSize // it is not true of this process
	}
	l.entries = latest(entries, since)
	if whole < len(header) || len(entries) > minRewrite && len(l.entries) < len(entries)/2 {
		if whole, err = rewrite(path, l.entries); err != nil {
			return nil, err
		}
	}
	l.file, err = os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = l.cut(int64(whole))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), l.file.Close())
	}
	return l, nil
}

// cut ends the file at size, where the next record goes.
func (l *Log) cut(size int64) error {
	err := l.file.Truncate(size)
	if err == nil {
		_, err = l.file.Seek(size, io.SeekStart)
	}
	if err == nil {
		err = l.file.Sync()
	}
	l.size, l.dirty = size, err != nil
	return err
}

// parse reads a file. whole is where the last good record ends.
func parse(raw []byte) (entries []est.Entry, whole int, err error) {
	if n := min(len(raw), len(header)); string(raw[:n]) != header[:n] && !zeros(raw) {
		return nil, 0, ErrFormat
	}
	if len(raw) < len(header) || zeros(raw) {
		return nil, 0, nil
	}
	whole = len(header)
	for at := whole; at+recordSize <= len(raw); at += recordSize {
		e, ok := parseRecord(raw[at : at+recordSize])
		switch {
		case !ok:
		case at != whole:
			return nil, 0, fmt.Errorf("%w at byte %d", ErrDamaged, whole)
		default:
			entries = append(entries, e)
			whole = at + recordSize
		}
	}
	return entries, whole, nil
}

func zeros(raw []byte) bool {
	for _, b := range raw {
		if b != 0 {
			return false
		}
	}
	return true
}

// latest returns the entries that still mean something: certificates that did not
// expire before since, the last word on each right and issuer.
func latest(entries []est.Entry, since time.Time) []est.Entry {
	type name struct {
		kind    est.EntryKind
		subject est.Hash
	}
	of := func(e est.Entry) name {
		if e.Kind == est.EntryRevoked {
			return name{e.Kind, e.Revocation.Hash}
		}
		return name{e.Kind, e.Subject}
	}
	last := make(map[name]int, len(entries))
	for i, e := range entries {
		last[of(e)] = i
	}
	out := make([]est.Entry, 0, len(last))
	for i, e := range entries {
		over := e.Kind == kindClosed || e.Over(since)
		if !over && last[of(e)] == i {
			out = append(out, e)
		}
	}
	return out
}

// rewrite makes the file anew, whole or not at all, and returns its size.
func rewrite(path string, entries []est.Entry) (int, error) {
	body := []byte(header)
	var err error
	for _, e := range entries {
		if body, err = appendRecord(body, e); err != nil {
			return 0, err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".revocations-*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return 0, err
	}
	return len(body), durable.SyncDirectory(filepath.Dir(path))
}

// Append implements est.Journal. Calls that come together share one write. After an
// error nothing of the batch counts, and the next call tries again.
func (l *Log) Append(entries []est.Entry) error {
	var body []byte
	var err error
	for _, e := range entries {
		if body, err = appendRecord(body, e); err != nil {
			return err
		}
	}
	l.mu.Lock()
	if l.next == nil {
		l.next = &batch{}
	}
	b := l.next
	b.body = append(b.body, body...)
	l.mu.Unlock()
	l.io.Lock()
	defer l.io.Unlock()
	if b.done {
		return b.err
	}
	l.mu.Lock()
	l.next = nil // nobody joins b from here on
	l.mu.Unlock()
	b.done, b.err = true, l.write(b.body)
	return b.err
}

// write brings body to the disk. The caller holds io.
func (l *Log) write(body []byte) error {
	if l.dirty {
		if err := l.cut(l.size); err != nil {
			return err
		}
	}
	l.dirty = true
	_, err := l.file.Write(body)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return err
	}
	l.dirty = false
	l.size += int64(len(body))
	return nil
}

// Replay implements est.Journal. It may be called once.
func (l *Log) Replay(fn func(est.Entry) error) (clean bool, err error) {
	entries := l.entries
	l.entries = nil
	for _, e := range entries {
		if err := fn(e); err != nil {
			return false, err
		}
	}
	return l.clean, nil
}

// Close ends the log in order, unless something could not be written.
func (l *Log) Close() error {
	l.io.Lock()
	dirty := l.dirty
	l.io.Unlock()
	var err error
	if !dirty {
		err = l.Append([]est.Entry{{Kind: kindClosed}})
	}
	return errors.Join(err, l.file.Close(), l.lock.Close())
}
