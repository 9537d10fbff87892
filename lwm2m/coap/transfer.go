package coap

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
)

// Do sends r to p and returns the response; both bodies are cut in blocks and
// put together as need be (RFC 7959). A response code of class 4 or 5 is no
// error. Errors are ErrTimeout, ErrReset, ErrClosed, ErrTooLarge (a response above
// MaxBody, or a request with too many blocks), ErrBlock, ErrOption, ErrRequest, ErrBusy and that of ctx.
func (e *Engine) Do(ctx context.Context, p Peer, r *Request) (*Response, error) {
	t, err := e.newTransfer(p, r)
	if err != nil {
		return nil, err
	}
	return t.run(ctx)
}

// A transfer is one request of ours with all its blocks. They share one token,
// for there are servers that tell transfers apart by it.
type transfer struct {
	e       *Engine
	peer    Peer
	request *Request
	token   token
	szx     uint8  // present block size
	tag     []byte // Request-Tag; nil: none
	watch   *Observation
	cancels bool
}

func (e *Engine) newTransfer(p Peer, r *Request) (*transfer, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if !numbered(len(r.Payload), e.szx) {
		return nil, ErrTooLarge
	}
	return &transfer{e: e, peer: p, request: r, token: e.newToken(p), szx: e.szx}, nil
}

func (t *transfer) run(ctx context.Context) (*Response, error) {
	first, err := t.upload(ctx)
	if err != nil {
		return nil, err
	}
	return t.download(ctx, first)
}

// exchange performs one round trip of the transfer.
func (t *transfer) exchange(ctx context.Context, r *Request, payload []byte, x extra) (*reply, error) {
	x.tag = t.tag
	return t.e.roundTrip(ctx, t, r, payload, x)
}

// early is the Block2 option of a first request: present if we want smaller
// blocks than the server would send (RFC 7959 §2.4).
func (t *transfer) early() block {
	return block{szx: t.e.szx, set: t.e.o.BlockSize < defaultBlockSize}
}

// upload sends the request, in blocks if its body is larger than one, and
// returns the response to the last (RFC 7959 §2.5).
func (t *transfer) upload(ctx context.Context) (*reply, error) {
	body := t.request.Payload
	if len(body) <= 16<<t.szx {
		return t.exchange(ctx, t.request, body, extra{block2: t.early()})
	}
	if err := t.takeTag(); err != nil {
		return nil, err
	}
	defer t.dropTag()
	for offset := 0; ; {
		r, end, err := t.uploadBlock(ctx, offset)
		if err != nil || end == len(body) {
			return r, err
		}
		smaller := r.block1.set && r.block1.szx < t.szx
		switch {
		case offset == 0 && smaller && r.Code == RequestEntityTooLarge: // RFC 7959 §2.9.3
		case !r.Code.IsSuccess() || (!r.block1.set && r.Code != Continue):
			return r, nil // the server needs no more to answer
		default:
			offset = end
		}
		progressed(ctx, offset)
		if smaller {
			t.szx = r.block1.szx
		}
	}
}

// uploadBlock sends the block at offset and returns its response and its end.
func (t *transfer) uploadBlock(ctx context.Context, offset int) (*reply, int, error) {
	body := t.request.Payload
	b, end := blockAt(offset, len(body), t.szx)
	x := extra{block1: b}
	if offset == 0 {
		x.size1 = uint32(len(body)) //nolint:gosec // G115: its blocks are numbered by 20 bits
	}
	if !b.more {
		x.block2 = t.early()
	}
	r, err := t.exchange(ctx, t.request, body[offset:end], x)
	return r, end, err
}

// errChanged reports that the representation changed between two blocks.
var errChanged = errors.New("representation changed")

