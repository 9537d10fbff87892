package client

import (
	"context"
	"slices"

	"steward/lwm2m"
)

// Provision implements Provisioner: it makes or replaces the instance at p,
// without asking OnWrite or OnCreate, for a bootstrap server may write all.
func (t *Table) Provision(_ context.Context, _ Session, p lwm2m.Path, entries []lwm2m.Entry) error {
	entries, err := t.fit(entries)
	if err != nil {
		return err
	}
	t.Replace(p, entries...)
	return nil
}

// Erase implements Provisioner.
func (t *Table) Erase(_ context.Context, _ Session, p lwm2m.Path) error {
	t.Remove(p)
	return nil
}

// Entries returns the values at and below p, in the order of their paths. OnRead
// is not asked.
func (t *Table) Entries(p lwm2m.Path) []lwm2m.Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.below(p)
}

func (t *Table) below(p lwm2m.Path) (out []lwm2m.Entry) {
	for q, v := range t.values {
		if p.Contains(q) {
			out = append(out, lwm2m.Entry{Path: q, Value: v})
		}
	}
	slices.SortFunc(out, func(a, b lwm2m.Entry) int { return a.Path.Compare(b.Path) })
	return out
}
