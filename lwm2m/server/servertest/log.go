package servertest

import (
	"slices"
	"sync"

	"steward/lwm2m/server"
)

// A Log is a server.Log in memory. The zero Log is empty and ready.
type Log struct {
	mu    sync.Mutex
	files [][]server.Sign // the last is the one that grows
	full  bool
	syncs int
}

// Append implements server.Log.
func (l *Log) Append(s server.Sign) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return false
	}
	if len(l.files) == 0 {
		l.files = [][]server.Sign{nil}
	}
	last := len(l.files) - 1
	l.files[last] = append(l.files[last], s)
	return true
}

// Sync implements server.Log.
func (l *Log) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.syncs++
	return nil
}

// Rotate implements server.Log.
func (l *Log) Rotate() (drop func() error, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = false
	n := len(l.files)
	l.files = append(l.files, nil)
	return func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.files = slices.Delete(l.files, 0, n)
		return nil
	}, nil
}

// Replay implements server.Log.
func (l *Log) Replay(fn func(server.Sign)) error {
	for _, s := range l.Signs() {
		fn(s)
	}
	return nil
}

// Signs returns what is in the log, the oldest first.
func (l *Log) Signs() []server.Sign {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.files...)
}

// Fill makes the log refuse signs until it is rotated.
func (l *Log) Fill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = true
}

// Syncs returns how often the log was synced.
func (l *Log) Syncs() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.syncs
}
