package rollout

import (
	"container/list"
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
)

// A Part is one of the large things that a release has.
type Part string

// The parts.
const (
	PartPush   Part = "push"   // Content.Push
	PartPull   Part = "pull"   // Content.Pull
	PartImage  Part = "image"  // Content.Image
	PartText   Part = "text"   // Content.Text
	PartCipher Part = "cipher" // Content.Cipher
	PartKey    Part = "key"    // Content.Key: nobody fetches it
)

// ChunkSize is the number of bytes of a chunk, the unit in which parts are stored and
// read; the last of a part is shorter.
const ChunkSize = 256 << 10

// Contents reads parts of releases piece by piece. They never change.
type Contents interface {
	// Length returns the number of bytes of a part, or ErrUnknown.
	Length(ctx context.Context, release string, p Part) (int, error)
	// Chunk returns the nth ChunkSize bytes of a part, or ErrUnknown. Nobody changes
	// them afterwards.
	Chunk(ctx context.Context, release string, p Part, n int) ([]byte, error)
}

// Payloads keeps the chunks that devices fetch now, for all devices together: many
// fetch the same at about the same time. Safe for concurrent use.
type Payloads struct {
	contents Contents
	most     int

	mu      sync.Mutex
	chunks  map[chunkKey]*list.Element // of recent
	recent  *list.List                 // of *chunk, the latest first
	lengths map[chunkKey]int           // at most maxLengths
	loading map[chunkKey]*load
}

type chunkKey struct {
	release string
	part    Part
	n       int
}

type chunk struct {
	key  chunkKey
	data []byte
}

// chunkOf returns the chunk of an element of Payloads.recent, which holds nothing else.
func chunkOf(e *list.Element) *chunk {
	c, _ := e.Value.(*chunk)
	return c
}

// A load is a chunk that is being read, for all who wait for it.
type load struct {
	done chan struct{}
	data []byte
	err  error
}

const (
	defaultPayloadBytes = 32 << 20
	maxLengths          = 4096
)

// NewPayloads returns Payloads that hold about bytes at most; 0: 32 MiB.
func NewPayloads(c Contents, bytes int) *Payloads {
	if bytes <= 0 {
		bytes = defaultPayloadBytes
	}
	return &Payloads{
		contents: c, most: max(bytes/ChunkSize, 1), chunks: map[chunkKey]*list.Element{}, recent: list.New(),
		lengths: map[chunkKey]int{}, loading: map[chunkKey]*load{},
	}
}

// A Payload is a part that was opened. It holds no memory of its own.
type Payload struct {
	Length int
	ETag   [8]byte // the same for all of the part, for ever

	from *Payloads
	key  chunkKey
}

// Open returns a part of a release, or ErrUnknown.
func (p *Payloads) Open(ctx context.Context, release string, part Part) (*Payload, error) {
	key := chunkKey{release: release, part: part}
	p.mu.Lock()
	n, ok := p.lengths[key]
	p.mu.Unlock()
	if !ok {
		var err error
		if n, err = p.contents.Length(ctx, release, part); err != nil {
			return nil, err
		}
		p.mu.Lock()
		if len(p.lengths) >= maxLengths {
			clear(p.lengths)
		}
		p.lengths[key] = n
		p.mu.Unlock()
	}
	sum := sha256.Sum256([]byte(string(part) + " " + release)) // parts do not change
	return &Payload{Length: n, ETag: [8]byte(sum[:8]), from: p, key: key}, nil
}

// Read copies what stands at offset into b and returns how many bytes that is: fewer
// than asked for only at the end.
func (p *Payload) Read(ctx context.Context, b []byte, offset int) (n int, err error) {
	for n < len(b) && offset+n < p.Length {
		at := offset + n
		data, err := p.from.chunk(ctx, chunkKey{p.key.release, p.key.part, at / ChunkSize})
		if err != nil {
			return n, err
		}
		if at%ChunkSize >= len(data) {
			return n, fmt.Errorf("%w: %s of %s ends at %d", ErrUnknown, p.key.part, p.key.release, at)
		}
		n += copy(b[n:], data[at%ChunkSize:])
	}
	return n, nil
}

// chunk returns a chunk from memory, or reads it; once for all who want it.
func (p *Payloads) chunk(ctx context.Context, key chunkKey) ([]byte, error) {
	p.mu.Lock()
	if e, ok := p.chunks[key]; ok {
		p.recent.MoveToFront(e)
		data := chunkOf(e).data
		p.mu.Unlock()
		return data, nil
	}
	l, ok := p.loading[key]
	if !ok {
		l = &load{done: make(chan struct{})}
		p.loading[key] = l
	}
	p.mu.Unlock()
	if ok {
		select {
		case <-l.done:
			return l.data, l.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	// The others must not fail because this one gives up.
	l.data, l.err = p.contents.Chunk(context.WithoutCancel(ctx), key.release, key.part, key.n)
	p.mu.Lock()
	delete(p.loading, key)
	if l.err == nil {
		p.keep(&chunk{key, l.data})
	}
	p.mu.Unlock()
	close(l.done)
	return l.data, l.err
}

// keep stores a chunk, at the cost of the one that was not used for longest. The
// caller holds mu.
func (p *Payloads) keep(c *chunk) {
	for p.recent.Len() >= p.most {
		oldest := p.recent.Back()
		delete(p.chunks, chunkOf(oldest).key)
		p.recent.Remove(oldest)
	}
	p.chunks[c.key] = p.recent.PushFront(c)
}
