package coap

import "context"

// respondPart answers with the one block that a handler made of a long body. The
// engine keeps nothing of it: the next block is another request to the handler.
func (e *Engine) respondPart(j *job, r *Response, x extra, b *batch) {
	szx := e.szx
	if j.block2.set {
		szx = min(szx, j.block2.szx)
	}
	offset := j.block2.offset()
	if offset >= r.Total || !numbered(r.Total, szx) {
		e.reply(j, &Response{Code: BadRequest}, x, b)
		return
	}
	at, end := blockAt(offset, r.Total, szx)
	if len(r.Payload) != end-offset {
		e.reply(j, &Response{Code: InternalServerError}, x, b)
		return
	}
	if j.block2.set || at.more {
		x.block2 = at
	}
	if offset == 0 && at.more {
		x.size2 = uint32(r.Total) //nolint:gosec // G115: its blocks are numbered by 20 bits
	}
	e.reply(j, r, x, b)
}

// part tells the handler of j which part of a body was asked for.
func (e *Engine) part(j *job) {
	if j.req.Method != GET {
		return
	}
	szx := e.szx
	if j.block2.set {
		szx = min(szx, j.block2.szx)
	}
	j.req.Offset, j.req.Limit = j.block2.offset(), 16<<szx
}

// Block is Do for one block of the response to a GET: that which begins at offset,
// a multiple of the engine's block size. more reports that others follow; the
// entity tag tells whether they are of the same body (RFC 7959 §2.4). A device
// resumes a download by it where it was cut off. Errors are those of Do.
func (e *Engine) Block(ctx context.Context, p Peer, r *Request, offset int) (response *Response, more bool, err error) {
	if r.Method != GET || offset < 0 || offset%(16<<e.szx) != 0 || !numbered(offset, e.szx) {
		return nil, false, ErrRequest
	}
	t, err := e.newTransfer(p, r)
	if err != nil {
		return nil, false, err
	}
	b, _ := blockAt(offset, offset, e.szx)
	b.more = false
	got, err := t.exchange(ctx, r, nil, extra{block2: b})
	switch {
	case err != nil:
		return nil, false, err
	case !got.Code.IsSuccess():
		return &got.Response, false, nil
	case !got.block2.set && offset > 0, got.block2.set && got.block2.offset() != offset,
		got.block2.more && len(got.Payload) != got.block2.size():
		return nil, false, ErrBlock
	}
	return &got.Response, got.block2.more, nil
}

// progressKey is where WithProgress keeps its function.
type progressKey struct{}

// WithProgress returns a context by which Do tells how many bytes of the request's
// body the peer has acknowledged, block by block. tell runs on the goroutine of Do,
// and the next block waits for it: so an upload is paced.
func WithProgress(ctx context.Context, tell func(acknowledged int)) context.Context {
	return context.WithValue(ctx, progressKey{}, tell)
}

// progressed tells of a block that the peer has.
func progressed(ctx context.Context, acknowledged int) {
	if tell, ok := ctx.Value(progressKey{}).(func(int)); ok {
		tell(acknowledged)
	}
}
