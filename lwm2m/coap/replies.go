package coap

import "slices"

// replies are what duplicates are answered: bytes in chunks, of which the
// oldest go first.
type replies struct {
	limit  int    // chunks
	number uint32 // of the first chunk
	chunks []chunk
	bytes  int // in all chunks
}

type chunk struct {
	data  []byte
	until moment // when the latest message answered was received
}

// replyChunk is the size of a chunk in bytes: a block with its options fits
// many times.
const replyChunk = 16 << 10

// add stores a reply to what was received at then. One larger than a chunk is not kept: no such is sent.
func (r *replies) add(reply []byte, then moment) (number uint32, start, end uint16) {
	last := len(r.chunks) - 1
	if len(reply) > replyChunk {
		return r.number - 1, 0, 0
	}
	if last < 0 || len(r.chunks[last].data)+len(reply) > replyChunk {
		if len(r.chunks) >= max(r.limit, 1) {
			r.drop(1)
		}
		var data []byte
		if len(r.chunks) > 0 {
			data = make([]byte, 0, replyChunk)
		}
		r.chunks = append(r.chunks, chunk{data: data})
		last = len(r.chunks) - 1
	}
	c := &r.chunks[last]
	from := len(c.data)
	c.data = append(c.data, reply...)
	c.until = max(c.until, then)
	r.bytes += len(reply)
	return r.number + uint32(last), uint16(from), uint16(len(c.data)) //nolint:gosec // G115: at most limit, replyChunk
}

// get returns a reply, nil if it had to go.
func (r *replies) get(number uint32, start, end uint16) []byte {
	n := number - r.number
	if n >= uint32(len(r.chunks)) { //nolint:gosec // G115: at most limit
		return nil
	}
	return r.chunks[n].data[start:end]
}

// drop forgets the oldest chunks.
func (r *replies) drop(n int) {
	for _, c := range r.chunks[:n] {
		r.bytes -= len(c.data)
	}
	r.chunks = slices.Delete(r.chunks, 0, n)
	r.number += uint32(n) //nolint:gosec // G115: at most limit
}

// expire forgets chunks that only answer what was received before then.
func (r *replies) expire(then moment) {
	n := 0
	for n < len(r.chunks)-1 && r.chunks[n].until <= then {
		n++
	}
	if n > 0 {
		r.drop(n)
	}
}

func (r *replies) clear() {
	r.drop(len(r.chunks))
	r.chunks = nil
}
