// Package oncetest holds a Store in memory and the tests that every Store must pass.
package oncetest

import (
	"context"
	"maps"
	"sync"
	"time"

	"steward/web/once"
)

// Memory is a once.Store that forgets with the process. Its zero value is ready.
type Memory struct {
	mu  sync.Mutex // guards all
	all map[once.Key]once.Reply
}

// Begin implements once.Store.
func (m *Memory) Begin(_ context.Context, r once.Reply) (once.Reply, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	there, ok := m.all[r.Key]
	if ok && (there.State != once.Running || there.Run == r.Run) {
		return there, false, nil
	}
	if !ok && m.count(r.Caller) >= once.MaxReplies {
		return once.Reply{}, false, once.ErrFull
	}
	if m.all == nil {
		m.all = map[once.Key]once.Reply{}
	}
	m.all[r.Key] = r
	return r, true, nil
}

func (m *Memory) count(caller string) (n int) {
	for _, r := range m.all {
		if r.Caller == caller {
			n++
		}
	}
	return n
}

// Apply notes that something was changed for the key of ctx, as the transactions of
// other stores do.
func (m *Memory) Apply(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, _ := once.KeyOf(ctx)
	r, ok := m.all[k]
	if !ok {
		return once.ErrGone
	}
	r.State = once.Applied
	m.all[k] = r
	return nil
}

// Finish implements once.Store.
func (m *Memory) Finish(_ context.Context, r once.Reply) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	there, ok := m.all[r.Key]
	if !ok {
		return once.ErrGone
	}
	if there.State == once.Running && r.Status/100 != 2 {
		delete(m.all, r.Key)
		return nil
	}
	m.all[r.Key] = r
	return nil
}

// Prune implements once.Store.
func (m *Memory) Prune(_ context.Context, before time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.all, func(_ once.Key, r once.Reply) bool { return r.At.Before(before) })
	return nil
}
