// Package signlog keeps signs of life of devices in append-only files until they
// are folded into the database: what would be a write of a row a message is a few
// bytes a message (server.Log).
//
// A directory holds one file that grows and, while they are being folded, those
// before it. A file is a header and records of one size, each with its checksum: a
// tail that a crash tore is left out, whatever is in it.
package signlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"steward/cmd/internal/durable"
	"steward/lwm2m/server"
)

// ErrFormat reports a file in the directory that is none of ours, or of a later
// version.
var ErrFormat = errors.New("not a log of refreshes")

const (
	// header begins every file: what it is, and the version of its records.
	header = "STWSIGN1"
	// maxFile bounds a file: over a million signs. What comes beyond goes to the
	// database itself.
	maxFile = 64 << 20
	// maxBuffer bounds what waits for Sync, in bytes: more than it takes at any
	// rate of messages.
	maxBuffer = 16 << 20
	// pattern names the files so that their names sort by age.
	pattern = "%012d.signs"
)

// A Log is a directory of files. It is safe for concurrent use.
type Log struct {
	dir string
	old []string // files of the process before, the oldest first

	io     sync.Mutex // held by Sync, Rotate and Close
	number uint64     // of file
	spent  []string   // files before file, to be dropped
	spare  []byte

	mu     sync.Mutex // guards what follows; never held across I/O
	file   *os.File
	buffer []byte
	size   int64 // of file and buffer
	broken bool  // the file cannot be written
}

// Open opens the directory, making it if need be, and begins a new file in it. It
// returns ErrFormat.
func Open(dir string) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir}
	for _, e := range entries {
		_, err := fmt.Sscanf(e.Name(), pattern, &l.number)
		if err != nil || fmt.Sprintf(pattern, l.number) != e.Name() {
			return nil, fmt.Errorf("%w: %s", ErrFormat, e.Name())
		}
		l.old = append(l.old, filepath.Join(dir, e.Name()))
	}
	l.spent = slices.Clone(l.old)
	if l.file, err = l.create(); err != nil {
		return nil, err
	}
	l.size = int64(len(header))
	return l, nil
}

// create makes the next file, durable as a name. The caller holds io, or is alone.
func (l *Log) create() (*os.File, error) {
	l.number++
	f, err := os.OpenFile(filepath.Join(l.dir, fmt.Sprintf(pattern, l.number)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(header)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = durable.SyncDirectory(l.dir)
	}
	if err != nil { // a disk that stays full must not fill up with names
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// Append implements server.Log.
func (l *Log) Append(s server.Sign) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken || l.size+recordSize > maxFile || len(l.buffer)+recordSize > maxBuffer {
		return false
	}
	l.buffer = appendRecord(l.buffer, s)
	l.size += recordSize
	return true
}

// Sync implements server.Log.
func (l *Log) Sync() error {
	l.io.Lock()
	defer l.io.Unlock()
	l.mu.Lock()
	f, out := l.file, l.buffer
	l.buffer = l.spare[:0]
	l.mu.Unlock()
	return l.write(f, out)
}

// write brings a buffer to the disk and keeps it for later. The caller holds io.
func (l *Log) write(f *os.File, out []byte) error {
	l.spare = out[:0]
	if len(out) == 0 {
		return nil
	}
	_, err := f.Write(out)
	if err == nil {
		err = f.Sync()
	}
	if err != nil { // what was lost is still known in memory, and will be folded
		l.mu.Lock()
		l.broken = l.file == f
		l.mu.Unlock()
	}
	return err
}

// Rotate implements server.Log.
func (l *Log) Rotate() (drop func() error, err error) {
	l.io.Lock()
	defer l.io.Unlock()
	next, err := l.create()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	before, out := l.file, l.buffer
	l.file, l.buffer, l.size, l.broken = next, l.spare[:0], int64(len(header)), false
	l.mu.Unlock()
	l.spent = append(l.spent, before.Name())
	err = errors.Join(l.write(before, out), before.Close())
	spent := slices.Clone(l.spent)
	return func() error { return l.drop(spent) }, err
}

// drop removes files whose signs are in the database.
func (l *Log) drop(spent []string) error {
	l.io.Lock()
	defer l.io.Unlock()
	var errs []error
	for _, name := range spent {
		err := os.Remove(name)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			l.spent = slices.DeleteFunc(l.spent, func(s string) bool { return s == name })
			continue
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Replay implements server.Log. It passes over records that were damaged.
func (l *Log) Replay(fn func(server.Sign)) error {
	for _, name := range l.old {
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := replay(raw, fn); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// replay reads one file. One whose header a crash tore, or left as zeros, holds
// nothing: records follow only once it is on the disk.
func replay(raw []byte, fn func(server.Sign)) error {
	n := min(len(raw), len(header))
	if bytes.Equal(raw, make([]byte, len(raw))) {
		return nil
	}
	if !bytes.Equal(raw[:n], []byte(header[:n])) {
		return ErrFormat
	}
	for rest := raw[n:]; len(rest) >= recordSize; rest = rest[recordSize:] {
		if s, ok := parseRecord(rest[:recordSize]); ok {
			fn(s)
		}
	}
	return nil
}

// Close syncs the log. What is in it is for the next process.
func (l *Log) Close() error {
	err := l.Sync()
	return errors.Join(err, l.file.Close())
}
