package bench

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"

	"steward/lwm2m/dtls"
)

// A direction is that of a datagram, as the devices see it.
type direction uint8

const (
	incoming direction = iota
	outgoing
)

// A capture is what a sniffer on the wire would keep of all protected records of
// both directions: by which key they are protected, which the connection
// identifier names, for each association has its own, and which numbers they
// use. nil captures nothing.
type capture struct {
	seed maphash.Seed

	mu      sync.Mutex
	records []captured
}

type captured struct {
	key      uint64 // the connection identifier
	sequence uint64 // epoch included
	explicit uint64 // part of the nonce
	sum      uint64 // of the rest
	way      direction
}

func newCapture() *capture { return &capture{seed: maphash.MakeSeed()} }

// add takes the records of a datagram.
func (c *capture) add(way direction, datagram []byte) {
	if c == nil {
		return
	}
	for rest := datagram; len(rest) > 0; {
		r, next, err := dtls.ParseRecord(rest)
		if err != nil {
			return
		}
		rest = next
		if r.Epoch == 0 || r.Type != dtls.TLS12CID || len(r.Fragment) < 8 {
			continue
		}
		n := captured{
			key: binary.BigEndian.Uint64(r.CID), sequence: uint64(r.Epoch)<<48 | r.Sequence,
			explicit: binary.BigEndian.Uint64(r.Fragment), sum: maphash.Bytes(c.seed, r.Fragment), way: way,
		}
		c.mu.Lock()
		c.records = append(c.records, n)
		c.mu.Unlock()
	}
}

// twice returns how many records there are, and how many of them use a number, or
// an explicit nonce, that another record under the same key has used. A record
// that was sent again as it was is no other.
func (c *capture) twice() (all, reused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, number := range []func(*captured) uint64{
		func(r *captured) uint64 { return r.sequence }, func(r *captured) uint64 { return r.explicit },
	} {
		slices.SortFunc(c.records, func(a, b captured) int {
			return cmp.Or(cmp.Compare(a.way, b.way), cmp.Compare(a.key, b.key), cmp.Compare(number(&a), number(&b)))
		})
		for i := range c.records[:max(len(c.records)-1, 0)] {
			a, b := &c.records[i], &c.records[i+1]
			if a.way == b.way && a.key == b.key && number(a) == number(b) && a.sum != b.sum {
				reused++
			}
		}
	}
	return len(c.records), reused
}

// A trace keeps a record of a device: that of the last operation which was
// answered, as it was sent first. nil keeps nothing.
type trace struct {
	expects      bool // the next record begins an operation
	last, proved []byte
	before       []byte // proved when the server ended
}

func (t *trace) begins() {
	if t != nil {
		t.expects = true
	}
}

func (t *trace) sent(record []byte) {
	if t != nil && t.expects {
		t.last, t.expects = append(t.last[:0], record...), false
	}
}

func (t *trace) answered() {
	if t != nil {
		t.proved = append(t.proved[:0], t.last...)
	}
}
