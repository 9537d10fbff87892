package dtls

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// linkQueue is how many datagrams wait for the engine; a flight has at most a few.
const linkQueue = 16

// A Link carries the datagrams of one client handshake between a socket that serves
// many associations and the handshake engine. The socket's reader calls Deliver;
// Connect does the rest.
type Link struct {
	local, remote net.Addr
	send          func(datagram []byte)

	in     chan []byte
	kick   chan struct{} // interrupts a waiting read: the engine's deadline has passed
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	muted bool
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
// blocks, and reports false when the datagram was dropped because the queue is
// full.
func (l *Link) Deliver(datagram []byte) bool {
	select {
	case l.in <- append([]byte(nil), datagram...):
		return true
	default:
		return false
	}
}

// mute keeps the engine silent: nothing may leave under its keys once they were taken over.
func (l *Link) mute() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = true
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
	if !e.muted && len(b) > 0 {
		e.send(b)
	}
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
