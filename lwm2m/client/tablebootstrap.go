package client

import (
	"context"

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
