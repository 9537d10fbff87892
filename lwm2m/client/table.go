package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"steward/lwm2m"
)

// TableOptions describe a Table.
type TableOptions struct {
	ID      uint16
	Version string       // of the definition; "": 1.0
	Schema  lwm2m.Schema // nil: values are stored as they come

	// Values are there at first. Their paths make the instances.
	Values []lwm2m.Entry
	// Instances exist at first beside those of Values.
	Instances []uint16
	// Resources are supported in every instance beside those of Values: the
	// executables, what is write-only, what has no value at first.
	Resources []uint16

	// OnWrite is asked before values change; nil: all may change. What the
	// schema calls write-only is only given to OnWrite, and never stored. An
	// entry without value stands for a resource instance to be deleted.
	OnWrite func(ctx context.Context, s Session, p lwm2m.Path, entries []lwm2m.Entry) error
	// OnExecute runs an executable; nil: there is none.
	OnExecute func(ctx context.Context, s Session, p lwm2m.Path, args string) error
	// OnCreate is asked before an instance is made, with the entries below it,
	// and returns those to store; nil: instances cannot be created.
	OnCreate func(ctx context.Context, s Session, p lwm2m.Path, entries []lwm2m.Entry) ([]lwm2m.Entry, error)
	// OnDelete is asked before an instance is removed; nil: none can be.
	OnDelete func(ctx context.Context, s Session, p lwm2m.Path) error
	// OnRead is asked before values are read; nil: all may be read.
	OnRead func(ctx context.Context, s Session, p lwm2m.Path) error
}

// A Table is an Object whose values are kept in memory. Devices set values with
// Set and are asked and told by the callbacks of its options, which are called
// without any lock held. It implements Lister and Watcher.
type Table struct {
	o TableOptions

	mu        sync.Mutex
	values    map[lwm2m.Path]lwm2m.Value // by resource or resource instance
	instances map[uint16]bool
	supported map[uint16]bool // resources
	changed   func(...lwm2m.Path)
}

// NewTable returns a Table. It panics if a value of the options does not belong
// to the object or stands above a resource: both are known where they are
// written.
func NewTable(o TableOptions) *Table {
	if o.Version == "" {
		o.Version = "1.0"
	}
	t := &Table{
		o:         o,
		values:    make(map[lwm2m.Path]lwm2m.Value, len(o.Values)),
		instances: map[uint16]bool{},
		supported: map[uint16]bool{},
		changed:   func(...lwm2m.Path) {},
	}
	for _, id := range o.Instances {
		t.instances[id] = true
	}
	for _, id := range o.Resources {
		t.supported[id] = true
	}
	for _, e := range o.Values {
		if e.Path.Len() < 3 || e.Path.Object() != o.ID {
			panic(fmt.Sprintf("client: value for %v in a table of object %d", e.Path, o.ID))
		}
		t.store(e)
	}
	return t
}

// ID implements Object.
func (t *Table) ID() uint16 { return t.o.ID }

// Version implements Object.
func (t *Table) Version() string { return t.o.Version }

// Instances implements Object.
func (t *Table) Instances() []uint16 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.instances))
}

// Resources implements Lister.
func (t *Table) Resources(uint16) []uint16 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.supported))
}

// Watch implements Watcher.
func (t *Table) Watch(changed func(...lwm2m.Path)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed = changed
}

// Value returns the value at p, the zero Value if there is none.
func (t *Table) Value(p lwm2m.Path) lwm2m.Value {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.values[p]
}

// Set stores values, makes instances that do not exist, and tells observers.
// The zero Value removes one. Callbacks are not asked.
func (t *Table) Set(entries ...lwm2m.Entry) {
	paths := make([]lwm2m.Path, len(entries))
	t.mu.Lock()
	for i, e := range entries {
		paths[i] = e.Path
		t.store(e)
	}
	changed := t.changed
	t.mu.Unlock()
	changed(paths...)
}

// Replace makes entries the only values of the instance at p and tells
// observers. Without entries the instance exists and is empty.
func (t *Table) Replace(p lwm2m.Path, entries ...lwm2m.Entry) {
	t.mu.Lock()
	t.remove(p)
	t.instances[p.ID(1)] = true
	for _, e := range entries {
		t.store(e)
	}
	changed := t.changed
	t.mu.Unlock()
	changed(p)
}

