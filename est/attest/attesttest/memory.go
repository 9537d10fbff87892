// Package attesttest is for tests of what uses package attest: a Store in memory,
// and the suite that every Store passes.
package attesttest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"steward/est/attest"
	"steward/lwm2m/audit"
)

// Memory is an attest.Store in memory. Use NewMemory.
type Memory struct {
	mu        sync.Mutex
	attesters map[attest.Hash]attest.Attester
	results   map[attest.Hash][]attest.Result
	audit     []audit.Row
}

var _ attest.Store = (*Memory)(nil)

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{attesters: map[attest.Hash]attest.Attester{}, results: map[attest.Hash][]attest.Result{}}
}

// Attester implements attest.Store.
func (m *Memory) Attester(_ context.Context, device attest.Hash) (attest.Attester, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.attesters[device]
	if !ok {
		return a, fmt.Errorf("%w: %x", attest.ErrUnknown, device[:8])
	}
	return a, nil
}

// PutAttester implements attest.Store.
func (m *Memory) PutAttester(_ context.Context, a attest.Attester, row audit.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.BootCount = m.attesters[a.Device].BootCount
	m.attesters[a.Device] = a
	m.audit = append(m.audit, row)
	return nil
}

// AddResult implements attest.Store.
func (m *Memory) AddResult(_ context.Context, r attest.Result, row audit.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.attesters[r.Device]; ok {
		a.BootCount = max(a.BootCount, r.BootCount)
		m.attesters[r.Device] = a
	}
	m.results[r.Device] = append([]attest.Result{r}, m.results[r.Device]...)
	if row != (audit.Row{}) {
		m.audit = append(m.audit, row)
	}
	return nil
}

// Results implements attest.Store.
func (m *Memory) Results(_ context.Context, device attest.Hash, limit int) ([]attest.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.results[device]
	return slices.Clone(all[:min(limit, len(all))]), nil
}

// Audit returns the audit rows written.
func (m *Memory) Audit() []audit.Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.audit)
}
