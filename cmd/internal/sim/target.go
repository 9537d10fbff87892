package sim

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"steward/cmd/internal/sim/nvm"
	"steward/suit"
	"steward/suit/process"
)

// The keys of the update processor's storage. Contents are the images in force;
// what is below stagingPrefix is being prepared.
const (
	suitPrefix    = "suit/"
	installedKey  = suitPrefix + "installed"
	contentPrefix = suitPrefix + "content/"
	versionPrefix = suitPrefix + "version/"
	stagingPrefix = suitPrefix + "staging/"
	stagedKey     = stagingPrefix + "manifest"
	imagePrefix   = stagingPrefix + "image/"
)

const (
	// capacity is the number of bytes that each component holds.
	capacity = 4 << 20
	// maxPackage is the number of bytes of the longest message taken: an envelope
	// with an image of that size.
	maxPackage = capacity + 256<<10
)

// A target is the storage of a device for manifest processors (process.Target),
// in its memory. Calls must not overlap.
type target struct {
	nv         *nvm.File
	components []suit.ComponentID
	floor      uint64 // sequence number of the image from the factory
}

// installed is what stands below installedKey.
type installed struct {
	Sequence  uint64 `json:"sequence"`
	Algorithm int64  `json:"algorithm"`
	Digest    []byte `json:"digest"`
	Envelope  []byte `json:"envelope"`
}

// image is what is being written to one component.
type image struct {
	process.Image

	Data []byte `json:"-"` // beside, in pieces
	Kept int    // bytes of Data that are in the memory
	Done bool
}

// pieceSize is the number of bytes that a power cut in a download costs at most.
const pieceSize = 64 << 10

func keyOf(prefix string, id suit.ComponentID) string { return prefix + hex.EncodeToString([]byte(id)) }

// manifest returns what was installed after the factory; ok is false if nothing.
func (t *target) manifest() (in process.Installed, ok bool, err error) {
	raw := t.nv.Get(installedKey)
	if raw == nil {
		return in, false, nil
	}
	in, err = parseInstalled(raw)
	return in, err == nil, err
}

func parseInstalled(raw []byte) (process.Installed, error) {
	var i installed
	if err := json.Unmarshal(raw, &i); err != nil {
		return process.Installed{}, fmt.Errorf("installed manifest: %w", err)
	}
	return process.Installed{
		Sequence: i.Sequence, Envelope: i.Envelope,
		Manifest: suit.Digest{Algorithm: suit.DigestAlgorithm(i.Algorithm), Value: i.Digest},
	}, nil
}

// version returns the version of what a component holds, or what the factory put
// there.
func (t *target) version(id suit.ComponentID, factory string) string {
	if v := t.nv.Get(keyOf(versionPrefix, id)); v != nil {
		return string(v)
	}
	return factory
}

// Installed implements process.Target.
func (t *target) Installed(context.Context) (process.Installed, bool, error) {
	in, ok, err := t.manifest()
	if err == nil && !ok && t.floor > 0 {
		return process.Installed{Sequence: t.floor}, true, nil
	}
	return in, ok, err
}

// Component implements process.Target.
func (t *target) Component(_ context.Context, id suit.ComponentID) (process.Component, error) {
	if slices.Contains(t.components, id) {
		return process.Component{Capacity: capacity}, nil
	}
	return process.Component{}, fmt.Errorf("%w: %v", process.ErrNoComponent, id)
}

// Begin implements process.Target.
func (t *target) Begin(_ context.Context, manifest suit.Digest) (process.Staging, error) {
	name := manifest.String()
	if string(t.nv.Get(stagedKey)) != name {
		changes := t.unstaged()
		changes[stagedKey] = []byte(name)
		if err := t.nv.Write(changes); err != nil {
			return nil, err
		}
	}
	return &area{target: t, view: map[suit.ComponentID][]byte{}, images: &stored{t.nv}}, nil
}

// unstaged are the changes that drop all that is staged.
func (t *target) unstaged() map[string][]byte {
	changes := map[string][]byte{}
	for _, key := range t.nv.Keys() {
		if strings.HasPrefix(key, stagingPrefix) {
			changes[key] = nil
		}
	}
	return changes
}

// Boot implements process.Target: what is written in the area is not kept.
func (t *target) Boot(context.Context, suit.Digest) (process.Staging, error) {
	return &area{target: t, view: map[suit.ComponentID][]byte{}, images: memory{}}, nil
}

// Invoke implements process.Target. A simulated device has nothing to start; it
// shows that the image is there.
func (t *target) Invoke(ctx context.Context, s process.Staging, id suit.ComponentID, _ []byte) error {
	r, err := s.Read(ctx, id)
	if err != nil {
		return err
	}
	return r.Close()
}

// images keeps what is being written.
type images interface {
	get(id suit.ComponentID) (image, bool, error)
	put(id suit.ComponentID, i image) error
}

// stored keeps images in the device's memory, in pieces: each is written once.
type stored struct{ nv *nvm.File }

// keyOfPiece returns where the nth piece of an image stands.
func keyOfPiece(id suit.ComponentID, n int) string {
	return fmt.Sprintf("%s/%d", keyOf(imagePrefix, id), n)
}

func (s *stored) get(id suit.ComponentID) (i image, ok bool, err error) {
	raw := s.nv.Get(keyOf(imagePrefix, id))
	if raw == nil {
		return image{}, false, nil
	}
	if err := json.Unmarshal(raw, &i); err != nil {
		return image{}, false, fmt.Errorf("staged image: %w", err)
	}
	i.Data = make([]byte, 0, i.Kept)
	for n := 0; len(i.Data) < i.Kept; n++ {
		piece := s.nv.Get(keyOfPiece(id, n))
		if len(piece) == 0 {
			return image{}, false, nil // of another image
		}
		i.Data = append(i.Data, piece...)
	}
	return i, len(i.Data) == i.Kept, nil
}

func (s *stored) put(id suit.ComponentID, i image) error {
	changes := map[string][]byte{}
	for n := 0; n*pieceSize < len(i.Data); n++ {
		piece := i.Data[n*pieceSize : min((n+1)*pieceSize, len(i.Data))]
		if (n+1)*pieceSize > i.Kept || len(piece) < pieceSize { // else it is there
			changes[keyOfPiece(id, n)] = piece
		}
	}
	i.Kept = len(i.Data)
	raw, err := json.Marshal(i)
	if err != nil {
		return err
	}
	changes[keyOf(imagePrefix, id)] = raw
	return s.nv.Write(changes)
}

// memory keeps images until the device restarts.
type memory map[suit.ComponentID]image

func (m memory) get(id suit.ComponentID) (image, bool, error) {
	i, ok := m[id]
	return i, ok, nil
}

func (m memory) put(id suit.ComponentID, i image) error {
	m[id] = i
	return nil
}
