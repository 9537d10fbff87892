package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// dialOwn leads a handshake by our own client over a socket that becomes the link's,
// and is closed when that fails.
func (c *Conn) dialOwn(ctx context.Context, socket *clientSocket, o DialOptions) error {
	w := &clientWire{socket: socket, done: ctx.Done()}
	stop := context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Unix(1, 0)) }) // fails on a closed socket
	e, early, err := handshake.Connect(ctx, w, o.Client, nil, o.FlightInterval)
	if !stop() && err == nil { // the socket's deadline is, or will be, past
		err = fmt.Errorf("%w: %w", dtls.ErrTimeout, context.Cause(ctx))
	}
	if err == nil {
		err = socket.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	socket.established.Store(true)
	c.identity, c.binding = e.Identity, e.Binding[:]
	c.link = &secureLink{socket: socket, session: e.Session, waiting: early}
	return nil
}

// clientWire is a client's socket during a handshake. It implements handshake.Wire.
type clientWire struct {
	socket *clientSocket
	done   <-chan struct{} // closed when nobody waits any more
	buffer [maxClientDatagram]byte
}

// maxClientDatagram is the longest datagram that a server may send.
const maxClientDatagram = MaxDatagram + recordOverhead

// Send implements handshake.Wire.
func (w *clientWire) Send(datagram []byte) error {
	_, err := w.socket.WriteTo(datagram, nil)
	return err
}

// Receive implements handshake.Wire.
func (w *clientWire) Receive(deadline time.Time) ([]byte, error) {
	if err := w.socket.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	select {
	case <-w.done: // before the deadline was set
		return nil, os.ErrDeadlineExceeded
	default:
	}
	n, _, err := w.socket.ReadFrom(w.buffer[:])
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), w.buffer[:n]...), nil
}

// A secureLink protects the datagrams of an association that our own client made. Read
// is called by one goroutine.
type secureLink struct {
	socket  *clientSocket
	waiting [][]byte // datagrams that came, and were not read
	rest    []byte   // of the datagram that is being read
	buffer  [maxClientDatagram]byte

	mu      sync.Mutex
	session dtls.Session
	closed  bool
}

// Read implements io.Reader: the content of the next authentic record. io.EOF is the
// end of the association.
func (l *secureLink) Read(b []byte) (int, error) {
	for {
		for len(l.rest) == 0 {
			if err := l.fill(); err != nil {
				return 0, err
			}
		}
		r, next, err := dtls.ParseRecord(l.rest)
		l.rest = next
		if err != nil { // RFC 6347 §4.1.2.7: discarded silently
			l.rest = nil
			continue
		}
		l.mu.Lock()
		o, err := l.session.Open(nil, r)
		l.mu.Unlock()
		switch {
		case err != nil:
		case o.Type == dtls.ApplicationData:
			return copy(b, o.Plaintext), nil
		case o.Type == dtls.Alert && len(o.Plaintext) == 2 &&
			(o.Plaintext[0] == alertFatal || o.Plaintext[1] == alertCloseNotify):
			return 0, io.EOF
		}
	}
}

// fill reads the next datagram.
func (l *secureLink) fill() error {
	if len(l.waiting) > 0 {
		l.rest, l.waiting = l.waiting[0], l.waiting[1:]
		return nil
	}
	n, _, err := l.socket.ReadFrom(l.buffer[:])
	l.rest = l.buffer[:n]
	return err
}

// Write implements io.Writer: one record.
func (l *secureLink) Write(b []byte) (int, error) {
	if err := l.seal(dtls.ApplicationData, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (l *secureLink) seal(t dtls.ContentType, b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	out, err := l.session.Seal(nil, t, b)
	if err == nil {
		_, err = l.socket.WriteTo(out, nil)
	}
	return err
}

// Close says goodbye and closes the socket.
func (l *secureLink) Close() error {
	_ = l.seal(dtls.Alert, []byte{alertWarning, alertCloseNotify}) // it may be lost as well
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return l.socket.Close()
}
