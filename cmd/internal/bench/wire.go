package bench

import (
	"os"
	"time"
)

// wireQueue is how many datagrams wait for a handshake; a flight has at most a few.
const wireQueue = 16

// A wire brings a socket's datagrams to the handshake that has its turn. It
// implements handshake.Wire.
type wire struct {
	socket *socket
	in     chan []byte
}

func newWire(s *socket) *wire { return &wire{socket: s, in: make(chan []byte, wireQueue)} }

// Send implements handshake.Wire.
func (w *wire) Send(datagram []byte) error { return w.socket.send(datagram) }

// Receive implements handshake.Wire.
func (w *wire) Receive(deadline time.Time) ([]byte, error) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case d := <-w.in:
		return d, nil
	case <-timer.C:
		return nil, os.ErrDeadlineExceeded
	}
}

// deliver hands over a copy of a datagram, unless too many are waiting.
func (w *wire) deliver(datagram []byte) {
	select {
	case w.in <- append([]byte(nil), datagram...):
	default:
	}
}

// A sieve keeps the first datagram of a handshake that leads nowhere.
type sieve struct{ first []byte }

// Send implements handshake.Wire.
func (s *sieve) Send(datagram []byte) error {
	if s.first == nil {
		s.first = append([]byte(nil), datagram...)
	}
	return nil
}

// Receive implements handshake.Wire: nobody answers.
func (s *sieve) Receive(time.Time) ([]byte, error) { return nil, os.ErrClosed }