// Remove removes the instance at p, or what is below a longer path, and tells
// observers.
func (t *Table) Remove(p lwm2m.Path) {
	t.mu.Lock()
	t.remove(p)
	if p.Len() == 2 {
		delete(t.instances, p.ID(1))
	}
	changed := t.changed
	t.mu.Unlock()
	changed(p)
}

func (t *Table) store(e lwm2m.Entry) {
	t.instances[e.Path.ID(1)] = true
	t.supported[e.Path.ID(2)] = true
	if e.Value == (lwm2m.Value{}) {
		delete(t.values, e.Path)
		return
	}
	t.values[e.Path] = e.Value
}

func (t *Table) remove(p lwm2m.Path) {
	maps.DeleteFunc(t.values, func(q lwm2m.Path, _ lwm2m.Value) bool { return p.Contains(q) })
}

// Read implements Object.
func (t *Table) Read(ctx context.Context, s Session, p lwm2m.Path) ([]lwm2m.Entry, error) {
	if t.o.OnRead != nil {
		if err := t.o.OnRead(ctx, s, p); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.below(p)
	if len(out) == 0 && p.Len() > 2 && !t.empty(p) {
		return nil, ErrNotFound
	}
	return out, nil
}

// empty reports whether p is a multiple resource that may have no instance.
func (t *Table) empty(p lwm2m.Path) bool {
	return p.Len() == 3 && t.supported[p.ID(2)] && t.info(p).Multiple
}

func (t *Table) info(p lwm2m.Path) lwm2m.ResourceInfo {
	if t.o.Schema == nil {
		return lwm2m.ResourceInfo{}
	}
	info, _ := t.o.Schema.Resource(p.Object(), p.ID(2))
	return info
}

// Execute implements Object.
func (t *Table) Execute(ctx context.Context, s Session, p lwm2m.Path, args string) error {
	if !t.supports(p.ID(2)) {
		return ErrNotFound
	}
	if t.o.OnExecute == nil {
		return ErrMethodNotAllowed
	}
	return t.o.OnExecute(ctx, s, p, args)
}

func (t *Table) supports(resource uint16) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.supported[resource]
}

// Create implements Object.
func (t *Table) Create(ctx context.Context, s Session, instance int, entries []lwm2m.Entry) (uint16, error) {
	if t.o.OnCreate == nil {
		return 0, ErrMethodNotAllowed
	}
	id, err := t.choose(instance)
	if err != nil {
		return 0, err
	}
	p := lwm2m.NewPath(t.o.ID, id)
	moved := make([]lwm2m.Entry, len(entries))
	for i, e := range entries {
		moved[i] = e
		moved[i].Path = p.Child(e.Path.ID(2))
		if e.Path.Len() == lwm2m.MaxDepth {
			moved[i].Path = moved[i].Path.Child(e.Path.ID(3))
		}
	}
	if moved, err = t.fit(moved); err != nil {
		return 0, err
	}
	if moved, err = t.o.OnCreate(ctx, s, p, moved); err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.instances[id] { // meanwhile
		return 0, ErrBadRequest
	}
	t.instances[id] = true
	for _, e := range moved {
		t.store(e)
	}
	return id, nil
}

// choose returns the instance asked for, or the lowest one that is free.
func (t *Table) choose(instance int) (uint16, error) {
	if instance >= 0 && instance < lwm2m.NoID {
		return uint16(instance), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range uint16(lwm2m.NoID) {
		if !t.instances[id] {
			return id, nil
		}
	}
	return 0, fmt.Errorf("%w: no free instance", ErrBadRequest)
}

// Delete implements Object.
func (t *Table) Delete(ctx context.Context, s Session, p lwm2m.Path) error {
	if p.Len() == lwm2m.MaxDepth {
		if t.Value(p) == (lwm2m.Value{}) {
			return ErrNotFound
		}
		if t.o.OnWrite != nil {
			if err := t.o.OnWrite(ctx, s, p, []lwm2m.Entry{{Path: p}}); err != nil {
				return err
			}
		}
	} else if t.o.OnDelete == nil {
		return ErrMethodNotAllowed
	} else if err := t.o.OnDelete(ctx, s, p); err != nil {
		return err
	}
	t.Remove(p)
	return nil
}
