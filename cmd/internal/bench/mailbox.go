package bench

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/net/ipv4"
)

// How many datagrams one system call carries at most.
const (
	mailboxSize  = 64
	smallMailbox = 4
)

// A mailbox reads and writes the datagrams of a socket many to a system call: the
// generator shares the processors with what it measures.
type mailbox struct {
	conn *ipv4.PacketConn
	in   []ipv4.Message // of the one reader

	mu      sync.Mutex
	out     []ipv4.Message
	waiting int  // of out
	held    bool // datagrams wait for release
}

func newMailbox(c *net.UDPConn, size int) *mailbox {
	m := &mailbox{conn: ipv4.NewPacketConn(c)}
	for range size {
		m.in = append(m.in, ipv4.Message{Buffers: [][]byte{make([]byte, maxDatagram)}})
		m.out = append(m.out, ipv4.Message{Buffers: [][]byte{nil}})
	}
	return m
}

// receive waits for datagrams, which are good until the next call.
func (m *mailbox) receive() ([]ipv4.Message, error) {
	n, err := m.conn.ReadBatch(m.in, 0)
	return m.in[:max(n, 0)], err
}

// hold keeps datagrams back until release or until there are enough.
func (m *mailbox) hold() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = true
}

// release sends what was held back.
func (m *mailbox) release() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = false
	return m.flush()
}

// send copies the datagram and sends it, now or with others.
func (m *mailbox) send(datagram []byte) error {
	return m.post(datagram, nil, nil)
}

// post is send with ancillary data, which is not copied, and to an address; nil:
// the socket's peer.
func (m *mailbox) post(datagram, ancillary []byte, to net.Addr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &m.out[m.waiting]
	o.Buffers[0] = append(o.Buffers[0][:0], datagram...)
	o.OOB, o.Addr = ancillary, to
	m.waiting++
	if m.held && m.waiting < len(m.out) {
		return nil
	}
	return m.flush()
}

// flush writes what waits. What the kernel refuses is lost, as a datagram may be.
// The caller holds mu.
func (m *mailbox) flush() error {
	left := m.out[:m.waiting]
	m.waiting = 0
	for refused := false; len(left) > 0; {
		n, err := m.conn.WriteBatch(left, 0)
		switch {
		case err == nil:
			left, refused = left[max(n, 1):], false
		case errors.Is(err, syscall.ECONNREFUSED) && !refused: // of an earlier datagram
			refused = true
		case lostOnly(err):
			left, refused = left[1:], false
		default:
			return err
		}
	}
	return nil
}

// lostOnly reports an error that costs no more than a datagram.
func lostOnly(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.EPERM)
}
