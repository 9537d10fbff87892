// Package transport holds the sockets of LwM2M: it turns datagrams into CoAP
// peers and back. A Listener serves any number of devices on one UDP socket,
// plain (NoSec) or under DTLS, and Dial opens one association of the device's
// side. What a device is allowed to do is decided elsewhere: here a peer has the
// identity its handshake proved, and no more.
package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// Errors of listeners and connections.
var (
	// ErrOptions reports options that do not go together.
	ErrOptions = errors.New("transport: invalid options")
	// ErrClosed reports a send on an association that has ended.
	ErrClosed = errors.New("transport: association closed")
	// ErrTooLong reports a datagram longer than MaxDatagram.
	ErrTooLong = errors.New("transport: datagram too long")
	// ErrNoRoom reports that a handshake found no room for its association.
	ErrNoRoom = errors.New("transport: too many associations")
)

const (
	// MaxDatagram is the longest CoAP message sent or received, in bytes; a
	// block of 1024 bytes with its options needs about 1200.
	MaxDatagram = 4096
	// recordOverhead is what DTLS adds to a message at most: header, connection
	// identifier, explicit nonce, inner type and tag.
	recordOverhead = 96
	// bufferSize is asked of the kernel for each direction of a socket, so that
	// a burst of some thousand messages survives a pause of ours.
	bufferSize = 4 << 20

	defaultHandshakeTimeout = 20 * time.Second
	defaultIdleTimeout      = 24 * time.Hour
	defaultAbsoluteTimeout  = 7 * 24 * time.Hour
	defaultMaxHandshakes    = 8192    // about 2 kB each while they last
	defaultPrefixRate       = 2000    // new handshakes per second and prefix: half of what a processor computes
	defaultMaxAssociations  = 1 << 20 // about 250 bytes each
)

// ListenOptions configure a Listener.
type ListenOptions struct {
	// Addr is the UDP address to bind, "host:port"; port 0 chooses one.
	Addr string
	// Credentials turn DTLS on; nil is plain UDP.
	Credentials dtls.Credentials
	// Engine receives the messages; required.
	Engine *coap.Engine
	// Log receives refusals; nil discards them.
	Log *slog.Logger
	// HandshakeTimeout ends a handshake that has not completed. Zero: 20 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends an association nothing authentic was received on. Zero: 24 h.
	IdleTimeout time.Duration
	// AbsoluteTimeout ends an association however much it speaks, so that its peer
	// makes new keys and proves anew who it is. Zero: 7 days.
	AbsoluteTimeout time.Duration
	// Sockets is how many are bound to Addr, for as many cores; a plain listener has
	// one. Zero: as many as GOMAXPROCS, 8 at most.
	Sockets int
	// Stamps has the kernel say when each datagram came, so that Stats.Latency can
	// be told. It costs some hundred nanoseconds a datagram.
	Stamps bool
	// FlightInterval is the handshake's first retransmission interval. Zero: 1 s.
	FlightInterval time.Duration
	// MaxHandshakes caps handshakes under way, of clients whose address is proved. Zero: 8192.
	MaxHandshakes int
	// PrefixRate caps new handshakes per second from one IPv4 /24 or IPv6 /56. Zero: 2000.
	PrefixRate int
	// MaxAssociations caps established associations. Zero: 1,048,576.
	MaxAssociations int
	// Refused is told of each handshake that failed although its peer is really
	// at addr, for the audit; nil tells nobody. It must not block.
	Refused func(addr netip.AddrPort, reason error)
	// Keep lets associations survive the program; zero: they do not.
	Keep KeepOptions
}

// withDefaults checks o and fills in what is zero.
func (o ListenOptions) withDefaults() (ListenOptions, error) {
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
	setDefault(&o.Sockets, min(runtime.GOMAXPROCS(0), maxShards))
	if o.Credentials == nil {
		o.Sockets = 1
	}
	setDefault(&o.MaxHandshakes, defaultMaxHandshakes)
	setDefault(&o.PrefixRate, defaultPrefixRate)
	setDefault(&o.MaxAssociations, defaultMaxAssociations)
	if o.HandshakeTimeout < 0 || o.IdleTimeout < 0 || o.AbsoluteTimeout < 0 || o.FlightInterval < 0 ||
		o.Sockets < 0 || o.MaxHandshakes < 0 || o.PrefixRate < 0 || o.MaxAssociations < 0 {
		return o, fmt.Errorf("%w: negative limit", ErrOptions)
	}
	o.Sockets = min(o.Sockets, maxShards)
	return o, o.Keep.check(o.Credentials != nil)
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// A Listener serves the peers of one bound UDP address.
type Listener struct {
	options ListenOptions
	shards  []*shard
	addr    netip.AddrPort
	home    home
	table   table
	flights flights
	// bindings are apart from the rows, for most associations need none.
	bindings bindings
	pending  handshakes
	keeper   keeper
	stats    counters
	latency  latency
	ran      atomic.Bool
	tasks    sync.WaitGroup
}

// Listen binds the socket and restores the associations that were kept; Run
// serves them.
func Listen(o ListenOptions) (*Listener, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	local, err := net.ResolveUDPAddr("udp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	l := &Listener{options: o}
	if err := l.bind(local); err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	l.home.listener = l
	l.table.init(o.MaxAssociations, newWheel(o.IdleTimeout, o.AbsoluteTimeout))
	l.table.stamped = o.Stamps
	if err := errors.Join(l.pending.init(l), l.restore()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// bind binds the sockets.
func (l *Listener) bind(local *net.UDPAddr) error {
	group, err := listenGroup(local, l.options.Sockets)
	if err != nil {
		return err
	}
	l.addr = localAddr(group[0])
	var errs []error
	for i, c := range group {
		setBuffers(c)
		if l.options.Stamps {
			errs = append(errs, stampReceived(c))
		}
		s, err := newShard(l, i, c)
		l.shards, errs = append(l.shards, s), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		for _, c := range group {
			_ = c.Close() // of no interest beside the error
		}
		return err
	}
	return nil
}

// Addr is the bound address.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Close releases the sockets of a listener whose Run was never called; Run does
// so itself, and ends when they are closed under it.
func (l *Listener) Close() error {
	if l.ran.Load() {
		return l.close()
	}
	return errors.Join(l.abandon(), l.close())
}

// close closes the sockets that are not closed yet.
func (l *Listener) close() error {
	var errs []error
	for _, s := range l.shards {
		if err := s.conn.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Run serves the sockets until ctx ends, then keeps the associations for the
// next run of the program, says goodbye to the peers of those that are not kept,
// and returns when its last goroutine has. It returns an error when a socket
// fails, or keeping.
func (l *Listener) Run(ctx context.Context) error {
	l.ran.Store(true)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(l.shards))
	var reading sync.WaitGroup
	for _, s := range l.shards {
		reading.Go(func() { failed <- s.read() })
	}
	if l.options.Credentials != nil {
		l.tasks.Go(func() { l.pending.run(ctx) })
		l.tasks.Go(func() { l.judgeAll(ctx) })
		l.tasks.Go(func() { l.sweepUntil(ctx) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		cancel()
	}
	for _, s := range l.shards {
		_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // fails on a closed socket, which ends the reader as well
	}
	reading.Wait()
	l.tasks.Wait() // handshakes end with ctx
	err = errors.Join(err, l.keep())
	l.dropWhere(func(coap.Identity) bool { return true })
	return errors.Join(err, l.close())
}
