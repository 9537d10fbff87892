//go:build !linux

package transport

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// errNoStamps reports that this system is not asked for time stamps.
var errNoStamps = errors.New("transport: no kernel time stamps on this system")

// An inbox reads one datagram at a time.
type inbox struct {
	conn  *net.UDPConn
	n     int
	from  netip.AddrPort
	bytes [MaxDatagram + recordOverhead + 1]byte
}

func newInbox(conn *net.UDPConn, _ syscall.RawConn) *inbox { return &inbox{conn: conn} }

func (b *inbox) receive(hand func(n int)) (err error) {
	if b.n, b.from, err = b.conn.ReadFromUDPAddrPort(b.bytes[:]); err == nil {
		hand(1)
	}
	return err
}

func (b *inbox) datagram(int) (datagram []byte, from address, stamp int64, whole bool) {
	return b.bytes[:b.n], addressOf(b.from), 0, b.n < len(b.bytes)
}

// mail is how an outbox is written: one datagram at a time.
type mail struct{ conn *net.UDPConn }

func (m *mail) init(conn *net.UDPConn, _ syscall.RawConn, _ bool) { m.conn = conn }

func (o *outbox) write() (failed int) {
	for i := range o.items {
		x := &o.items[i]
		if _, err := o.conn.WriteToUDPAddrPort(o.bytes[x.begin:x.end], x.to.addrPort()); err != nil {
			x.failed = true
			failed++
		}
	}
	return failed
}

// listenGroup binds one socket, however many are asked for.
func listenGroup(addr *net.UDPAddr, _ int) ([]*net.UDPConn, error) {
	c, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, err
	}
	return []*net.UDPConn{c}, nil
}

func setBuffers(c *net.UDPConn) {
	_ = c.SetReadBuffer(bufferSize)
	_ = c.SetWriteBuffer(bufferSize)
}

func stampReceived(*net.UDPConn) error { return errNoStamps }

func account(*net.UDPConn) (receive, send int, overflow uint64) { return 0, 0, 0 }
