package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"

	"steward/suit"
	"steward/suit/process"
)

// A simTarget is a device in memory, on which manifests are tried out. It lives
// for one run, so that no write is ever resumed.
type simTarget struct {
	components map[suit.ComponentID]process.Component
	contents   map[suit.ComponentID][]byte // committed
	installed  process.Installed
	used       bool // something is installed
	invoked    []suit.ComponentID
}

// Installed implements process.Target.
func (t *simTarget) Installed(context.Context) (process.Installed, bool, error) {
	return t.installed, t.used, nil
}

// Component implements process.Target.
func (t *simTarget) Component(_ context.Context, id suit.ComponentID) (process.Component, error) {
	c, ok := t.components[id]
	if !ok {
		return process.Component{}, fmt.Errorf("%w: %v", process.ErrNoComponent, id)
	}
	return c, nil
}

// Begin implements process.Target.
func (t *simTarget) Begin(context.Context, suit.Digest) (process.Staging, error) {
	return t.area(), nil
}

// Boot implements process.Target.
func (t *simTarget) Boot(context.Context, suit.Digest) (process.Staging, error) { return t.area(), nil }

func (t *simTarget) area() *simArea { return &simArea{target: t, view: maps.Clone(t.contents)} }

// Invoke implements process.Target.
func (t *simTarget) Invoke(ctx context.Context, s process.Staging, id suit.ComponentID, _ []byte) error {
	r, err := s.Read(ctx, id)
	if err != nil {
		return err
	}
	t.invoked = append(t.invoked, id)
	return r.Close()
}

// A simArea is the staging area of an update, or the memory of one start.
type simArea struct {
	target *simTarget
	view   map[suit.ComponentID][]byte // nothing for what is empty
}

// Read implements process.Staging.
func (a *simArea) Read(ctx context.Context, id suit.ComponentID) (io.ReadCloser, error) {
	if _, err := a.target.Component(ctx, id); err != nil {
		return nil, err
	}
	content, ok := a.view[id]
	if !ok {
		return nil, fmt.Errorf("%w: %v", process.ErrAbsent, id)
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// Create implements process.Staging.
func (a *simArea) Create(
	ctx context.Context, id suit.ComponentID, image process.Image,
) (process.Writer, uint64, bool, error) {
	c, err := a.target.Component(ctx, id)
	if err != nil {
		return nil, 0, false, err
	}
	if image.Size > c.Capacity {
		return nil, 0, false, fmt.Errorf("%w: %d bytes, %d free", process.ErrNoSpace, image.Size, c.Capacity)
	}
	return &simWriter{area: a, id: id, capacity: c.Capacity}, 0, false, nil
}

// Swap implements process.Staging.
func (a *simArea) Swap(ctx context.Context, x, y suit.ComponentID) error {
	for _, id := range []suit.ComponentID{x, y} {
		if _, err := a.Read(ctx, id); err != nil {
			return err
		}
	}
	a.view[x], a.view[y] = a.view[y], a.view[x]
	return nil
}

// Remove implements process.Remover.
func (a *simArea) Remove(ctx context.Context, id suit.ComponentID) error {
	if _, err := a.target.Component(ctx, id); err != nil {
		return err
	}
	delete(a.view, id)
	return nil
}

// Commit implements process.Staging.
func (a *simArea) Commit(_ context.Context, in process.Installed) error {
	in.Envelope = bytes.Clone(in.Envelope)
	a.target.contents, a.target.installed, a.target.used = maps.Clone(a.view), in, true
	return nil
}

// Discard implements process.Staging.
func (a *simArea) Discard(context.Context) error {
	a.view = maps.Clone(a.target.contents)
	return nil
}

// A simWriter takes one image.
type simWriter struct {
	area     *simArea
	id       suit.ComponentID
	capacity uint64
	data     []byte
}

// Write implements process.Writer.
func (w *simWriter) Write(p []byte) (int, error) {
	if uint64(len(p)) > w.capacity-uint64(len(w.data)) {
		return 0, fmt.Errorf("%w: more than %d bytes", process.ErrNoSpace, w.capacity)
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

// Complete implements process.Writer.
func (w *simWriter) Complete() error {
	w.area.view[w.id] = w.data
	return nil
}

// Close implements process.Writer.
func (w *simWriter) Close() error { return nil }
