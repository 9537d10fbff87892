package dtls

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pion/dtls/v3"

	"steward/lwm2m/coap"
)

// ConnectOptions are what a client handshake over a Link needs.
type ConnectOptions struct {
	// Client holds the credentials. Its CID counts for nothing.
	Client ClientOptions
	// CID makes an identifier of CIDLength bytes by which the server addresses us,
	// and asks for one of the server's: many associations can then share a socket.
	// Nil negotiates neither.
	CID func() []byte
	// FlightInterval is the first retransmission interval; zero is one second.
	FlightInterval time.Duration
}

// Connect leads one handshake as client over l and hands over the keys, so that a program can hold associations by the
// hundred thousand. Errors wrap ErrNoVerify, ErrRefused, ErrTimeout or ErrHandshake.
func Connect(ctx context.Context, l *Link, o ConnectOptions) (Established, error) {
	c := &Client{identity: coap.Identity{Role: coap.RoleServer}}
	v := &verifier{verify: o.Client.Verify, client: c}
	o.Client.CID = false
	options, err := clientOptions(o.Client, v, o.FlightInterval)
	if err != nil {
		return Established{}, err
	}
	if o.CID != nil {
		options = append(options, dtls.WithConnectionIDGenerator(o.CID))
	}
	conn, err := dtls.ClientWithOptions(engine{l}, l.remote, options...)
	if err != nil {
		return Established{}, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	err = conn.HandshakeContext(ctx)
	l.mute()
	if err != nil {
		_ = conn.Close() // its error is of no interest after the handshake's
		return Established{}, reason(ctx, v.refusal, err)
	}
	x, err := export(conn)
	err = errors.Join(err, conn.Close()) // muted: its close_notify goes nowhere
	if err != nil {
		return Established{}, err
	}
	s, err := x.session()
	return Established{Session: s, Identity: c.identity}, err
}
