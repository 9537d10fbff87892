package bench

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"steward/lwm2m/dtls"
)

// A socket serves a part of the devices.
type socket struct {
	g    *generator
	only *device // of a server without connection identifiers; nil: many
	conn *net.UDPConn
	box  *mailbox
	turn chan struct{}        // one handshake at a time: until it ends, the server knows us by address
	lane atomic.Pointer[lane] // of the load under way; nil: none

	mu   sync.Mutex
	wire *wire // of the handshake under way
}

func (s *socket) pending(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wire = w
}

// read serves the socket until it is closed.
func (s *socket) read() {
	plain := make([]byte, 0, maxDatagram)
	for {
		in, err := s.box.receive()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Other errors are a deadline's, which is the lane's, and of ICMP.
		s.box.hold()
		for _, m := range in {
			s.receive(m.Buffers[0][:m.N], plain)
		}
		if l := s.lane.Load(); l != nil {
			l.advance(time.Now(), errors.Is(err, os.ErrDeadlineExceeded))
		}
		if s.box.release() != nil {
			return // closed
		}
	}
}

// receive gives a datagram to the device that it names, or to the handshake.
func (s *socket) receive(datagram, plain []byte) {
	s.g.capture.add(incoming, datagram)
	r, _, err := dtls.ParseRecord(datagram)
	if err != nil {
		return
	}
	if r.Type == dtls.TLS12CID {
		i := int(binary.BigEndian.Uint32(r.CID))
		if i < len(s.g.devices) && s.g.devices[i].receive(s.g, r, plain) {
			return
		}
	}
	if r.Epoch != 0 && s.only != nil && r.Type != dtls.TLS12CID && s.only.receive(s.g, r, plain) {
		return
	}
	s.mu.Lock()
	w := s.wire
	s.mu.Unlock()
	if w != nil {
		w.deliver(datagram)
	}
}

// send sends a datagram of ours.
func (s *socket) send(datagram []byte) error {
	s.g.capture.add(outgoing, datagram)
	return s.box.send(datagram)
}
