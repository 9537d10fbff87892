package coap

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"hash/maphash"
)

// A body is one that a peer sends us in blocks, or fetches from us in blocks.
type body struct {
	link   *link
	key    string // transferKey
	upload bool
	done   bool // its last block has been served
	data   []byte
	format Format   // of an upload
	head   Response // of a download, without its payload
	digest uint64   // of the request's body that a download answers
	timer  timer    // forgets it

	older, newer *body // by last use, among all
}

// wake implements sleeper: nobody has asked for the body for long.
func (o *body) wake(e *Engine, _ *batch) {
	e.discard(o)
	e.tidy(o.link)
}

// find returns the body of l with that key.
func (l *link) find(key string, upload bool) *body {
	for _, o := range l.bodies {
		if o.upload == upload && o.key == key {
			return o
		}
	}
	return nil
}

// keep stores o in place of one with the same key; false if there is no room.
func (e *Engine) keep(o *body) bool {
	if old := o.link.find(o.key, o.upload); old != nil {
		e.discard(old)
	}
	if len(o.link.bodies) >= maxBodiesPerPeer {
		e.discard(o.link.bodies[0])
	}
	if !e.room(1, len(o.data), o) {
		return false
	}
	e.store.count++
	e.store.bytes += len(o.data)
	o.link.bodies = append(o.link.bodies, o)
	e.pushNewest(o)
	e.start(&o.timer, o, e.o.Params.ExchangeLifetime)
	return true
}

// room makes room for more bodies and bytes: at the cost of bodies that are
// served, or that have rested for longer than a living client repeats itself.
func (e *Engine) room(bodies, size int, but *body) bool {
	s, p := &e.store, e.o.Params
	for s.count+bodies > e.o.MaxBlockTransfers || s.bytes+size > e.o.MaxBlockBytes {
		o := s.oldest
		if o == but {
			return false
		}
		if o == nil || (!o.done && e.left(&o.timer) > p.ExchangeLifetime-p.transmitSpan()) {
			return false
		}
		l := o.link
		e.discard(o)
		if l != but.link {
			e.tidy(l)
		}
	}
	return true
}

// touch marks o as used just now.
func (e *Engine) touch(o *body) {
	e.unchain(o)
	e.pushNewest(o)
	o.link.bodies = append(remove(o.link.bodies, o), o)
	e.start(&o.timer, o, e.o.Params.ExchangeLifetime)
}

// discard forgets o; the link may be left without content.
func (e *Engine) discard(o *body) {
	e.stop(&o.timer)
	e.store.count--
	e.store.bytes -= len(o.data)
	o.link.bodies = remove(o.link.bodies, o)
	e.unchain(o)
}

// receiveBlock takes one block of a request's body (RFC 7959 §2.5). It returns
// true when the body is whole and in j; else it has answered.
func (e *Engine) receiveBlock(j *job, f *fields, b *batch) bool {
	in, payload := f.block1, j.req.Payload
	j.block1 = block{num: in.num, szx: in.szx, set: true}
	if in.num == 0 {
		j.block1.szx = min(in.szx, e.szx) // ask for smaller ones
		if !in.more {
			return true
		}
	}
	if code := e.appendBlock(j, f); code != Continue {
		x := extra{block1: j.block1}
		x.block1.more = in.more
		r := &Response{Code: code}
		switch code {
		case Empty:
			return true
		case RequestEntityTooLarge:
			x.size1 = uint32(e.o.MaxBody) //nolint:gosec // G115: a configured size (RFC 7959 §2.9.3)
		case ServiceUnavailable:
			r.MaxAge = MaxAgeSeconds(busyAge)
		default: // 4.00 and 4.08 say it all
		}
		e.reply(j, r, x, b)
		return false
	}
	j.block1.more = true
	j.req.Payload = payload
	e.reply(j, &Response{Code: Continue}, extra{block1: j.block1}, b)
	return false
}

