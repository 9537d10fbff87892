package coap

import (
	"context"
	"errors"
)

// A confirmation is a confirmable message that wants no more than its ACK.
type confirmation struct {
	tx     transmission
	link   *link
	result chan error // has room for the one
}

// sent implements sender.
func (c *confirmation) sent(e *Engine, err error) {
	c.result <- err
	e.release(c.link)
}

// confirm sends a confirmable message that build makes with the lock held, and
// waits for its ACK, which a stream does not have. An error of build ends it.
func (e *Engine) confirm(ctx context.Context, p Peer, build func(l *link, id uint16) ([]byte, error)) error {
	l, err := e.acquire(ctx, p)
	if err != nil {
		return err
	}
	b := batch{}
	e.mu.Lock()
	if l.gone {
		e.mu.Unlock()
		return ErrClosed
	}
	id := e.nextID(l)
	datagram, err := build(l, id)
	if err != nil {
		e.release(l)
		e.mu.Unlock()
		return err
	}
	if l.stream {
		e.release(l)
		e.mu.Unlock()
		e.send(p, withoutID(datagram))
		return nil
	}
	c := &confirmation{link: l, result: make(chan error, 1)}
	e.transmit(&c.tx, c, l, id, datagram, &b)
	e.mu.Unlock()
	e.flush(&b)
	select {
	case err := <-c.result:
		return err
	case <-ctx.Done():
	}
	e.mu.Lock()
	e.finish(&c.tx, ctx.Err())
	e.mu.Unlock()
	return <-c.result
}

// Ping asks whether p is there (RFC 7252 §4.3). It returns nil when the peer
// has answered, else ErrTimeout, ErrClosed, ErrBusy or the error of ctx.
func (e *Engine) Ping(ctx context.Context, p Peer) error {
	if isStream(p) {
		return e.pingStream(ctx, p)
	}
	err := e.confirm(ctx, p, func(_ *link, id uint16) ([]byte, error) {
		return emptyMessage(CON, id), nil
	})
	if errors.Is(err, ErrReset) {
		return nil
	}
	return err
}
