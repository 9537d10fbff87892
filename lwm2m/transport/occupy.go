package transport

import "hash/maphash"

// occupy makes an association of a seat. fill sets its session, name, times and
// marks. It returns the association that it replaces at its address, if any: one
// that could be reached by this address alone, or one of the same identity (RFC
// 6347 §4.2.8, a peer that began anew). An association of somebody else with an
// identifier stays, two devices behind one NAT port in turn. It returns ErrNoRoom.
func (t *table) occupy(f ref, addr address, fill func(*row)) (replaced ref, replaces bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live >= t.limit {
		return ref{}, false, ErrNoRoom
	}
	r := t.row(f.slot)
	r.mu.Lock()
	fill(r)
	r.addr, r.state = addr, live
	t.schedule(f.slot, r)
	mine := t.names.get(r.name)
	r.mu.Unlock()
	t.live++
	if slot, taken := t.atAddr(addr); taken {
		old := t.row(slot)
		old.mu.Lock()
		replaced = ref{slot, old.generation}
		replaces = old.state == live && (!old.is(hasCID) || t.names.get(old.name) == mine)
		old.mu.Unlock()
		t.byAddr.remove(slot, t.addrHash)
	}
	t.byAddr.insert(f.slot, t.addrHash)
	return replaced, replaces, nil
}

// remove makes the slot of an association that has ended free.
func (t *table) remove(f ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.row(f.slot)
	t.byAddr.remove(f.slot, t.addrHash)
	t.restored.remove(f.slot, t.nameHash)
	r.mu.Lock()
	defer r.mu.Unlock()
	t.names.drop(r.name)
	r.name, r.addr, r.marks, r.state = name{}, address{}, 0, free
	t.live--
	t.giveFree(f.slot)
}

// move notes that the record with this sequence number, if it still is the
// newest, came from another address, without driving anybody else out: who sent
// it from there need not be who the association is. It reports whether the
// association moved, and whether it is kept.
func (t *table) move(f ref, to address, sequence uint64) (moved, isKept bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.row(f.slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.alive(f.generation) || r.session.Expected() != sequence+1 || r.addr == to {
		return false, false
	}
	t.byAddr.remove(f.slot, t.addrHash)
	r.addr = to
	if _, taken := t.atAddr(to); !taken {
		t.byAddr.insert(f.slot, t.addrHash)
	}
	return true, r.is(kept)
}

func (t *table) nameHash(slot uint32) uint64 {
	return maphash.String(t.seed, t.names.get(t.row(slot).name).Name)
}

// byName finds the association of an earlier run whose peer is called so.
func (t *table) byName(text string) (f ref, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	slot, ok := t.restored.find(maphash.String(t.seed, text), func(slot uint32) bool {
		return t.names.get(t.row(slot).name).Name == text
	})
	if !ok {
		return ref{}, false
	}
	r := t.row(slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	return ref{slot, r.generation}, r.state == live
}

// repack puts all names in anew, one after the other, so that chunks with few of
// them are left.
func (t *table) repack() {
	for f := range t.all() {
		t.mu.Lock()
		r := t.row(f.slot)
		r.mu.Lock()
		if r.alive(f.generation) {
			old := r.name
			r.name = t.names.put(t.names.get(old))
			t.names.drop(old)
		}
		r.mu.Unlock()
		t.mu.Unlock()
	}
}
