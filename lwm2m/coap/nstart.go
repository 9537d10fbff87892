package coap

import (
	"context"
	"slices"
)

// A waiter is a request that NSTART holds back (RFC 7252 §4.7).
type waiter struct {
	ready chan error // has room for the one answer: nil for a free place
}

// acquire takes a place among the NSTART exchanges with p and holds the link
// for its caller, who must release it. It returns ErrBusy, ErrClosed or the
// error of ctx.
func (e *Engine) acquire(ctx context.Context, p Peer) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	if e.stopped {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	l := e.link(p)
	if l.active < e.o.Params.NStart && len(l.waiting) == 0 {
		l.active++
		e.mu.Unlock()
		return l, nil
	}
	if len(l.waiting) >= maxWaitingPerPeer {
		e.mu.Unlock()
		return nil, ErrBusy
	}
	w := &waiter{ready: make(chan error, 1)}
	l.waiting = append(l.waiting, w)
	e.mu.Unlock()
	select {
	case err := <-w.ready:
		return l, err
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if slices.Contains(l.waiting, w) {
		l.waiting = remove(l.waiting, w)
		e.tidy(l)
	} else if err := <-w.ready; err == nil {
		e.release(l) // the place came at the same moment
	}
	return nil, ctx.Err()
}

// release gives a place to the next that waits, or frees it.
func (e *Engine) release(l *link) {
	if l.gone {
		return
	}
	if len(l.waiting) > 0 {
		w := l.waiting[0]
		l.waiting = remove(l.waiting, w)
		w.ready <- nil
		return
	}
	l.active--
	e.tidy(l)
}
