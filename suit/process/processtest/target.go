package processtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"

	"steward/suit"
	"steward/suit/process"
)

// A Target is a device whose storage is a Disk. It is not safe for concurrent
// use.
type Target struct {
	// Invoked lists the components started since the device was opened.
	Invoked []suit.ComponentID

	disk       *Disk
	components map[suit.ComponentID]process.Component
	contents   map[suit.ComponentID][]byte
	installed  process.Installed
	used       bool // something was committed
	staged     string
	images     map[suit.ComponentID]*image
}

// An image is what is being written to one component.
type image struct {
	process.Image

	data []byte
	done bool
}

// Open replays the disk, as a device does when it starts. factory is what the
// components held before the first update.
func Open(
	d *Disk, components map[suit.ComponentID]process.Component, factory map[suit.ComponentID][]byte,
) *Target {
	t := &Target{
		disk: d, components: components, contents: maps.Clone(factory), images: map[suit.ComponentID]*image{},
	}
	if t.contents == nil {
		t.contents = map[suit.ComponentID][]byte{}
	}
	for _, r := range d.records {
		t.apply(r)
	}
	return t
}

// write journals a record, then applies it.
func (t *Target) write(r record) error {
	if err := t.disk.append(r); err != nil {
		return err
	}
	t.apply(r)
	return nil
}

func (t *Target) apply(r record) {
	switch r.kind {
	case kindBegin:
		t.staged, t.images = r.manifest, map[suit.ComponentID]*image{}
	case kindOpen:
		t.images[r.component] = &image{Image: r.image}
	case kindData:
		t.images[r.component].data = append(t.images[r.component].data, r.data...)
	case kindComplete:
		t.images[r.component].done = true
	case kindCommit:
		maps.Copy(t.contents, r.contents)
		t.installed, t.used = r.installed, true
		t.staged, t.images = "", map[suit.ComponentID]*image{}
	case kindDiscard:
		t.staged, t.images = "", map[suit.ComponentID]*image{}
	}
}

// Content returns the committed content of a component, nil if it is empty.
func (t *Target) Content(id suit.ComponentID) []byte { return t.contents[id] }

// SetInstalled makes the device one that has the manifest in, for tests.
func (t *Target) SetInstalled(in process.Installed) { t.installed, t.used = in, true }

// Installed implements process.Target.
func (t *Target) Installed(context.Context) (process.Installed, bool, error) {
	return t.installed, t.used, nil
}

// Component implements process.Target.
func (t *Target) Component(_ context.Context, id suit.ComponentID) (process.Component, error) {
	c, ok := t.components[id]
	if !ok {
		return process.Component{}, fmt.Errorf("%w: %v", process.ErrNoComponent, id)
	}
	return c, nil
}

// Begin implements process.Target.
func (t *Target) Begin(_ context.Context, manifest suit.Digest) (process.Staging, error) {
	if name := manifest.String(); t.staged != name {
		if err := t.write(record{kind: kindBegin, manifest: name}); err != nil {
			return nil, err
		}
	}
	return &area{target: t, view: maps.Clone(t.contents)}, nil
}

// Boot implements process.Target. The area has a disk of its own, which nobody
// keeps.
func (t *Target) Boot(context.Context, suit.Digest) (process.Staging, error) {
	memory := Open(NewDisk(), t.components, t.contents)
	return &area{target: memory, view: maps.Clone(t.contents)}, nil
}

// Invoke implements process.Target.
func (t *Target) Invoke(ctx context.Context, s process.Staging, id suit.ComponentID, _ []byte) error {
	r, err := s.Read(ctx, id)
	if err != nil {
		return err
	}
	t.Invoked = append(t.Invoked, id)
	return r.Close()
}

// An area is the staging area as one run sees it.
type area struct {
	target *Target
	view   map[suit.ComponentID][]byte
}

// Read implements process.Staging.
func (a *area) Read(ctx context.Context, id suit.ComponentID) (io.ReadCloser, error) {
	if _, err := a.target.Component(ctx, id); err != nil {
		return nil, err
	}
	content, ok := a.view[id]
	if !ok || content == nil {
		return nil, fmt.Errorf("%w: %v", process.ErrAbsent, id)
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// Create implements process.Staging.
func (a *area) Create(
	ctx context.Context, id suit.ComponentID, want process.Image,
) (process.Writer, uint64, bool, error) {
	c, err := a.target.Component(ctx, id)
	if err != nil {
		return nil, 0, false, err
	}
	if want.Size > c.Capacity {
		return nil, 0, false, fmt.Errorf("%w: %d bytes, %d free", process.ErrNoSpace, want.Size, c.Capacity)
	}
	if old := a.target.images[id]; old != nil && old.Image == want && want.Digest != "" {
		if old.done {
			a.view[id] = old.data
			return nil, uint64(len(old.data)), true, nil
		}
		return &writer{area: a, id: id, capacity: c.Capacity}, uint64(len(old.data)), false, nil
	}
	if err := a.target.write(record{kind: kindOpen, component: id, image: want}); err != nil {
		return nil, 0, false, err
	}
	return &writer{area: a, id: id, capacity: c.Capacity}, 0, false, nil
}

// Swap implements process.Staging.
func (a *area) Swap(ctx context.Context, x, y suit.ComponentID) error {
	for _, id := range []suit.ComponentID{x, y} {
		if _, err := a.Read(ctx, id); err != nil {
			return err
		}
	}
	a.view[x], a.view[y] = a.view[y], a.view[x]
	return nil
}

// Remove implements process.Remover.
func (a *area) Remove(ctx context.Context, id suit.ComponentID) error {
	if _, err := a.target.Component(ctx, id); err != nil {
		return err
	}
	a.view[id] = nil
	return nil
}

// Commit implements process.Staging.
func (a *area) Commit(_ context.Context, in process.Installed) error {
	in.Envelope = bytes.Clone(in.Envelope)
	return a.target.write(record{kind: kindCommit, installed: in, contents: maps.Clone(a.view)})
}

// Discard implements process.Staging.
func (a *area) Discard(context.Context) error {
	a.view = maps.Clone(a.target.contents)
	return a.target.write(record{kind: kindDiscard})
}

// A writer appends to one image.
type writer struct {
	area     *area
	id       suit.ComponentID
	capacity uint64
}

// Write implements process.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	t := w.area.target
	if have := uint64(len(t.images[w.id].data)); uint64(len(p)) > w.capacity-have {
		return 0, fmt.Errorf("%w: more than %d bytes", process.ErrNoSpace, w.capacity)
	}
	if err := t.write(record{kind: kindData, component: w.id, data: bytes.Clone(p)}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Complete implements process.Writer.
func (w *writer) Complete() error {
	t := w.area.target
	if err := t.write(record{kind: kindComplete, component: w.id}); err != nil {
		return err
	}
	w.area.view[w.id] = t.images[w.id].data
	if w.area.view[w.id] == nil {
		w.area.view[w.id] = []byte{}
	}
	return nil
}

// Close implements process.Writer.
func (w *writer) Close() error { return nil }
