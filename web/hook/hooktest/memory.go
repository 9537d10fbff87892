// Package hooktest holds a Store in memory and the tests that every Store must pass.
package hooktest

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"steward/lwm2m/audit"
	"steward/web/hook"
)

// Memory is a hook.Store that forgets with the process. Its zero value is ready.
type Memory struct {
	mu      sync.Mutex // guards what follows
	hooks   []hook.Hook
	letters []hook.Letter
	rows    []audit.Row
}

// Rows returns the audit rows written so far.
func (m *Memory) Rows() []audit.Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.rows)
}

// Hooks implements hook.Store.
func (m *Memory) Hooks(context.Context) ([]hook.Hook, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.hooks)
	slices.SortFunc(all, func(a, b hook.Hook) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// Put implements hook.Store.
func (m *Memory) Put(_ context.Context, h hook.Hook, row audit.Row, buried ...hook.Letter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.hooks, func(o hook.Hook) bool { return o.ID == h.ID })
	switch {
	case h.Version == 0 && len(m.hooks) >= hook.MaxHooks:
		return hook.ErrFull
	case i < 0 && h.Version != 0, i >= 0 && m.hooks[i].Version != h.Version:
		return hook.ErrConflict
	}
	h.Version++
	if i < 0 {
		m.hooks = append(m.hooks, h)
	} else {
		m.hooks[i] = h
	}
	for _, l := range buried {
		m.put(l)
	}
	m.note(row)
	return nil
}

// put stores a letter; the oldest of its hook go beyond MaxLetters.
func (m *Memory) put(l hook.Letter) {
	mine := func(o hook.Letter) bool { return o.Hook == l.Hook }
	m.letters = slices.DeleteFunc(m.letters, func(o hook.Letter) bool { return mine(o) && o.Event == l.Event })
	m.letters = append(m.letters, l)
	slices.SortFunc(m.letters, func(a, b hook.Letter) int { return cmp.Compare(a.Event, b.Event) })
	n := 0
	for _, o := range m.letters {
		if mine(o) {
			n++
		}
	}
	if n > hook.MaxLetters {
		i := slices.IndexFunc(m.letters, mine)
		m.letters = slices.Delete(m.letters, i, i+1)
	}
}

func (m *Memory) note(row audit.Row) {
	if row.Action != "" {
		m.rows = append(m.rows, row)
	}
}

// Remove implements hook.Store.
func (m *Memory) Remove(_ context.Context, id string, row audit.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.hooks)
	m.hooks = slices.DeleteFunc(m.hooks, func(h hook.Hook) bool { return h.ID == id })
	if len(m.hooks) == n {
		return hook.ErrNotFound
	}
	m.letters = slices.DeleteFunc(m.letters, func(l hook.Letter) bool { return l.Hook == id })
	m.note(row)
	return nil
}

// Letters implements hook.Store.
func (m *Memory) Letters(
	_ context.Context, id string, state hook.LetterState, after uint64, limit int,
) (out []hook.Letter, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.letters {
		if l.Hook == id && l.Event > after && (state == "" || l.State == state) && len(out) < limit {
			out = append(out, l)
		}
	}
	return out, nil
}

// Letter implements hook.Store.
func (m *Memory) Letter(_ context.Context, id string, event uint64) (hook.Letter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.letters, func(l hook.Letter) bool { return l.Hook == id && l.Event == event })
	if i < 0 {
		return hook.Letter{}, hook.ErrNotFound
	}
	return m.letters[i], nil
}

// PutLetter implements hook.Store.
func (m *Memory) PutLetter(_ context.Context, l hook.Letter, row audit.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.ContainsFunc(m.letters, func(o hook.Letter) bool { return o.Hook == l.Hook && o.Event == l.Event }) {
		return hook.ErrNotFound
	}
	m.put(l)
	m.note(row)
	return nil
}
