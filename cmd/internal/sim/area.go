package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"steward/suit"
	"steward/suit/process"
)

// An area is the staging area as one run sees it (process.Staging).
type area struct {
	target *target
	view   map[suit.ComponentID][]byte // what this run has written
	images images
}

// Read implements process.Staging.
func (a *area) Read(ctx context.Context, id suit.ComponentID) (io.ReadCloser, error) {
	if _, err := a.target.Component(ctx, id); err != nil {
		return nil, err
	}
	content, written := a.view[id]
	if !written {
		content = a.target.nv.Get(keyOf(contentPrefix, id))
	}
	if content == nil {
		return nil, fmt.Errorf("%w: %v", process.ErrAbsent, id)
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// Create implements process.Staging.
func (a *area) Create(ctx context.Context, id suit.ComponentID, want process.Image) (
	process.Writer, uint64, bool, error,
) {
	c, err := a.target.Component(ctx, id)
	if err != nil {
		return nil, 0, false, err
	}
	if want.Size > c.Capacity {
		return nil, 0, false, fmt.Errorf("%w: %d bytes, %d free", process.ErrNoSpace, want.Size, c.Capacity)
	}
	old, ok, err := a.images.get(id)
	if err != nil {
		return nil, 0, false, err
	}
	if !ok || old.Image != want || want.Digest == "" {
		old = image{Image: want}
	}
	if old.Done {
		a.view[id] = old.Data
		return nil, uint64(len(old.Data)), true, nil
	}
	return &writer{area: a, id: id, image: old}, uint64(len(old.Data)), false, nil
}

// Remove implements process.Remover.
func (a *area) Remove(ctx context.Context, id suit.ComponentID) error {
	if _, err := a.target.Component(ctx, id); err != nil {
		return err
	}
	a.view[id] = nil
	return nil
}

// Swap implements process.Staging.
func (a *area) Swap(ctx context.Context, x, y suit.ComponentID) error {
	contents := make([][]byte, 0, 2)
	for _, id := range []suit.ComponentID{x, y} {
		r, err := a.Read(ctx, id)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		contents = append(contents, content)
	}
	a.view[x], a.view[y] = contents[1], contents[0]
	return nil
}

// Commit implements process.Staging: images, sequence number and envelope change
// in one write.
func (a *area) Commit(_ context.Context, in process.Installed) error {
	raw, err := json.Marshal(installed{
		Sequence: in.Sequence, Algorithm: int64(in.Manifest.Algorithm), Digest: in.Manifest.Value,
		Envelope: in.Envelope,
	})
	if err != nil {
		return err
	}
	changes := a.target.unstaged()
	changes[installedKey] = raw
	e, err := suit.Decode(in.Envelope, suit.Limits{})
	named := err == nil
	for id, content := range a.view {
		changes[keyOf(contentPrefix, id)] = content
		if named {
			changes[keyOf(versionPrefix, id)] = []byte(versionIn(e, id))
		}
	}
	return a.target.nv.Write(changes)
}

// Discard implements process.Staging.
func (a *area) Discard(context.Context) error {
	a.view = map[suit.ComponentID][]byte{}
	return a.target.nv.Write(a.target.unstaged())
}

// A writer appends to one image (process.Writer). It writes to the memory piece by
// piece.
type writer struct {
	area  *area
	id    suit.ComponentID
	image image
}

// Write implements process.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if len(p) > capacity-len(w.image.Data) {
		return 0, fmt.Errorf("%w: more than %d bytes", process.ErrNoSpace, capacity)
	}
	w.image.Data = append(w.image.Data, p...)
	if len(w.image.Data) >= w.image.Kept+pieceSize {
		if err := w.save(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Complete implements process.Writer.
func (w *writer) Complete() error {
	w.image.Done = true
	if w.image.Data == nil {
		w.image.Data = []byte{}
	}
	if err := w.save(); err != nil {
		return err
	}
	w.area.view[w.id] = w.image.Data
	return nil
}

// Close implements process.Writer.
func (w *writer) Close() error { return w.save() }

// save puts what came so far into the memory.
func (w *writer) save() error {
	err := w.area.images.put(w.id, w.image)
	w.image.Kept = len(w.image.Data)
	return err
}
