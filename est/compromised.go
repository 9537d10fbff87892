package est

import (
	"context"
	"fmt"
	"sync"
)

// compromised are the keys of which a certificate was revoked because somebody else
// has them. They are few, and asked for with each request.
type compromised struct {
	mu   sync.Mutex
	keys map[Hash]struct{} // nil: not loaded
}

// note adds what a committed change revoked.
func (c *compromised) note(ch Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range ch.Update {
		if c.keys != nil && r.Status == StatusRevoked && r.Reason == KeyCompromise {
			c.keys[r.SPKI] = struct{}{}
		}
	}
}

// has reports whether key is one of them.
func (c *compromised) has(ctx context.Context, s Store, key Hash) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		keys, err := readCompromised(ctx, s)
		if err != nil {
			return false, err
		}
		c.keys = keys
	}
	_, ok := c.keys[key]
	return ok, nil
}

func readCompromised(ctx context.Context, s Store) (map[Hash]struct{}, error) {
	keys := map[Hash]struct{}{}
	q := Query{Status: StatusRevoked, Reason: KeyCompromise}
	for {
		page, err := s.Certificates(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			keys[r.SPKI] = struct{}{}
		}
		if len(page) < MaxPage {
			return keys, nil
		}
		q.Before = page[len(page)-1].Hash
	}
}

// uncompromised returns ErrForbidden for a key of which a certificate was revoked
// because somebody else has it: no right lets it have another (RFC 5280 §5.3.1).
func (ca *CA) uncompromised(ctx context.Context, spki Hash) error {
	bad, err := ca.compromised.has(ctx, ca.o.Store, spki)
	if bad || ca.ledger.strayKey(spki) {
		return fmt.Errorf("%w: key %x is compromised", ErrForbidden, spki[:8])
	}
	return err
}
