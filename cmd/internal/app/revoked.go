package app

import (
	"sync"

	"steward/est"
	"steward/lwm2m/coap"
)

// revocations are the certificates that were revoked and whose sessions may still
// be open. A hand-over of thousands of devices revokes as many within moments: none
// may be forgotten, and one look at all associations serves many.
type revocations struct {
	wake chan struct{} // holds one

	mu     sync.Mutex
	hashes map[est.Hash]struct{}
}

func newRevocations() *revocations {
	return &revocations{wake: make(chan struct{}, 1), hashes: map[est.Hash]struct{}{}}
}

// add does not block.
func (r *revocations) add(h est.Hash) {
	r.mu.Lock()
	r.hashes[h] = struct{}{}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns what was added since the last time.
func (r *revocations) take() map[est.Hash]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.hashes
	r.hashes = map[est.Hash]struct{}{}
	return out
}

// dropRevoked ends the sessions of all certificates revoked since the last time.
func (a *App) dropRevoked() {
	gone := a.revocations.take()
	a.web.clients.drop(gone)
	a.drop(func(id coap.Identity) bool {
		_, revoked := gone[id.Certificate]
		return revoked
	})
}
