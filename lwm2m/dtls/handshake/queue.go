package handshake

import "context"

// A queue hands handshakes to workers: those under way before those that begin, so
// that under load some complete rather than all time out. A handshake is in it once
// at most, which bounds it.
type queue struct {
	begun, fresh chan *conn
}

func (q *queue) init(limit int) {
	q.begun, q.fresh = make(chan *conn, limit), make(chan *conn, limit)
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
