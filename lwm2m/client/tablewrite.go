package client

import (
	"context"
	"fmt"

	"steward/lwm2m"
)

// Write implements Object. A replaced instance keeps its mandatory resources
// that are not listed.
func (t *Table) Write(ctx context.Context, s Session, p lwm2m.Path, entries []lwm2m.Entry, replace bool) error {
	if p.Len() > 2 && !t.supports(p.ID(2)) {
		return ErrNotFound
	}
	for _, e := range entries {
		if !t.supports(e.Path.ID(2)) {
			return fmt.Errorf("%w: %v", ErrNotFound, e.Path)
		}
	}
	entries, err := t.fit(entries)
	if err != nil {
		return err
	}
	if t.o.OnWrite != nil {
		if err := t.o.OnWrite(ctx, s, p, entries); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if replace {
		t.clear(s, p)
	}
	for _, e := range entries {
		if t.readable(e.Path) {
			t.store(e)
		}
	}
	return nil
}

// clear removes what a replacement of p does away with. The caller holds mu.
func (t *Table) clear(s Session, p lwm2m.Path) {
	if p.Len() > 2 {
		t.remove(p)
		return
	}
	for q := range t.values {
		info := t.info(q)
		if p.Contains(q) && !info.Mandatory && (s.Bootstrap || info.Operations.Has(lwm2m.OpWrite)) {
			delete(t.values, q)
		}
	}
}

// readable reports whether the resource is one to keep: write-only ones, such
// as packages, are consumed by OnWrite.
func (t *Table) readable(p lwm2m.Path) bool {
	info := t.info(p)
	return info.Operations&^lwm2m.OpWrite != 0 || !info.Operations.Has(lwm2m.OpWrite)
}

// fit returns entries with the types of the schema, or ErrBadRequest if a value
// does not fit, or has instances where the resource has none, or the reverse.
func (t *Table) fit(entries []lwm2m.Entry) ([]lwm2m.Entry, error) {
	out := make([]lwm2m.Entry, len(entries))
	for i, e := range entries {
		info := t.info(e.Path)
		if info.Kind != lwm2m.KindNone && info.Multiple != (e.Path.Len() == lwm2m.MaxDepth) {
			return nil, fmt.Errorf("%w: %v is multiple or single", ErrBadRequest, e.Path)
		}
		v, err := e.Value.Convert(info.Kind)
		if err != nil {
			return nil, fmt.Errorf("%w: %v: %w", ErrBadRequest, e.Path, err)
		}
		out[i] = e
		out[i].Value = v
	}
	return out, nil
}
