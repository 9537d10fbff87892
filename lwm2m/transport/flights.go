package transport

import "sync"

const (
	// flightLife is how long our last flight is kept for a peer that lost it;
	// the peer's own retransmissions have ended by then.
	flightLife = 600 * instant(1)
	// maxRepeats bounds how often it is sent again.
	maxRepeats = 8
)

// A flight is the last of a handshake, kept for a peer that has lost it.
type flight struct {
	datagram   []byte
	generation uint32
	born       instant
	repeats    uint8
}

// flights are those of associations that have not spoken yet, by their slots:
// there are some only after handshakes. The marks of the rows say so, that
// nobody looks in vain.
type flights struct {
	mu   sync.Mutex
	last map[uint32]*flight
}

func (s *flights) keep(f ref, datagram []byte, now instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[uint32]*flight{}
	}
	s.last[f.slot] = &flight{datagram: datagram, generation: f.generation, born: now}
}

// again returns the flight of an association to be sent once more, nil if there
// is none or it was sent too often.
func (s *flights) again(f ref) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.last[f.slot]
	if x == nil || x.generation != f.generation || x.repeats >= maxRepeats {
		return nil
	}
	x.repeats++
	return x.datagram
}

func (s *flights) drop(f ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.last[f.slot]; x != nil && x.generation == f.generation {
		delete(s.last, f.slot)
	}
	if len(s.last) == 0 {
		s.last = nil // a map does not shrink
	}
}

// forget drops those that are too old to be asked for.
func (s *flights) forget(now instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for slot, x := range s.last {
		if now-x.born > flightLife {
			delete(s.last, slot)
		}
	}
	if len(s.last) == 0 {
		s.last = nil
	}
}
