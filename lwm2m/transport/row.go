package transport

import (
	"sync"
	"time"

	"steward/lwm2m/dtls"
)

// chunkRows is how many rows are allocated at once.
const chunkRows = 1024

// A chunk is a part of the slab. Its rows hold no pointers: of a quiet
// association the collector sees nothing but its peer.
type chunk struct {
	rows  *[chunkRows]row
	peers *[chunkRows]*peer // guarded by the rows' locks; nil: nobody has asked
	// stamps say when the kernel received a request that was not answered yet. They
	// are guarded like peers, and nil when the listener has none.
	stamps *[chunkRows]int64
}

// A state says what a row holds.
type state uint8

const (
	free     state = iota
	reserved       // its connection identifier was given out, for a handshake
	live           // an association
	ended          // no more, and about to be free
)

// Marks of a row.
const (
	hasCID   = 1 << iota
	kept     // it has a cell of the journal
	inFlight // its last flight is in flights
	restored // of an earlier run of the program, and has not spoken in this
	unjudged // of an earlier run, and its peer has not been judged in this
)

// A row is a slot of the slab.
type row struct {
	mu      sync.Mutex
	session dtls.Session
	addr    address // written with the table's lock as well, so that either is enough to read it
	name    name
	seen    instant // when the last authentic record came
	born    instant
	// generation counts the associations that had this slot. It stays when they go,
	// so that nobody takes the next one for them.
	generation uint32
	forged     uint32 // records that were not authentic

	// Links of lists, guarded by the table's lock: slot+1, 0 ends the list.
	nextFree, nextDue uint32

	state     state
	marks     uint8
	shard     uint8 // by which the last authentic record came
	scheduled bool  // it is in a bucket of the wheel, whatever its state; guarded by the table's lock
}

func (r *row) is(marks uint8) bool { return r.marks&marks != 0 }

// alive reports whether the row holds that association. The caller holds mu.
func (r *row) alive(generation uint32) bool { return r.state == live && r.generation == generation }

// An instant is a time in tenths of a second since the listener began, which
// spans six years to both sides.
type instant int32

const instantUnit = 100 * time.Millisecond

// instantOf rounds up, so that no time limit becomes shorter.
func instantOf(d time.Duration) instant {
	return instant(min((d+instantUnit-1)/instantUnit, 1<<31-1)) //nolint:gosec // G115: bounded
}