// download returns the response that begins with the block first (RFC 7959
// §2.4). When the representation of a GET changes on the way, it starts again.
func (t *transfer) download(ctx context.Context, first *reply) (*Response, error) {
	const attempts = 3
	for n := 1; ; n++ {
		if first.whole() {
			return &first.Response, nil
		}
		if t.request.Observe != ObserveNone {
			t.token = t.e.newToken(t.peer) // the old one belongs to the notifications
		}
		r, err := t.collect(ctx, first)
		if !errors.Is(err, errChanged) {
			return r, err
		}
		if t.request.Method != GET || n == attempts {
			return nil, ErrBlock
		}
		observe, sequence := first.Observe, first.Sequence
		if first, err = t.next(ctx, block{szx: t.szx, set: true}); err != nil {
			return nil, err
		}
		first.Observe, first.Sequence = observe, sequence
	}
}

// collect appends the blocks that follow first.
func (t *transfer) collect(ctx context.Context, first *reply) (*Response, error) {
	limit := t.e.o.MaxBody
	if int64(first.size2) > int64(limit) {
		return nil, ErrTooLarge
	}
	if first.block2.num != 0 {
		return nil, ErrBlock
	}
	body := first.Payload
	b := first.block2
	for r := first; r.block2.more; {
		if len(r.Payload) != r.block2.size() {
			return nil, ErrBlock
		}
		if len(body) >= limit || len(body)/b.size() > maxBlockNumber {
			return nil, ErrTooLarge
		}
		b.num = uint32(len(body) / b.size()) //nolint:gosec // G115: bounded above
		b.more = false
		var err error
		if r, err = t.next(ctx, b); err != nil {
			return nil, err
		}
		switch {
		case !r.Code.IsSuccess():
			return &r.Response, nil
		case !r.block2.set || r.block2.offset() != len(body):
			return nil, ErrBlock
		case r.Code != first.Code || !bytes.Equal(r.ETag, first.ETag):
			return nil, errChanged
		}
		body = append(body, r.Payload...)
		b.szx = min(b.szx, r.block2.szx)
	}
	if len(body) > limit {
		return nil, ErrTooLarge
	}
	out := first.Response
	out.Payload = body
	return &out, nil
}

// next asks for one block of the response: by the same request without its
// body (RFC 7959 §3.3), except that the body of a FETCH says what is fetched.
func (t *transfer) next(ctx context.Context, b block) (*reply, error) {
	r := &Request{
		Method: t.request.Method, Path: t.request.Path, Query: t.request.Query,
		Accept: t.request.Accept, NonConfirmable: t.request.NonConfirmable,
	}
	var payload []byte
	if r.Method == FETCH && len(t.request.Payload) <= 16<<t.e.szx {
		payload, r.ContentFormat = t.request.Payload, t.request.ContentFormat
	}
	watch := t.watch
	t.watch = nil
	defer func() { t.watch = watch }()
	return t.exchange(ctx, r, payload, extra{block2: b})
}

// A tagged is a block-wise upload of ours in progress.
type tagged struct {
	key string
	tag uint32
}

// takeTag gives the transfer a Request-Tag if another one with the same peer,
// method, path and query is in progress (RFC 9175 §3.4).
func (t *transfer) takeTag() error {
	e := t.e
	own := tagged{key: transferKey(t.request.Method, t.request.Path, t.request.Query, nil)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return ErrClosed
	}
	l := e.link(t.peer)
	for slices.Contains(l.tags, own) {
		own.tag++
	}
	l.tags = append(l.tags, own)
	if own.tag > 0 {
		t.tag = binary.BigEndian.AppendUint32(nil, own.tag)
		for t.tag[0] == 0 {
			t.tag = t.tag[1:]
		}
	}
	return nil
}

// dropTag ends what takeTag began. The tag itself stays for the blocks of the
// response.
func (t *transfer) dropTag() {
	own := tagged{key: transferKey(t.request.Method, t.request.Path, t.request.Query, nil)}
	for _, b := range t.tag {
		own.tag = own.tag<<8 | uint32(b)
	}
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	if l := t.e.links[t.peer]; l != nil {
		l.tags = remove(l.tags, own)
		t.e.tidy(l)
	}
}
