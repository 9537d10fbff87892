package esttest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
)

// Keys is an est.KeyStore in memory. Its zero value is empty.
type Keys struct {
	mu   sync.Mutex
	all  []est.KeyGeneration
	rows []audit.Row
}

// KeyGenerations implements est.KeyStore.
func (s *Keys) KeyGenerations(context.Context) ([]est.KeyGeneration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all), nil
}

// CommitKeys implements est.KeyStore.
func (s *Keys) CommitKeys(_ context.Context, ch est.KeyChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := slices.Clone(s.all)
	find := func(g est.KeyGeneration) int {
		return slices.IndexFunc(next, func(h est.KeyGeneration) bool {
			return h.Purpose == g.Purpose && h.Number == g.Number
		})
	}
	for _, g := range ch.Insert {
		if find(g) >= 0 {
			return est.ErrConflict
		}
		next = append(next, g)
	}
	for _, step := range ch.Step {
		i := find(step.KeyGeneration)
		if i < 0 || next[i].State != step.From {
			return est.ErrConflict
		}
		next[i].State, next[i].ChangedAt = step.State, step.ChangedAt
	}
	slices.SortFunc(next, func(a, b est.KeyGeneration) int {
		return cmp.Or(cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Number, b.Number))
	})
	s.all, s.rows = next, append(s.rows, ch.Audit...)
	return nil
}

// Audit returns the rows written, the oldest first.
func (s *Keys) Audit(context.Context) ([]audit.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows), nil
}

// TestKeyStore is what every est.KeyStore must do. s is empty; rows returns the
// audit rows that it wrote.
func TestKeyStore(t *testing.T, s est.KeyStore, rows func(context.Context) ([]audit.Row, error)) {
	t.Helper()
	at := time.Date(2026, 11, 22, 12, 0, 0, 123000, time.UTC)
	a := est.KeyGeneration{
		Purpose: "issuing", Number: 1, State: est.KeyActive, Certificate: est.Hash{1}, MadeAt: at, ChangedAt: at,
	}
	b, c := a, a
	b.Number, b.State, b.Certificate = 2, est.KeyNext, est.Hash{}
	c.Purpose, c.Number = "suit", 1
	row := audit.Row{Actor: "operator:test", Action: "key.begin", Subject: "issuing-1", At: at}
	commit := func(want error, ch est.KeyChange) {
		t.Helper()
		if err := s.CommitKeys(t.Context(), ch); !errors.Is(err, want) {
			t.Errorf("CommitKeys = %v, want %v", err, want)
		}
	}
	check := func(want ...est.KeyGeneration) {
		t.Helper()
		if got, err := s.KeyGenerations(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("KeyGenerations = %+v, %v, want %+v", got, err, want)
		}
	}
	check()
	commit(nil, est.KeyChange{Insert: []est.KeyGeneration{c, b, a}, Audit: []audit.Row{row}})
	check(a, b, c)
	commit(est.ErrConflict, est.KeyChange{Insert: []est.KeyGeneration{a}})
	past, used := a, b
	past.State, past.ChangedAt = est.KeyPast, at.Add(time.Hour)
	used.State = est.KeyActive
	good, bad := est.KeyStep{KeyGeneration: past, From: est.KeyActive}, est.KeyStep{KeyGeneration: used, From: est.KeyPast}
	commit(est.ErrConflict, est.KeyChange{Step: []est.KeyStep{good, bad}, Audit: []audit.Row{row}})
	check(a, b, c) // all or nothing
	bad.From = est.KeyNext
	commit(nil, est.KeyChange{Step: []est.KeyStep{good, bad}, Audit: []audit.Row{row}})
	check(past, used, c)
	got, err := rows(t.Context())
	if err != nil || len(got) != 2 || got[0] != row {
		t.Errorf("audit rows %+v, %v, want two of %+v", got, err, row)
	}
}
