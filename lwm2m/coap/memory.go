package coap

// A memory is a ring of messages received, oldest first: slots without
// pointers in chunks, found by two tables of positions. What is pushed out, by
// age or by number, needs no unlinking: chains lead from newer to older
// positions and end where the ring does.
type memory struct {
	limit       int // slots
	live        int // of those, not forgotten
	first, next uint64
	slots       [][]slot // chunks, of which the first begins at or below first
	base        uint64   // position where that begins
	spare       []slot   // an empty chunk
	heads       []uint32 // by peer and id: the newest position of a chain
	peers       []crowd  // by peer
	replies     replies
}

// A slot is one message received.
type slot struct {
	peer       uint64 // hash
	at         moment
	older      uint32 // position in the chain of heads
	olderOf    uint32 // position in the chain of peers
	chunk      uint32 // of its reply
	start, end uint16 // of its reply in the chunk
	id         uint16
	state      slotState
}

type slotState uint8

const (
	unanswered slotState = iota
	answered
	forgotten
)

// A crowd is all peers of one hash bucket.
type crowd struct {
	newest uint32 // position of the newest message
	count  uint32 // messages remembered
}

const (
	slotsPerChunk = 256
	// leastTable is the size of the tables at first: a device has few peers.
	leastTable = 16
)

func (m *memory) limits(slots, bytes int) { m.limit, m.replies.limit = slots, bytes/replyChunk }

// slot returns the slot at pos, nil if it is gone.
func (m *memory) slot(pos uint64) *slot {
	if m == nil || pos < m.first || pos >= m.next {
		return nil
	}
	n := pos - m.base
	s := &m.slots[n/slotsPerChunk][n%slotsPerChunk]
	if s.state == forgotten {
		return nil
	}
	return s
}

// back returns the position that the low bits of one stand for, behind which
// all positions up to but are; false at the end of a chain.
func (m *memory) back(low uint32, but uint64) (uint64, bool) {
	pos := m.next - uint64(uint32(m.next)-low) //nolint:gosec // G115: the low bits are meant
	return pos, pos >= m.first && pos < but
}

// spread mixes a message's name into an index of heads.
func (m *memory) spread(peer uint64, id uint16) int {
	const odd = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	h := (peer ^ uint64(id)*odd) * odd
	return int(h>>32) & (len(m.heads) - 1)
}

// crowdOf returns the bucket of a peer.
func (m *memory) crowdOf(peer uint64) *crowd { return &m.peers[peer%uint64(len(m.peers))] }

// find returns the position of a message.
func (m *memory) find(peer uint64, id uint16) (uint64, bool) {
	if m.live == 0 {
		return 0, false
	}
	low, but := m.heads[m.spread(peer, id)], m.next
	for {
		pos, ok := m.back(low, but)
		if !ok {
			return 0, false
		}
		n := pos - m.base
		s := &m.slots[n/slotsPerChunk][n%slotsPerChunk]
		if s.peer == peer && s.id == id && s.state != forgotten {
			return pos, true
		}
		low, but = s.older, pos
	}
}

// of returns how many messages of the peer, and of those that share its bucket,
// are remembered.
func (m *memory) of(peer uint64) int {
	if len(m.peers) == 0 {
		return 0
	}
	return int(m.crowdOf(peer).count)
}

// add appends a slot, at the cost of the oldest if need be.
func (m *memory) add(s slot) uint64 {
	for m.next-m.first >= uint64(m.limit) { //nolint:gosec // G115: not negative
		m.drop()
	}
	if n := int(m.next - m.first); n >= len(m.heads) && len(m.heads) < m.limit { //nolint:gosec // G115: at most limit
		m.grow()
	}
	last := len(m.slots) - 1
	if last < 0 || len(m.slots[last]) == slotsPerChunk {
		var chunk []slot
		if last >= 0 {
			if chunk, m.spare = m.spare, nil; chunk == nil {
				chunk = make([]slot, 0, slotsPerChunk)
			}
		} else {
			m.base = m.next
		}
		m.slots = append(m.slots, chunk)
		last++
	}
	pos := m.next
	m.slots[last] = append(m.slots[last], s)
	m.next++
	m.live++
	m.link(pos)
	m.crowdOf(s.peer).count++
	return pos
}

// link enters the slot at pos, the newest, in the tables.
func (m *memory) link(pos uint64) {
	n := pos - m.base
	s := &m.slots[n/slotsPerChunk][n%slotsPerChunk]
	head, c := &m.heads[m.spread(s.peer, s.id)], m.crowdOf(s.peer)
	s.older, s.olderOf = *head, c.newest
	*head, c.newest = uint32(pos), uint32(pos) //nolint:gosec // G115: the low bits are meant
}

// grow makes the tables larger: in few steps, for each visits all slots.
func (m *memory) grow() {
	const step = 8
	size := max(step*len(m.heads), leastTable)
	for size > leastTable && size/2 >= m.limit {
		size /= 2
	}
	m.heads, m.peers = make([]uint32, size), make([]crowd, size)
	for pos := m.first; pos < m.next; pos++ {
		m.link(pos)
		if s := m.slot(pos); s != nil {
			m.crowdOf(s.peer).count++
		}
	}
}

// drop forgets the oldest slot. An empty memory keeps nothing.
func (m *memory) drop() {
	if s := m.slot(m.first); s != nil {
		m.live--
		m.crowdOf(s.peer).count--
	}
	m.first++
	switch m.first {
	case m.next:
		m.slots, m.spare, m.heads, m.peers = nil, nil, nil, nil
		m.replies.clear()
	case m.base + slotsPerChunk:
		m.spare, m.slots[0] = m.slots[0][:0], nil
		m.slots = m.slots[1:]
		m.base = m.first
	}
}

// expire drops what was received before then.
func (m *memory) expire(then moment) {
	for m.first < m.next && m.oldest(then+1) <= then {
		m.drop()
	}
	m.replies.expire(then)
}

// oldest returns when the oldest slot was received, none if there is none.
func (m *memory) oldest(none moment) moment {
	if m.first == m.next {
		return none
	}
	n := m.first - m.base
	return m.slots[0][n].at
}

// forget forgets the messages of a peer.
func (m *memory) forget(peer uint64) {
	if m.live == 0 || m.crowdOf(peer).count == 0 {
		return
	}
	low, but := m.crowdOf(peer).newest, m.next
	for {
		pos, ok := m.back(low, but)
		if !ok {
			break
		}
		n := pos - m.base
		s := &m.slots[n/slotsPerChunk][n%slotsPerChunk]
		if s.peer == peer && s.state != forgotten {
			s.state = forgotten
			m.live--
			m.crowdOf(peer).count--
		}
		low, but = s.olderOf, pos
	}
	for m.first < m.next && m.slot(m.first) == nil {
		m.drop()
	}
}

// keep stores the reply of s.
func (m *memory) keep(s *slot, reply []byte) {
	s.chunk, s.start, s.end = m.replies.add(reply, s.at)
	s.state = answered
}

// answer appends the reply of the message at pos to dst, which stays nil if
// there is none yet. It returns false, and forgets the message, when its reply
// had to go.
func (m *memory) answer(dst []byte, pos uint64) ([]byte, bool) {
	s := m.slot(pos)
	if s.state == unanswered {
		return nil, true
	}
	reply := m.replies.get(s.chunk, s.start, s.end)
	if reply == nil {
		s.state = forgotten
		m.live--
		m.crowdOf(s.peer).count--
		return nil, false
	}
	return append(dst, reply...), true
}
