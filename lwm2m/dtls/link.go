package dtls

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	linkQueue  = 16 // datagrams waiting for the engine; a flight has at most a few
	earlyQueue = 8  // datagrams kept for the session that is about to exist
	// unknownPSK is the alert unknown_psk_identity (RFC 4279 §2).
	unknownPSK = 115
)

// A Link carries the datagrams of one server handshake between a socket that
// serves many peers and the handshake engine. The socket's reader calls
// Deliver; Accept does the rest.
type Link struct {
	local, remote net.Addr
	send          func(datagram []byte)

	in     chan []byte
	kick   chan struct{} // interrupts a waiting read: the engine's deadline has passed
	closed chan struct{}
	once   sync.Once

	mu         sync.Mutex
	muted      bool
	unknownPSK bool
	proved     bool     // our ServerHello went out, which takes a valid cookie
	last       []byte   // our last flight, kept to answer a repeated Finished
	early      [][]byte // what came after it: for the session, not for the engine
	drained    bool
}

// NewLink returns a link to the peer at remote. send writes one datagram to it
// and must not retain it.
func NewLink(local, remote net.Addr, send func(datagram []byte)) *Link {
	return &Link{
		local: local, remote: remote, send: send,
		in: make(chan []byte, linkQueue), kick: make(chan struct{}, 1), closed: make(chan struct{}),
	}
}

// Deliver hands the link a datagram of its peer, which it copies. It never
// blocks, and reports false when the datagram was dropped because a queue is
// full or the handshake has ended.
func (l *Link) Deliver(datagram []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drained {
		return false
	}
	if l.last != nil {
		if len(l.early) == earlyQueue {
			return false
		}
		l.early = append(l.early, append([]byte(nil), datagram...))
		return true
	}
	select {
	case l.in <- append([]byte(nil), datagram...):
		return true
	default:
		return false
	}
}

// Proved reports whether the peer answered our cookie: until then its address
// may be anybody's invention (RFC 6347 §4.2.1).
func (l *Link) Proved() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proved
}

// Drain ends the link and returns the datagrams that came for the session.
func (l *Link) Drain() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drained = true
	return l.early
}

// mute keeps the engine silent: nothing may leave under its keys once they were taken over.
func (l *Link) mute() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = true
}

// markUnknown notes that the peer's identity has no key, for the alert that follows.
func (l *Link) markUnknown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknownPSK = true
}

// lastFlight returns our last flight, nil before it.
func (l *Link) lastFlight() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// engine is the link as the handshake engine sees it, a net.PacketConn.
type engine struct{ *Link }

func (e engine) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-e.closed:
		return 0, nil, io.EOF
	case <-e.kick:
		return 0, nil, os.ErrDeadlineExceeded
	case d := <-e.in:
		return copy(b, d), e.remote, nil
	}
}

func (e engine) WriteTo(b []byte, _ net.Addr) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.muted || len(b) == 0 {
		return len(b), nil
	}
	switch ContentType(b[0]) {
	case Handshake:
		if len(b) > headerLength && b[headerLength] == serverHelloType {
			e.proved = true
		}
	case ChangeCipherSpec: // only the last flight begins with it
		e.last = append([]byte(nil), b...)
	case Alert:
		if e.unknownPSK && len(b) == headerLength+2 {
			b = append([]byte(nil), b...)
			b[headerLength+1] = unknownPSK
		}
	default:
	}
	e.send(b)
	return len(b), nil
}

func (e engine) Close() error {
	e.once.Do(func() { close(e.closed) })
	return nil
}

func (e engine) LocalAddr() net.Addr         { return e.local }
func (e engine) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is called with a time long past to interrupt a read, and with
// zero once it was.
func (e engine) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		select {
		case <-e.kick:
		default:
		}
		return nil
	}
	select {
	case e.kick <- struct{}{}:
	default:
	}
	return nil
}

func (e engine) SetWriteDeadline(time.Time) error { return nil }
