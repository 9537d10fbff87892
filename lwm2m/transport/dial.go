package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// DialOptions configure one association of the device's side.
type DialOptions struct {
	// URI is one of coap, coaps, coap+tcp or coaps+tcp; only scheme, host and port count.
	URI string
	// Client holds the credentials, for coaps and coaps+tcp; the latter knows no PSK.
	Client dtls.ClientOptions
	// Engine receives the messages; required.
	Engine *coap.Engine
	// LocalAddr is bound by the socket; zero lets the system choose.
	LocalAddr netip.AddrPort
	// Tap is told of the payload length of every UDP datagram sent and received, or
	// of every piece of a stream, handshake included; nil tells nobody. It must not block.
	Tap func(sent bool, bytes int)
	// Lost is asked for every UDP datagram sent or received, and loses it by true, as
	// bad links do, and radios that are off; nil loses none. Only for simulated devices.
	Lost func(sent bool) bool
	// HandshakeTimeout ends a handshake that has not completed. Zero: 20 s. The
	// context's deadline may end it sooner.
	HandshakeTimeout time.Duration
	// FlightInterval is the handshake's first retransmission interval. Zero: 1 s.
	FlightInterval time.Duration
}

// Dial opens an association over a socket of its own and leads the handshake that
// the URI asks for. Over TCP it says its CSM and does not wait for the server's. ctx
// counts for Dial alone: the association lasts until Close or until the server ends
// it. Errors wrap ErrOptions, ErrNoPSK or those of dtls.Dial, or are the
// network's.
func Dial(ctx context.Context, o DialOptions) (*Conn, error) {
	if o.Engine == nil {
		return nil, fmt.Errorf("%w: no engine", ErrOptions)
	}
	t, err := parseURI(o.URI)
	if err != nil {
		return nil, err
	}
	setDefault(&o.HandshakeTimeout, defaultHandshakeTimeout)
	ctx, cancel := context.WithTimeout(ctx, o.HandshakeTimeout)
	defer cancel()
	remote, err := t.resolve(ctx)
	if err != nil {
		return nil, err
	}
	if t.stream {
		return dialStream(ctx, o, t, remote)
	}
	socket, err := dialSocket(o.LocalAddr, remote, o.Tap, o.Lost)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		engine: o.Engine, scheme: t.scheme, remote: remote, local: localAddr(socket.UDPConn), done: make(chan struct{}),
	}
	switch {
	case !t.secure:
		c.identity = coap.Identity{}
		c.link = socket
	case ours(&o.Client):
		if err := c.dialOwn(ctx, socket, o); err != nil {
			return nil, fmt.Errorf("transport: dial %s: %w", remote, err)
		}
	default:
		client, err := dtls.Dial(ctx, socket, net.UDPAddrFromAddrPort(remote), o.Client, o.FlightInterval)
		if err != nil {
			return nil, fmt.Errorf("transport: dial %s: %w", remote, err)
		}
		c.identity = client.Identity()
		c.link = client
		socket.established.Store(true)
	}
	go c.read() //nolint:contextcheck // the association outlives ctx; Close waits for the reader
	return c, nil
}

// ours reports whether a handshake is our own client's to lead: pion's knows no raw
// public keys, tells no channel binding, and does not take a server's word that it
// has used the name (RFC 6066 §3).
func ours(o *dtls.ClientOptions) bool {
	_, err := netip.ParseAddr(o.ServerName)
	return o.RawKey != nil || o.VerifyKey != nil || o.Bound || o.ServerName != "" && err != nil
}
