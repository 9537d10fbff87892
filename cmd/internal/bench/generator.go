package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"steward/lwm2m/dtls"
)

const (
	maxDatagram = 4096
	// handshakeTimeout is as long as the server allows.
	handshakeTimeout = 20 * time.Second
)

// A generator holds the devices of a run behind a few sockets. Many devices share
// a socket: the server's records carry our connection identifier, which is the
// device's number.
type generator struct {
	fleet   *identities
	server  netip.AddrPort
	devices []device
	// patience is how often a message is sent before its device gives up.
	patience int
	sockets  []*socket
	ended    atomic.Int64 // associations that the server ended
	reading  sync.WaitGroup
}

// A socket serves a part of the devices.
type socket struct {
	g    *generator
	only *device // of a server without connection identifiers; nil: many
	conn *net.UDPConn
	turn chan struct{} // one handshake at a time: until it ends, the server knows us by address

	mu   sync.Mutex
	link *dtls.Link // of the handshake under way
}

// A device is one association of the generator.
type device struct {
	socket *socket

	mu        sync.Mutex
	session   dtls.Session
	connected bool
	id        uint16 // of the last message
	location  []string
	watched   [maxPaths]watched
	wait      chan<- reply // of the operation under way
	waitID    uint16
	waitEmpty bool // an empty acknowledgement answers it
}

// A watched resource is one that the server observes.
type watched struct {
	token    [8]byte
	length   uint8
	format   uint16
	on       bool
	sequence uint32
}

// newGenerator binds sockets to addresses of the loopback network, each to one of
// another /24: the server counts new handshakes by network.
func newGenerator(f *identities, server netip.AddrPort, sockets int) (*generator, error) {
	g := &generator{fleet: f, server: server, patience: maxSends, devices: make([]device, f.n)}
	for i := range min(sockets, f.n) {
		local := &net.UDPAddr{IP: net.IPv4(127, 1, byte(i), 1)}
		conn, err := net.DialUDP("udp4", local, net.UDPAddrFromAddrPort(server))
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		widen(conn)
		s := &socket{g: g, conn: conn, turn: make(chan struct{}, 1)}
		g.sockets = append(g.sockets, s)
	}
	for i := range g.devices {
		g.devices[i].socket = g.sockets[i%len(g.sockets)]
	}
	for i, s := range g.sockets {
		if len(g.devices) <= len(g.sockets) {
			s.only = &g.devices[i]
		}
		g.reading.Go(s.read)
	}
	return g, nil
}

// close ends the readers. Associations are left to the server.
func (g *generator) close() error {
	var errs []error
	for _, s := range g.sockets {
		errs = append(errs, s.conn.Close())
	}
	g.reading.Wait()
	return errors.Join(errs...)
}

// handshake is an operation that begins an association anew, and uses it once:
// when the server has answered, its side is complete and another device may have
// the socket's turn.
func (g *generator) handshake(ctx context.Context, w *worker, i int) (bool, error) {
	d := &g.devices[i]
	select {
	case d.socket.turn <- struct{}{}:
		defer func() { <-d.socket.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if err := g.connect(ctx, i); err != nil {
		return false, err
	}
	_, err := w.do(d, ping) // a reset, or whatever the server takes for an answer
	return err == nil, err
}

// connect leads the handshake of a device, which has the turn of its socket.
func (g *generator) connect(ctx context.Context, i int) error {
	d := &g.devices[i]
	s := d.socket
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	link := dtls.NewLink(s.conn.LocalAddr(), s.conn.RemoteAddr(), func(b []byte) { _, _ = s.conn.Write(b) })
	s.pending(link)
	defer s.pending(nil)
	e, err := dtls.Connect(ctx, link, dtls.ConnectOptions{
		Client: g.fleet.client(i), CID: func() []byte { return identifier(i) },
	})
	if err != nil {
		return fmt.Errorf("device %d: %w", i, err)
	}
	if _, named := e.Session.CID(); !named && s.only == nil {
		return fmt.Errorf("%w: it has no connection identifiers, so each device takes a socket", ErrServer)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session, d.connected = e.Session, true
	var first [2]byte
	_, _ = rand.Read(first[:]) // never fails
	d.id = binary.BigEndian.Uint16(first[:])
	return nil
}

func (s *socket) pending(l *dtls.Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = l
}

// identifier is the connection identifier of a device: its number, and chance, so
// that late records of an earlier association do not find it.
func identifier(i int) []byte {
	id := make([]byte, dtls.CIDLength)
	_, _ = rand.Read(id)                      // never fails
	binary.BigEndian.PutUint32(id, uint32(i)) //nolint:gosec // G115: at most maxDevices
	return id
}

// read serves the socket until it is closed.
func (s *socket) read() {
	in := make([]byte, maxDatagram)
	plain := make([]byte, 0, maxDatagram)
	for {
		n, err := s.conn.Read(in)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier datagram
		}
		s.receive(in[:n], plain)
	}
}

// receive gives a datagram to the device that it names, or to the handshake.
func (s *socket) receive(datagram, plain []byte) {
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
	link := s.link
	s.mu.Unlock()
	if link != nil {
		link.Deliver(datagram)
	}
}

const (
	alertFatal       = 2
	alertCloseNotify = 0
)

// receive opens a record and reports whether it was of this association.
func (d *device) receive(g *generator, r dtls.Record, plain []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.connected {
		return false
	}
	o, err := d.session.Open(plain[:0], r)
	if err != nil {
		return errors.Is(err, dtls.ErrReplay)
	}
	switch {
	case o.Type == dtls.ApplicationData:
		d.message(o.Plaintext)
	case o.Type == dtls.Alert && len(o.Plaintext) == 2 &&
		(o.Plaintext[0] == alertFatal || o.Plaintext[1] == alertCloseNotify):
		d.connected = false
		g.ended.Add(1)
	default:
	}
	return true
}

// send seals and sends one message. The caller holds mu.
func (d *device) send(message []byte) error {
	var buffer [512]byte
	out, err := d.session.Seal(buffer[:0], dtls.ApplicationData, message)
	if err != nil {
		return err
	}
	_, err = d.socket.conn.Write(out)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOBUFS) {
		return nil // lost, as a datagram may be
	}
	return err
}
