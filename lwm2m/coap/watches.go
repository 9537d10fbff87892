package coap

// watches is the table of all our observations, chained by the hash of the
// peer: a chain has those of one peer, and few others.
type watches struct {
	chains []*Observation
	count  int
}

// watchesPerChain is how many observations a chain has on average at most.
const watchesPerChain = 2

func (w *watches) chain(hash uint32) **Observation { return &w.chains[int(hash)&(len(w.chains)-1)] }

// find returns the observation with p and that token.
func (w *watches) find(hash uint64, p Peer, t []byte) *Observation {
	if w.count == 0 {
		return nil
	}
	for o := *w.chain(uint32(hash)); o != nil; o = o.next { //nolint:gosec // G115: the low bits are meant
		if string(o.token[:]) == string(t) && o.peer == p {
			return o
		}
	}
	return nil
}

// add enters o.
func (w *watches) add(o *Observation, hash uint64) {
	if w.count >= watchesPerChain*len(w.chains) {
		w.resize(max(2*len(w.chains), leastTable))
	}
	o.hash = uint32(hash) //nolint:gosec // G115: the low bits are meant
	c := w.chain(o.hash)
	o.next, *c = *c, o
	w.count++
}

// remove takes o out, if it is there.
func (w *watches) remove(o *Observation) {
	if w.count == 0 {
		return
	}
	for c := w.chain(o.hash); *c != nil; c = &(*c).next {
		if *c == o {
			*c, o.next = o.next, nil
			w.count--
			break
		}
	}
	const sparse = 8
	switch {
	case w.count == 0:
		w.chains = nil
	case len(w.chains) > leastTable && sparse*w.count < len(w.chains):
		w.resize(len(w.chains) / 2)
	}
}

// forgetPeer ends all observations with p.
func (w *watches) forgetPeer(p Peer, hash uint64) {
	if w.count == 0 {
		return
	}
	var ended []*Observation
	for o := *w.chain(uint32(hash)); o != nil; o = o.next { //nolint:gosec // G115: the low bits are meant
		if o.peer == p {
			ended = append(ended, o)
		}
	}
	for _, o := range ended {
		o.state = over
		w.remove(o)
	}
}

func (w *watches) resize(size int) {
	old := w.chains
	w.chains = make([]*Observation, size)
	for _, o := range old {
		for o != nil {
			next := o.next
			c := w.chain(o.hash)
			o.next, *c = *c, o
			o = next
		}
	}
}
