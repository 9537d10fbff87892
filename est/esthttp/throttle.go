package esthttp

import (
	"net/netip"
	"sync"
	"time"
)

// What one address may try in vain: the secrets are random, so that this protects
// the processor and the audit rather than them.
const (
	failBurst    = 10              // wrong passwords at once
	failInterval = 6 * time.Second // until another may be tried
	maxTried     = 4096            // addresses remembered; all others share one allowance
)

// A throttle counts failed attempts by address.
type throttle struct {
	mu sync.Mutex
	// full is when an address's allowance is whole again, so that a time in the past
	// says nothing.
	full map[netip.Prefix]time.Time
}

func newThrottle() *throttle { return &throttle{full: map[netip.Prefix]time.Time{}} }

// origin is what counts as one address: of IPv6 a network, for a host has many.
func origin(remote string) netip.Prefix {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := addr.Addr().Unmap(), 32 //nolint:mnd // all of an IPv4 address
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.WithZone("").Prefix(bits) // the bits fit
	return p
}

// wait returns how long an address must wait before it may try again; 0: it may.
func (t *throttle) wait(from netip.Prefix, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, t.full[t.bucket(from)].Add(failInterval).Sub(now.Add(failBurst*failInterval)))
}

// failed counts a wrong password.
func (t *throttle) failed(from netip.Prefix, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.full) >= maxTried {
		for p, full := range t.full {
			if !full.After(now) {
				delete(t.full, p)
			}
		}
	}
	p := t.bucket(from)
	since := t.full[p]
	if since.Before(now) {
		since = now
	}
	t.full[p] = since.Add(failInterval)
}

// bucket is where an address is counted: the zero one, if too many are.
func (t *throttle) bucket(p netip.Prefix) netip.Prefix {
	if _, known := t.full[p]; !known && len(t.full) >= maxTried {
		return netip.Prefix{}
	}
	return p
}
