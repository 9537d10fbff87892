package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"steward/lwm2m/coap"
)

// A streamPeer is what the engine knows of one connection of a StreamListener.
type streamPeer struct {
	*framed
	listener *StreamListener
	addr     netip.AddrPort

	// Of the connection's goroutine until proved; written under the listener's lock.
	proved   bool
	identity coap.Identity
	binding  []byte
}

var (
	_ coap.Peer     = (*streamPeer)(nil)
	_ coap.Streamer = (*streamPeer)(nil)
)

// Send implements coap.Peer. It returns ErrTooLong, and coap.ErrClosed when the
// connection has ended.
func (p *streamPeer) Send(datagram []byte) error { return engineError(p.send(datagram)) }

// Stream implements coap.Streamer.
func (*streamPeer) Stream() bool { return true }

// Identity implements coap.Peer.
func (p *streamPeer) Identity() coap.Identity { return p.identity }

// Addr implements coap.Peer.
func (p *streamPeer) Addr() netip.AddrPort { return p.addr }

// String implements coap.Peer.
func (p *streamPeer) String() string {
	if p.listener.tls == nil {
		return schemeTCP + "://" + p.addr.String()
	}
	return schemeTLS + "://" + p.addr.String() + "(" + p.identity.Name + ")"
}

// engineError lets the engine see that a connection is over.
func engineError(err error) error {
	if errors.Is(err, ErrClosed) {
		return coap.ErrClosed
	}
	return err
}

// run leads the handshake and serves the connection until it ends.
func (p *streamPeer) run() {
	l := p.listener
	_ = p.conn.SetDeadline(time.Now().Add(l.o.HandshakeTimeout)) // fails on a closed connection, as all else does
	if err := p.prove(); err != nil {
		l.count(&l.stats.Failed)
		l.o.Log.Debug("handshake failed", slog.String("peer", p.addr.String()), slog.Any("reason", err))
		p.shut()
		return
	}
	p.until = time.Now().Add(l.o.AbsoluteTimeout)
	err := p.greet()
	if err == nil {
		err = p.serve(p, l.o.Engine, l.o.IdleTimeout)
	}
	p.shut()
	l.o.Engine.Closed(p)
	if err != nil {
		l.count(&l.stats.Broken)
		l.o.Log.Info("stream ended", slog.String("peer", p.String()), slog.Any("reason", err))
	}
}

// prove has the peer show who it is.
func (p *streamPeer) prove() error {
	l := p.listener
	if l.tls == nil {
		return nil
	}
	l.mu.Lock()
	drops := l.drops
	l.mu.Unlock()
	c := tls.Server(p.raw, l.tls)
	ctx, cancel := context.WithTimeout(context.Background(), l.o.HandshakeTimeout)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	chain := rawChain(c.ConnectionState())
	for {
		id, err := l.o.Credentials.Identify(chain, nil)
		if err != nil {
			l.o.Refused(p.addr, err)
			return err
		}
		l.mu.Lock()
		if drops == l.drops { // nobody was dropped meanwhile
			p.conn, p.identity, p.proved, p.binding = c, id, true, tlsBinding(c.ConnectionState())
			l.mu.Unlock()
			return nil
		}
		drops = l.drops
		l.mu.Unlock()
	}
}

// count adds one to a counter of l.
func (l *StreamListener) count(n *uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n++
}
