// Package accounttest holds a Store in memory and the tests that every Store
// must pass.
package accounttest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"steward/lwm2m/audit"
	"steward/web/account"
)

type key struct {
	kind account.Kind
	hash account.Hash
}

// Memory is an account.Stores that forgets with the process. Its zero value is
// ready.
type Memory struct {
	mu   sync.Mutex // guards what follows
	all  map[key]account.Credential
	rows []audit.Row

	people map[string]account.Person
	keys   []account.Passkey
}

// Rows returns the audit rows written so far.
func (m *Memory) Rows() []audit.Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.rows)
}

// Put implements account.Store.
func (m *Memory) Put(_ context.Context, c account.Credential, row audit.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(c)
	m.rows = append(m.rows, row)
	return nil
}

func (m *Memory) put(c account.Credential) {
	if m.all == nil {
		m.all = map[key]account.Credential{}
	}
	maps.DeleteFunc(m.all, func(k key, old account.Credential) bool {
		return c.Kind == account.Token && k.kind == account.Token && old.Name == c.Name &&
			old.Owner == c.Owner
	})
	if p, ok := m.people[c.Owner]; ok && c.Kind == account.Session {
		p.SignedInAt = c.CreatedAt
		m.people[c.Owner] = p
	}
	m.all[key{c.Kind, c.Hash}] = c
}

// Get implements account.Store.
func (m *Memory) Get(_ context.Context, kind account.Kind, h account.Hash) (account.Credential, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.all[key{kind, h}]
	if !ok {
		return account.Credential{}, account.ErrCredential
	}
	return c, nil
}

// Exchange implements account.Store.
func (m *Memory) Exchange(_ context.Context, link account.Hash, session account.Credential, row audit.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := key{account.Link, link}
	if _, ok := m.all[k]; !ok {
		return account.ErrCredential
	}
	delete(m.all, k)
	m.put(session)
	m.rows = append(m.rows, row)
	return nil
}

// Touch implements account.Store.
func (m *Memory) Touch(_ context.Context, kind account.Kind, h account.Hash, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := key{kind, h}
	if c, ok := m.all[k]; ok {
		c.SeenAt = at
		m.all[k] = c
	}
	return nil
}

// End implements account.Store.
func (m *Memory) End(_ context.Context, kind account.Kind, h account.Hash, row audit.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := key{kind, h}
	if _, ok := m.all[k]; !ok {
		return account.ErrCredential
	}
	delete(m.all, k)
	m.rows = append(m.rows, row)
	return nil
}

// Prune implements account.Store.
func (m *Memory) Prune(_ context.Context, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.all, func(_ key, c account.Credential) bool {
		return !c.ExpiresAt.IsZero() && c.ExpiresAt.Before(now)
	})
	return nil
}