// appendBlock adds a block to its body and returns the code to answer: Empty
// when the body is whole, which then is in j.
func (e *Engine) appendBlock(j *job, f *fields) Code {
	in, payload := f.block1, j.req.Payload
	if (in.more && len(payload) != in.size()) || len(payload) > in.size() {
		return BadRequest
	}
	key := transferKey(j.req.Method, j.req.Path, j.req.Query, j.tag)
	o := j.link.find(key, true)
	if in.num == 0 {
		if int64(f.size1) > int64(e.o.MaxBody) {
			return RequestEntityTooLarge
		}
		o = &body{link: j.link, key: key, upload: true, format: j.req.ContentFormat}
		if !e.keep(o) {
			return ServiceUnavailable
		}
	}
	switch {
	case o == nil || o.format != j.req.ContentFormat:
		return RequestEntityIncomplete
	case in.more && in.num > 0 && in.offset()+len(payload) == len(o.data) && bytes.HasSuffix(o.data, payload):
		e.touch(o)
		return Continue // the latest block again, in a new message
	case in.offset() != len(o.data):
		return RequestEntityIncomplete
	case len(o.data)+len(payload) > e.o.MaxBody:
		e.discard(o)
		return RequestEntityTooLarge
	case !e.room(0, len(payload), o):
		e.discard(o)
		return ServiceUnavailable
	}
	o.data = append(o.data, payload...)
	e.store.bytes += len(payload)
	if in.more {
		e.touch(o)
		return Continue
	}
	j.req.Payload = o.data
	e.discard(o)
	return Empty
}

// respond sends the whole response r: its first block, or that which was asked
// for, and keeps the body for the others (RFC 7959 §2.4).
func (e *Engine) respond(j *job, r *Response, b *batch) {
	szx, total := e.szx, len(r.Payload)
	if j.block2.set {
		szx = min(szx, j.block2.szx)
	}
	x := extra{block1: j.block1}
	if r.Total > 0 && r.Code.IsSuccess() {
		e.discharge(j)
		r.Observe = false
		e.respondPart(j, r, x, b)
		return
	}
	if !numbered(total, szx) {
		e.discharge(j)
		e.reply(j, &Response{Code: InternalServerError}, x, b)
		return
	}
	if !r.Code.IsSuccess() || (total <= 16<<szx && !j.block2.set) {
		r.Payload = r.Payload[:min(total, 16<<szx)] // a diagnostic has no blocks
		e.reply(j, r, x, b)
		return
	}
	o := &body{link: j.link, data: r.Payload, head: *r, digest: e.digest(j.req.Payload)}
	o.key = transferKey(j.req.Method, j.req.Path, j.req.Query, j.tag)
	o.prepare(j.req.Method, szx)
	if total > 16<<szx && !e.keep(o) {
		e.discharge(j)
		e.reply(j, &Response{Code: ServiceUnavailable, MaxAge: MaxAgeSeconds(busyAge)}, x, b)
		return
	}
	e.sendBlock(j, o, x, b)
}

// prepare readies the head of a download. A body in several blocks gets an
// entity tag, so that the client sees when they are not of one representation.
func (o *body) prepare(method Code, szx uint8) {
	o.head.Payload = nil
	if len(o.data) > 16<<szx && len(o.head.ETag) == 0 && (method == GET || method == FETCH) {
		o.head.ETag = binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(o.data))
	}
}

// sendBlock answers j by the block of o that it asks for.
func (e *Engine) sendBlock(j *job, o *body, x extra, b *batch) {
	szx := e.szx
	if j.block2.set {
		szx = min(szx, j.block2.szx)
	}
	// A smaller block than asked for is taken from the same offset.
	offset := j.block2.offset()
	if offset > 0 && offset >= len(o.data) {
		e.reply(j, &Response{Code: BadRequest}, x, b)
		return
	}
	r := o.head
	var end int
	x.block2, end = blockAt(offset, len(o.data), szx)
	if offset == 0 && x.block2.more {
		x.size2 = uint32(len(o.data)) //nolint:gosec // G115: its blocks are numbered by 20 bits
	}
	r.Payload = o.data[offset:end]
	r.Observe = r.Observe && offset == 0
	e.reply(j, &r, x, b)
	if !x.block2.more && len(o.link.bodies) > 0 && o.link.find(o.key, false) == o {
		o.done = true // the first to go when room is needed
		e.unchain(o)
		e.pushOldest(o)
	}
}

// serveBlock answers a request for a later block from the stored body. It
// returns false when a handler must make the body again, which only methods
// without effect allow.
func (e *Engine) serveBlock(j *job, b *batch) bool {
	o := j.link.find(transferKey(j.req.Method, j.req.Path, j.req.Query, j.tag), false)
	if o != nil && (len(j.req.Payload) == 0 || e.digest(j.req.Payload) == o.digest) {
		if !o.done {
			e.touch(o)
		}
		e.sendBlock(j, o, extra{block1: j.block1}, b)
		return true
	}
	if j.req.Method == GET || (j.req.Method == FETCH && len(j.req.Payload) > 0) {
		return false
	}
	e.reply(j, &Response{Code: RequestEntityIncomplete}, extra{block1: j.block1}, b)
	return true
}

// digest tells request bodies apart.
func (e *Engine) digest(payload []byte) uint64 { return maphash.Bytes(e.seed, payload) }
