package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxShards bounds the sockets of a listener; beyond that the network card's own
	// queues are what counts.
	maxShards = 8
	// batchLength is how many datagrams are read or written by one system call. What
	// is answered first waits for the last one to be handled, some hundred
	// microseconds.
	batchLength = 64
	// outboxSize is the room for the datagrams of one batch, in bytes.
	outboxSize = 64 << 10
)

// A shard is one of the sockets that are bound to a listener's address. The
// kernel gives the datagrams of one source to one of them, as long as the source
// is the same; associations are everybody's.
type shard struct {
	listener *Listener
	number   uint8
	conn     *net.UDPConn
	in       *inbox
	traffic  traffic

	// What is sent while a batch is handed over waits in out for its end, and goes
	// out in one system call: the answers to most of the batch.
	mu      sync.Mutex
	handing bool
	out     *outbox
	spare   *outbox // only the reader has it
}

// traffic counts what passes a socket. Each has its own cache lines.
type traffic struct {
	_                                            [64]byte
	datagramsIn, datagramsOut, bytesIn, bytesOut atomic.Uint64
	_                                            [64]byte
}

func newShard(l *Listener, number int, conn *net.UDPConn) (*shard, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	a, ok := conn.LocalAddr().(*net.UDPAddr)
	six := ok && a.IP.To4() == nil
	return &shard{
		listener: l, number: uint8(number), conn: conn, in: newInbox(conn, raw), //nolint:gosec // G115: at most maxShards
		out: newOutbox(conn, raw, six), spare: newOutbox(conn, raw, six),
	}, nil
}

// read serves the socket until it is closed.
func (s *shard) read() error {
	for {
		err := s.in.receive(s.hand)
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("transport: %w", err)
		}
	}
}

// hand handles n datagrams that were read, then writes what was sent meanwhile.
func (s *shard) hand(n int) {
	s.begin()
	now, bytes := s.listener.now(), 0
	for i := range n {
		a := arrival{shard: s, now: now}
		var whole bool
		a.datagram, a.from, a.stamp, whole = s.in.datagram(i)
		bytes += len(a.datagram)
		if !whole {
			s.listener.stats.drop(DropTooLong)
			continue
		}
		s.listener.receive(a)
	}
	s.traffic.datagramsIn.Add(uint64(n)) //nolint:gosec // G115: a batch
	s.traffic.bytesIn.Add(uint64(bytes))
	s.end()
}

// begin and end enclose the handing over of a batch.
func (s *shard) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handing = true
}

func (s *shard) end() {
	s.mu.Lock()
	s.handing = false
	s.out, s.spare = s.spare, s.out
	s.mu.Unlock()
	s.flush(s.spare)
}

// send writes a datagram, now or at the end of the batch that is being handed
// over. A stamp that is not zero says when the kernel received what it answers.
func (s *shard) send(datagram []byte, to address, stamp int64) error {
	s.mu.Lock()
	waits := s.handing && s.out.add(datagram, to, stamp)
	s.mu.Unlock()
	if waits {
		return nil
	}
	if _, err := s.conn.WriteToUDPAddrPort(datagram, to.addrPort()); err != nil {
		s.listener.stats.drop(DropSendFailed)
		return fmt.Errorf("transport: %w", err)
	}
	s.sent(1, len(datagram))
	if stamp != 0 {
		s.listener.latency.observe(time.Duration(time.Now().UnixNano() - stamp))
	}
	return nil
}

// Send implements handshake.Sender for what is answered while a batch is handed over.
func (s *shard) Send(datagram []byte, to netip.AddrPort) {
	_ = s.send(datagram, addressOf(to), 0) // counted there; the client asks again
}

// flush writes what is in an outbox, and empties it.
func (s *shard) flush(o *outbox) {
	if len(o.items) == 0 {
		return
	}
	failed := o.write()
	datagrams, bytes := 0, 0
	now := int64(0)
	for _, x := range o.items {
		if x.failed {
			continue
		}
		datagrams++
		bytes += x.end - x.begin
		if x.stamp != 0 {
			if now == 0 {
				now = time.Now().UnixNano()
			}
			s.listener.latency.observe(time.Duration(now - x.stamp))
		}
	}
	for range failed {
		s.listener.stats.drop(DropSendFailed)
	}
	s.sent(datagrams, bytes)
	o.empty()
}

func (s *shard) sent(datagrams, bytes int) {
	s.traffic.datagramsOut.Add(uint64(datagrams)) //nolint:gosec // G115: a batch
	s.traffic.bytesOut.Add(uint64(bytes))         //nolint:gosec // G115: a batch
}

// An outbox gathers datagrams.
type outbox struct {
	bytes []byte
	items []outgoing
	mail
}

type outgoing struct {
	begin, end int // in bytes
	to         address
	stamp      int64
	failed     bool
}

func newOutbox(conn *net.UDPConn, raw syscall.RawConn, six bool) *outbox {
	o := &outbox{bytes: make([]byte, 0, outboxSize), items: make([]outgoing, 0, batchLength)}
	o.init(conn, raw, six)
	return o
}

// add copies a datagram and reports whether there was room.
func (o *outbox) add(datagram []byte, to address, stamp int64) bool {
	if len(o.items) == cap(o.items) || len(o.bytes)+len(datagram) > cap(o.bytes) {
		return false
	}
	begin := len(o.bytes)
	o.bytes = append(o.bytes, datagram...)
	o.items = append(o.items, outgoing{begin: begin, end: len(o.bytes), to: to, stamp: stamp})
	return true
}

func (o *outbox) empty() { o.bytes, o.items = o.bytes[:0], o.items[:0] }
