package handshake

import "context"

// crowd is how many workers there are for each that may compute: the others wait
// for what the host and the credentials do, a disk perhaps.
const crowd = 8

// A queue hands handshakes to workers: those under way before those that begin, so
// that under load some complete rather than all time out. A handshake is in it once
// at most, which bounds it.
type queue struct {
	begun, fresh chan *conn
	turns        chan struct{} // one for each that computes
}

func (q *queue) init(limit, workers int) {
	q.begun, q.fresh = make(chan *conn, limit), make(chan *conn, limit)
	q.turns = make(chan struct{}, workers)
}

// outside does what may wait, and lets somebody else compute meanwhile.
func (q *queue) outside(f func()) {
	<-q.turns
	defer func() { q.turns <- struct{}{} }()
	f()
}

func (q *queue) add(c *conn, begun bool) {
	if begun {
		q.begun <- c
	} else {
		q.fresh <- c
	}
}

// next waits for work; nil ends the worker.
func (q *queue) next(ctx context.Context) *conn {
	select {
	case c := <-q.begun:
		return c
	default:
	}
	select {
	case <-ctx.Done():
		return nil
	case c := <-q.begun:
		return c
	case c := <-q.fresh:
		return c
	}
}
