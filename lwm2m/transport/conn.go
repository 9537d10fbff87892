package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"steward/lwm2m/coap"
)

// maxReadErrors in a row end a connection: its socket is broken.
const maxReadErrors = 64

// A Conn is an association opened by Dial. It implements coap.Peer.
type Conn struct {
	engine   *coap.Engine
	identity coap.Identity
	binding  []byte
	scheme   string
	remote   netip.AddrPort
	local    netip.AddrPort
	link     io.ReadWriteCloser // of datagrams
	stream   *framed            // instead of link; nil: datagrams
	done     chan struct{}
}

var _ coap.Peer = (*Conn)(nil)

// Send implements coap.Peer.
func (c *Conn) Send(datagram []byte) error {
	if c.stream != nil {
		return engineError(c.stream.send(datagram))
	}
	if len(datagram) > MaxDatagram {
		return ErrTooLong
	}
	if _, err := c.link.Write(datagram); err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	return nil
}

// Stream implements coap.Streamer.
func (c *Conn) Stream() bool { return c.stream != nil }

// Identity implements coap.Peer: the role server, and with a certificate its
// common name and hash; zero without security.
func (c *Conn) Identity() coap.Identity { return c.identity }

// Addr implements coap.Peer: the server's address.
func (c *Conn) Addr() netip.AddrPort { return c.remote }

// LocalAddr is the address of the connection's own socket.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// String implements coap.Peer.
func (c *Conn) String() string { return c.scheme + "://" + c.remote.String() }

// Done is closed when the association has ended, by Close or by the server.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Close ends the association with close_notify, a stream with a Release before it, and returns when its reader
// has. It may be called more than once.
func (c *Conn) Close() error {
	if c.stream != nil {
		c.stream.release()
		c.stream.shut()
		<-c.done
		return nil
	}
	err := c.link.Close()
	<-c.done
	if errors.Is(err, net.ErrClosed) { // the server was first
		return nil
	}
	return err
}

// read hands messages to the engine until the association ends.
func (c *Conn) read() {
	defer close(c.done)
	buffer := make([]byte, MaxDatagram+recordOverhead)
	for errorsInRow := 0; errorsInRow < maxReadErrors; errorsInRow++ {
		n, err := c.link.Read(buffer)
		if err == nil {
			errorsInRow = -1
			c.engine.Receive(c, buffer[:n])
			continue
		}
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			break
		} // any other concerned one datagram
	}
	_ = c.link.Close() // what is left of it when the server was first
	c.engine.Closed(c)
}
