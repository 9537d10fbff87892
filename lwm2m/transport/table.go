package transport

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"steward/lwm2m/dtls"
)

type cid = [dtls.CIDLength]byte

// table finds associations by connection identifier and by address.
//
// An association with an identifier is in byCID and, as long as nobody else is
// there, in byAddr, where only the beginning of a new handshake and repeated
// handshake records look for it. One without is in byAddr alone.
type table struct {
	drops atomic.Uint64 // number of Drop calls begun
	limit int

	mu     sync.RWMutex
	byCID  map[cid]*association
	byAddr map[netip.AddrPort]*association
	every  map[*association]struct{}
}

func (t *table) init(limit int) {
	t.limit = limit
	t.byCID = make(map[cid]*association)
	t.byAddr = make(map[netip.AddrPort]*association)
	t.every = make(map[*association]struct{})
}

func (t *table) size() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.every)
}

func (t *table) full() bool { return t.size() >= t.limit }

func (t *table) all() []*association {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*association, 0, len(t.every))
	for a := range t.every {
		out = append(out, a)
	}
	return out
}

func (t *table) withCID(id cid) *association {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byCID[id]
}

func (t *table) at(addr netip.AddrPort) *association {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byAddr[addr]
}

// add enters a at addr and returns the association it replaces there, if any:
// one that could be reached by this address alone, or one of the same identity
// (RFC 6347 §4.2.8, a peer that began anew). An association of somebody else
// with an identifier stays, two devices behind one NAT port in turn. It reports
// false when the table is full or the identifier is taken.
func (t *table) add(a *association, addr netip.AddrPort) (replaced *association, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.every) >= t.limit {
		return nil, false
	}
	if a.hasCID {
		if _, taken := t.byCID[a.cid]; taken {
			return nil, false
		}
		t.byCID[a.cid] = a
	}
	if old := t.byAddr[addr]; old != nil && (!old.hasCID || old.identity == a.identity) {
		replaced = old
	}
	t.byAddr[addr] = a
	t.every[a] = struct{}{}
	return replaced, true
}

// remove forgets a, wherever it is.
func (t *table) remove(a *association, addr netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.every, a)
	if a.hasCID && t.byCID[a.cid] == a {
		delete(t.byCID, a.cid)
	}
	if t.byAddr[addr] == a {
		delete(t.byAddr, addr)
	}
}

// move notes that a has gone from one address to another, without driving
// anybody else out: who sent the record from there need not be who a is.
func (t *table) move(a *association, from, to netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, live := t.every[a]; !live {
		return
	}
	if t.byAddr[from] == a {
		delete(t.byAddr, from)
	}
	if t.byAddr[to] == nil {
		t.byAddr[to] = a
	}
}
