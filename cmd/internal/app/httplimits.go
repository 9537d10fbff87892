package app

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// What strangers can take from an HTTP listener.
const (
	// maxConnections are open at a time: each costs a descriptor and about 20 KiB.
	maxConnections = 1024
	// stallTimeout is how long a client may take no byte of an answer, events
	// included, before it is cut off.
	stallTimeout = time.Minute
	// bodyTimeout is for the whole of a small body, from its first byte on.
	bodyTimeout = 15 * time.Second
	// readyCache is how long the answer to "are you ready?" stands: anybody may ask.
	readyCache = time.Second
)

// A boundedListener closes connections beyond maxConnections at once, and cuts
// clients off that do not read.
type boundedListener struct {
	net.Listener

	open atomic.Int64
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= maxConnections {
			return &boundedConn{Conn: c, listener: l}, nil
		}
		l.open.Add(-1)
		_ = c.Close() // nothing was said yet
	}
}

type boundedConn struct {
	net.Conn

	listener *boundedListener
	once     sync.Once
}

// Write implements net.Conn. Each write has stallTimeout of its own.
func (c *boundedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.once.Do(func() { c.listener.open.Add(-1) })
	return c.Conn.Close()
}

// hurried gives the body of each request bodyTimeout: who sends it drop by drop is
// cut off.
func hurried(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
			http.Error(w, "Internal error.", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// A readiness asks the database at most once in readyCache.
type readiness struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// ready reports whether the database answers, and can be written.
func (a *App) ready(ctx context.Context) error {
	r := &a.readiness
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.now().Sub(r.at) >= readyCache {
		// Whoever asked may go away: the answer is for others too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), headerTimeout)
		defer cancel()
		_, r.err = a.db.AuditBefore(ctx, "", 0, 1)
		r.at = a.now()
	}
	if r.err == nil {
		return a.db.Storage()
	}
	return r.err
}
