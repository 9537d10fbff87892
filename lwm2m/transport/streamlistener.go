package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

const (
	defaultMaxConnections = 1 << 16 // each is a goroutine and about 8 kB, with TLS 18 kB
	defaultMaxPerPrefix   = 1 << 12
	// The kernel asks a silent peer whether it is there, seldom enough for devices
	// that sleep.
	probeAfter, probeEvery, probes = 15 * time.Minute, time.Minute, 5
)

// StreamOptions configure a StreamListener.
type StreamOptions struct {
	// Addr is the TCP address to bind, "host:port"; port 0 chooses one.
	Addr string
	// Credentials turn TLS on, with certificates of clients that Identify judges; nil
	// is plain TCP. There are no pre-shared keys over TLS.
	Credentials dtls.Credentials
	// Engine receives the messages; required.
	Engine *coap.Engine
	// Log receives why connections ended; nil discards it.
	Log *slog.Logger
	// HandshakeTimeout bounds TLS and the peer's CSM together. Zero: 20 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a connection on which nothing was received. Zero: 24 h.
	IdleTimeout time.Duration
	// AbsoluteTimeout ends a connection however much it speaks, so that its peer proves
	// anew who it is. Zero: 7 days.
	AbsoluteTimeout time.Duration
	// MaxConnections caps connections, handshakes included. Zero: 65,536.
	MaxConnections int
	// MaxPerPrefix caps those of one IPv4 /24 or IPv6 /56. Zero: 4096.
	MaxPerPrefix int
	// PrefixRate caps new ones per second from one such prefix. Zero: 1000.
	PrefixRate int
	// Refused is told of each peer that Credentials refused; nil tells nobody. It must
	// not block.
	Refused func(addr netip.AddrPort, reason error)
}

func (o StreamOptions) withDefaults() (StreamOptions, error) {
	if o.Engine == nil {
		return o, fmt.Errorf("%w: no engine", ErrOptions)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Refused == nil {
		o.Refused = func(netip.AddrPort, error) {}
	}
	setDefault(&o.HandshakeTimeout, defaultHandshakeTimeout)
	setDefault(&o.IdleTimeout, defaultIdleTimeout)
	setDefault(&o.AbsoluteTimeout, defaultAbsoluteTimeout)
	setDefault(&o.MaxConnections, defaultMaxConnections)
	setDefault(&o.MaxPerPrefix, defaultMaxPerPrefix)
	setDefault(&o.PrefixRate, defaultPrefixRate)
	if o.HandshakeTimeout < 0 || o.IdleTimeout < 0 || o.AbsoluteTimeout < 0 ||
		o.MaxConnections < 0 || o.MaxPerPrefix < 0 || o.PrefixRate < 0 {
		return o, fmt.Errorf("%w: negative limit", ErrOptions)
	}
	return o, nil
}

// A StreamListener serves the peers of one bound TCP address (RFC 8323): a
// goroutine for each connection, and no state that outlives it.
type StreamListener struct {
	o        StreamOptions
	listener net.Listener
	tls      *tls.Config // nil: plain
	serving  sync.WaitGroup
	rate     rate // of the accepting goroutine alone

	mu        sync.Mutex
	drops     int // calls of Drop
	peers     map[*streamPeer]struct{}
	perPrefix map[netip.Prefix]int
	stats     StreamStats
}

// StreamStats are the counters of a StreamListener since the start, and the
// present number of connections.
type StreamStats struct {
	Connections int    // open now, handshakes included
	Accepted    uint64 // connections taken
	Limited     uint64 // connections closed at once, for there were too many
	Failed      uint64 // handshakes that failed
	Broken      uint64 // streams that ended by an error of the peer or the network
}

// ListenStream binds the socket; Run serves it. Errors wrap ErrOptions or are the
// network's.
func ListenStream(o StreamOptions) (*StreamListener, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes,
	}}
	listener, err := config.Listen(context.Background(), "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	l := &StreamListener{
		o: o, listener: listener, rate: rate{limit: o.PrefixRate},
		peers: map[*streamPeer]struct{}{}, perPrefix: map[netip.Prefix]int{},
	}
	if o.Credentials != nil {
		l.tls = serverTLS(o.Credentials)
	}
	return l, nil
}

// Addr is the bound address.
func (l *StreamListener) Addr() netip.AddrPort {
	a, ok := l.listener.Addr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return plain(a.AddrPort())
}

// Close releases the socket of a listener whose Run was never called; Run does so
// itself, and ends when it is closed under it.
func (l *StreamListener) Close() error {
	if err := l.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Run accepts connections until ctx ends, then releases those that are open, and
// returns when its last goroutine has. It returns an error when the socket fails.
func (l *StreamListener) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.listener.Close() }) // ends Accept
	defer stop()
	err := l.accept() //nolint:contextcheck // what a message starts is the engine's
	l.Drop(func(coap.Identity) bool { return true })
	l.mu.Lock()
	for p := range l.peers { // those whose handshake is under way
		p.shut()
	}
	l.mu.Unlock()
	l.serving.Wait()
	if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// accept takes connections until the socket fails.
func (l *StreamListener) accept() error {
	const pause = 50 * time.Millisecond // when the system has no room for another
	for {
		c, err := l.listener.Accept()
		switch {
		case err == nil:
			l.admit(c)
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			time.Sleep(pause)
		}
	}
}

// admit serves a connection, unless there are too many.
func (l *StreamListener) admit(c net.Conn) {
	p := &streamPeer{listener: l, addr: remoteOf(c)}
	p.framed = newFramed(c, c)
	allowed := l.rate.allow(p.addr.Addr(), time.Now())
	prefix := prefixOf(p.addr.Addr())
	l.mu.Lock()
	if !allowed || len(l.peers) >= l.o.MaxConnections || l.perPrefix[prefix] >= l.o.MaxPerPrefix {
		l.stats.Limited++
		l.mu.Unlock()
		_ = c.Close() // it is over, whatever the socket says
		return
	}
	l.stats.Accepted++
	l.peers[p] = struct{}{}
	l.perPrefix[prefix]++
	l.mu.Unlock()
	l.serving.Go(func() {
		p.run()
		l.forget(p, prefix)
	})
}

// forget makes room for another.
func (l *StreamListener) forget(p *streamPeer, prefix netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.peers, p)
	if l.perPrefix[prefix]--; l.perPrefix[prefix] == 0 {
		delete(l.perPrefix, prefix)
	}
}

// Drop ends the connections whose identity matches, with a Release, and returns
// their number. A handshake under way meanwhile is judged once more.
func (l *StreamListener) Drop(match func(coap.Identity) bool) int {
	var dropped []*streamPeer
	l.mu.Lock()
	l.drops++
	for p := range l.peers {
		switch {
		case !p.proved && l.tls != nil: // it sees that drops has changed
		case match(p.identity):
			dropped = append(dropped, p)
		}
	}
	l.mu.Unlock()
	for _, p := range dropped {
		p.release()
		p.shut()
	}
	return len(dropped)
}

// Stats returns the counters since ListenStream.
func (l *StreamListener) Stats() StreamStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Connections = len(l.peers)
	return s
}
