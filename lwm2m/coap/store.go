package coap

// store is the bodies of all peers, by last use.
type store struct {
	oldest, newest *body
	count, bytes   int
}

func (e *Engine) pushNewest(o *body) {
	s := &e.store
	o.older, s.newest = s.newest, o
	if o.older != nil {
		o.older.newer = o
	} else {
		s.oldest = o
	}
}

func (e *Engine) pushOldest(o *body) {
	s := &e.store
	o.newer, s.oldest = s.oldest, o
	if o.newer != nil {
		o.newer.older = o
	} else {
		s.newest = o
	}
}

func (e *Engine) unchain(o *body) {
	s := &e.store
	if o.older != nil {
		o.older.newer = o.newer
	} else {
		s.oldest = o.newer
	}
	if o.newer != nil {
		o.newer.older = o.older
	} else {
		s.newest = o.older
	}
	o.older, o.newer = nil, nil
}
