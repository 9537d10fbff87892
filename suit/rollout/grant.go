package rollout

import (
	"context"
	"errors"
	"sync"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// ErrNotGranted reports a device that has no update with that release under way.
var ErrNotGranted = errors.New("no update of this device fetches this")

// A Grant lets a device fetch a release.
type Grant struct {
	Device         fleet.ID
	Campaign       string
	BytesPerSecond int64 // of the whole campaign; 0: no bound
}

// Grants decide who may fetch what: a device only what its own update brings. Each
// answer is remembered for some seconds, for devices ask for thousands of blocks.
// Safe for concurrent use.
type Grants struct {
	find func(ctx context.Context, who coap.Identity, release string) (Grant, error)

	mu    sync.Mutex
	known map[grantKey]granted // at most maxGrants
}

type grantKey struct {
	name        string
	certificate [32]byte
	release     string
}

type granted struct {
	grant Grant
	err   error
	until time.Time
}

const (
	maxGrants = 16384
	grantTime = 10 * time.Second
)

// NewGrants returns Grants that ask find, which returns ErrNotGranted for those who
// may not.
func NewGrants(find func(ctx context.Context, who coap.Identity, release string) (Grant, error)) *Grants {
	return &Grants{find: find, known: map[grantKey]granted{}}
}

// Of returns the grant of an identity for a release, or ErrNotGranted.
func (g *Grants) Of(ctx context.Context, who coap.Identity, release string) (Grant, error) {
	key := grantKey{who.Name, who.Certificate, release}
	now := time.Now()
	g.mu.Lock()
	known, ok := g.known[key]
	g.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.grant, known.err
	}
	grant, err := g.find(ctx, who, release)
	if err != nil && !errors.Is(err, ErrNotGranted) {
		return grant, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxGrants {
		clear(g.known)
	}
	g.known[key] = granted{grant, err, now.Add(grantTime)}
	return grant, err
}
