package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// dialStream is Dial over TCP (RFC 8323).
func dialStream(ctx context.Context, o DialOptions, t target, remote netip.AddrPort) (*Conn, error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes,
	}}
	if o.LocalAddr.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(o.LocalAddr)
	}
	var raw net.Conn
	raw, err := d.DialContext(ctx, "tcp", remote.String())
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	c := &Conn{engine: o.Engine, scheme: t.scheme, remote: remote, done: make(chan struct{})}
	if a, ok := raw.LocalAddr().(*net.TCPAddr); ok {
		c.local = plain(a.AddrPort())
	}
	if o.Tap != nil {
		raw = tappedConn{raw, o.Tap}
	}
	speaks := raw
	if t.secure {
		secured, who, err := dialTLS(ctx, raw, o.Client)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("transport: dial %s: %w", remote, err), raw.Close())
		}
		speaks, c.identity, c.binding = secured, who, tlsBinding(secured.ConnectionState())
	}
	c.stream = newFramed(speaks, raw)
	if err := c.stream.greet(); err != nil {
		return nil, fmt.Errorf("transport: dial %s: %w", remote, err)
	}
	go c.readStream(o) //nolint:contextcheck // the association outlives ctx; Close waits for the reader
	return c, nil
}

// readStream hands frames to the engine until the stream ends. A server may be
// silent for as long as it likes, once it has said its CSM.
func (c *Conn) readStream(o DialOptions) {
	defer close(c.done)
	const silence = 10 * defaultAbsoluteTimeout
	_ = c.stream.conn.SetReadDeadline(time.Now().Add(o.HandshakeTimeout)) // fails on a closed connection, as Read does
	_ = c.stream.serve(c, c.engine, silence)                              // Done says that it is over
	c.stream.shut()
	c.engine.Closed(c)
}

// A tappedConn tells how many bytes pass.
type tappedConn struct {
	net.Conn

	tap func(sent bool, bytes int)
}

// Read implements net.Conn.
func (c tappedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.tap(false, n)
	}
	return n, err
}

// Write implements net.Conn.
func (c tappedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.tap(true, n)
	}
	return n, err
}
