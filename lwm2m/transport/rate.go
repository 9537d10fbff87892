package transport

import (
	"net/netip"
	"time"
)

const (
	prefixBits4 = 24
	prefixBits6 = 56
	// maxPrefixes bounds the memory of a rate; networks beyond it share one count.
	maxPrefixes = 4096
)

// rate counts events per network and second.
type rate struct {
	limit  int
	second int64
	counts map[netip.Prefix]int
}

// allow counts one event of addr and reports whether it is within the limit.
func (r *rate) allow(addr netip.Addr, now time.Time) bool {
	if s := now.Unix(); s != r.second || r.counts == nil {
		r.second, r.counts = s, make(map[netip.Prefix]int)
	}
	p := prefixOf(addr)
	if _, known := r.counts[p]; !known && len(r.counts) >= maxPrefixes {
		p = netip.Prefix{}
	}
	if r.counts[p] >= r.limit {
		return false
	}
	r.counts[p]++
	return true
}

// prefixOf is the network that addr is counted with: zero for no address.
func prefixOf(addr netip.Addr) netip.Prefix {
	bits := prefixBits4
	if addr.Is6() {
		bits = prefixBits6
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
