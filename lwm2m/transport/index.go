package transport

// minIndex is the size of an index with a few entries.
const minIndex = 64

// An index finds slots by something that their rows hold: it is a hash table
// with open addressing of which each place is a slot number, so that an entry
// costs four bytes and a little air. The zero index is empty.
type index struct {
	places []uint32 // slot+1; 0: empty. A power of two of them
	used   int
}

// mask takes the place of a hash out of it.
func (x *index) mask() uint64 { return uint64(len(x.places)) - 1 }

// find returns the slot with this hash that is the one meant.
func (x *index) find(hash uint64, meant func(slot uint32) bool) (slot uint32, ok bool) {
	if x.used == 0 {
		return 0, false
	}
	mask := x.mask()
	for i := hash & mask; x.places[i] != 0; i = (i + 1) & mask {
		if s := x.places[i] - 1; meant(s) {
			return s, true
		}
	}
	return 0, false
}

// insert enters a slot that is not there. hashOf returns the hash of any slot
// that is.
func (x *index) insert(slot uint32, hashOf func(slot uint32) uint64) {
	if 8*(x.used+1) > 7*len(x.places) {
		old := x.places
		x.places = make([]uint32, max(minIndex, 2*len(old)))
		for _, p := range old {
			if p != 0 {
				x.put(p, hashOf(p-1))
			}
		}
	}
	x.put(slot+1, hashOf(slot))
	x.used++
}

func (x *index) put(place uint32, hash uint64) {
	mask := x.mask()
	i := hash & mask
	for x.places[i] != 0 {
		i = (i + 1) & mask
	}
	x.places[i] = place
}

// remove takes a slot out, if it is there, and closes the gap, so that no later
// search ends too early.
func (x *index) remove(slot uint32, hashOf func(slot uint32) uint64) {
	if x.used == 0 {
		return
	}
	mask := x.mask()
	gap := hashOf(slot) & mask
	for x.places[gap] != slot+1 {
		if x.places[gap] == 0 {
			return
		}
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; x.places[i] != 0; i = (i + 1) & mask {
		home := hashOf(x.places[i]-1) & mask
		if (i-home)&mask >= (i-gap)&mask {
			x.places[gap], gap = x.places[i], i
		}
	}
	x.places[gap] = 0
	x.used--
}
