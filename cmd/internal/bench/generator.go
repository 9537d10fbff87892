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
	"time"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
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
	capture  *capture // nil: none
	sockets  []*socket
	ended    atomic.Int64 // associations that the server ended
	closed   chan struct{}
	reading  sync.WaitGroup
}

// A device is one association of the generator.
type device struct {
	socket *socket
	number int

	mu        sync.Mutex
	session   dtls.Session
	connected bool
	id        uint16 // of the last message
	location  []string
	watched   [maxPaths]watched
	wait      waiter // for the operation under way
	waitID    uint16
	waitEmpty bool   // an empty acknowledgement answers it
	trace     *trace // nil: none
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
	g := &generator{
		fleet: f, server: server, patience: maxSends, devices: make([]device, f.n), closed: make(chan struct{}),
	}
	size := mailboxSize
	if sockets > maxSockets { // they are for one handshake each
		size = smallMailbox
	}
	for i := range min(sockets, f.n) {
		local := &net.UDPAddr{IP: net.IPv4(127, 1, byte(i), 1)} // of more than 256, some share a network
		conn, err := net.DialUDP("udp4", local, net.UDPAddrFromAddrPort(server))
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		widen(conn)
		s := &socket{g: g, conn: conn, box: newMailbox(conn, size), turn: make(chan struct{}, 1)}
		g.sockets = append(g.sockets, s)
	}
	for i := range g.devices {
		g.devices[i].socket, g.devices[i].number = g.sockets[i%len(g.sockets)], i
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
	close(g.closed)
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
	w := newWire(s)
	s.pending(w)
	defer s.pending(nil)
	e, _, err := handshake.Connect(ctx, w, g.fleet.client(i), identifier(i), 0)
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

// identifier is the connection identifier of a device: its number, and chance, so
// that late records of an earlier association do not find it.
func identifier(i int) []byte {
	id := make([]byte, dtls.CIDLength)
	_, _ = rand.Read(id)                      // never fails
	binary.BigEndian.PutUint32(id, uint32(i)) //nolint:gosec // G115: at most maxDevices
	return id
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
	d.trace.sent(out)
	return d.socket.send(out)
}
