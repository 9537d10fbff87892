package coap

// Stats are counters since New, and what an Engine holds at the moment.
type Stats struct {
	Requests   uint64 // received and no duplicates
	Quick      uint64 // of those, served within Receive
	Duplicates uint64 // messages received again
	Refused    uint64 // requests answered 5.03 because all goroutines for them were busy
	Overtaken  uint64 // notifications that gave way to newer ones before they were delivered
	Malformed  uint64 // datagrams that are no messages

	Peers        int // with something in flight, or that observe us
	Remembered   int // messages whose duplicates are recognised
	Observations int // that we hold with peers
	Bodies       int // being reassembled or served
	Busy         int // goroutines that serve requests or deliver notifications
}

// Stats returns the present figures.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Peers, s.Observations = len(e.links), e.watches.count
	s.Remembered, s.Bodies, s.Busy = e.dedup.main.live+e.dedup.crowd.live, e.store.count, e.workers.busy
	return s
}
