package coap

// quick answers a request that Options.Quick calls quick, within Receive and
// without a link, a job or a timer. It returns false, and has done nothing, if
// the message is for others.
func (e *Engine) quick(p Peer, in *inbox) bool {
	if e.o.Quick == nil || e.o.Handler == nil || !in.plain() || !e.o.Quick(in.borrowed(p, e.szx)) {
		return false
	}
	rec, own, ok := e.admit(p, in)
	if !ok {
		return true
	}
	defer e.work.Done()
	m, resp := &in.message, e.call(&in.request)
	switch {
	case resp != nil && (len(resp.Payload) > 16<<e.szx || resp.Total > 0):
		e.respondLarge(p, rec, m.ID, &in.request, resp)
	case in.answer(e, resp, own):
		if m.Type == CON {
			e.mu.Lock()
			e.keepReply(rec, in.reply)
			e.mu.Unlock()
		}
		e.send(p, in.reply)
	}
	if resp != nil && resp.Sent != nil {
		resp.Sent()
	}
	return true
}

// admit remembers the message and has Run wait for its handler; own is the id of
// the answer to a NON. It returns false if there is nothing to serve: a duplicate,
// which it answers, or an engine that has stopped.
func (e *Engine) admit(p Peer, in *inbox) (rec mark, own uint16, ok bool) {
	m, hash, now := &in.message, e.peerHash(p), e.now()
	e.mu.Lock()
	if e.stopped {
		e.mu.Unlock()
		return mark{}, 0, false
	}
	if m.stream { // on which nothing comes twice
		defer e.mu.Unlock()
		e.stats.Requests++
		e.stats.Quick++
		e.work.Add(1)
		return mark{}, 0, true
	}
	if reply, duplicate := e.recognise(in.reply[:0], hash, m.ID, now); duplicate {
		e.mu.Unlock()
		if reply != nil && m.Type == CON {
			in.reply = reply
			e.send(p, reply)
		}
		return mark{}, 0, false
	}
	defer e.mu.Unlock()
	e.stats.Requests++
	e.stats.Quick++
	if m.Type == NON {
		own = e.takeID(hash)
	}
	e.work.Add(1)
	return e.remember(hash, m.ID, now), own, true
}

// answer writes the datagram of resp, which fits one; id counts for a NON. It
// returns false if there is none.
func (in *inbox) answer(e *Engine, resp *Response, id uint16) bool {
	m := &in.message
	w := encoder{b: in.reply[:0]}
	if resp == nil {
		w.head(RST, Empty, m.ID, nil)
		in.reply = w.b
		return m.Type == CON
	}
	r := *resp
	r.Observe = false
	if err := r.check(); err != nil {
		e.unsendable(in.request.Peer, err)
		r = Response{Code: InternalServerError}
	}
	t := ACK
	if m.Type == NON {
		t = NON
	} else {
		id = m.ID
	}
	w.head(t, r.Code, id, m.Token)
	w.response(&r, 0, extra{})
	w.payload(r.Payload)
	in.reply = w.b
	return true
}

// respondLarge sends an answer that needs blocks, is a part of a body, or is a
// diagnostic to be cut.
func (e *Engine) respondLarge(p Peer, rec mark, id uint16, req *Request, resp *Response) {
	b := batch{}
	e.mu.Lock()
	if !e.stopped {
		l := e.link(p)
		e.finishJob(&job{link: l, rec: rec, id: id, req: req}, resp, &b)
		e.tidy(l)
	}
	e.mu.Unlock()
	e.flush(&b)
}
