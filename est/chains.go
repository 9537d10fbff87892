package est

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"
)

// maxChains bounds the chains that are remembered; when there are more, all are
// forgotten.
const maxChains = 16384

// chains remembers which chains were verified to which list of roots, and for what
// time that holds, so that a device that comes again costs no verification. It
// knows nothing of revocation: a root that is no longer listed makes another list.
type chains struct {
	mu    sync.Mutex
	known map[Hash]span
}

// A span is a time, its ends included.
type span struct{ from, to time.Time }

// chainHash names a chain and the roots that it may lead to.
func chainHash(leaf *x509.Certificate, intermediates [][]byte, roots []*x509.Certificate) (out Hash) {
	h := sha256.New()
	add := func(der []byte) {
		sum := sha256.Sum256(der)
		_, _ = h.Write(sum[:]) // never fails
	}
	add(leaf.Raw)
	for _, der := range intermediates {
		add(der)
	}
	_, _ = h.Write([]byte("roots")) // no hash is as short
	for _, c := range roots {
		add(c.Raw)
	}
	h.Sum(out[:0])
	return out
}

// good reports whether the chain was verified, and all of it is valid now.
func (c *chains) good(h Hash, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.known[h]
	return ok && !now.Before(s.from) && !now.After(s.to)
}

// keep remembers a chain that was verified, leaf first.
func (c *chains) keep(h Hash, chain []*x509.Certificate) {
	s := span{chain[0].NotBefore, chain[0].NotAfter}
	for _, cert := range chain {
		if cert.NotBefore.After(s.from) {
			s.from = cert.NotBefore
		}
		if cert.NotAfter.Before(s.to) {
			s.to = cert.NotAfter
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxChains {
		c.known = make(map[Hash]span)
	}
	c.known[h] = s
}
