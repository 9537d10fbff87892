package app

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"

	"steward/est"
)

// clientConns are the connections of HTTP listeners that demand certificates, from
// their first request on. Each request is judged; what is revoked must not go on
// reading the answer to one that was.
type clientConns struct {
	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// changed is told of the life of connections (http.Server.ConnState).
func (c *clientConns) changed(conn net.Conn, s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s {
	case http.StateActive:
		if c.open == nil {
			c.open = map[net.Conn]struct{}{}
		}
		c.open[conn] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateNew, http.StateIdle:
	}
}

// drop cuts the connections whose clients showed a certificate that is gone.
func (c *clientConns) drop(gone map[est.Hash]struct{}) {
	c.mu.Lock()
	all := make([]net.Conn, 0, len(c.open))
	for conn := range c.open {
		all = append(all, conn)
	}
	c.mu.Unlock()
	for _, conn := range all {
		t, ok := conn.(*tls.Conn)
		if !ok {
			continue
		}
		chain := t.ConnectionState().PeerCertificates
		if len(chain) == 0 {
			continue
		}
		if _, is := gone[sum(chain[0].Raw)]; is {
			_ = t.NetConn().Close() // without a farewell, which could block
		}
	}
}
