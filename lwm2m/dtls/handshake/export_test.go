package handshake

import (
	"crypto/ecdh"
	"crypto/rand"
	"time"
)

// Work does what workers would, until there is nothing left to do.
func Work(s *Server) {
	for {
		select {
		case c := <-s.work.begun:
			s.serve(c)
		case c := <-s.work.fresh:
			s.serve(c)
		default:
			return
		}
	}
}

// OffCurve is a key exchange with a point that is not on P-256.
func OffCurve() []byte {
	key, _ := ecdh.P256().GenerateKey(rand.Reader)
	b := key.PublicKey().Bytes()
	b[len(b)-1] ^= 1
	return append([]byte{byte(len(b))}, b...)
}

// TicketLife is how long a session may be resumed.
const TicketLife = ticketLife

// Tick looks at the clock for the handshakes.
func Tick(s *Server, now time.Time) { s.tick(now) }

// digestOf is the hash of messages.
func digestOf(log []message) []byte {
	out := hashOf(log)
	return out[:]
}

// Waiting returns how many bytes wait for workers.
func Waiting(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}
