package client

import (
	"context"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// Send reports values without being asked (§6.4.5), to the server at p. The
// paths are read as that server would. It returns ErrVersion before 1.1,
// ErrMuted if the server wants none, a *CodeError if it refuses.
func (c *Client) Send(ctx context.Context, p coap.Peer, paths ...lwm2m.Path) error {
	if c.o.Version == lwm2m.Version10 {
		return ErrVersion
	}
	acc, err := c.registered(p)
	if err != nil {
		return err
	}
	c.mu.Lock()
	session := acc.session
	c.mu.Unlock()
	if c.muted(ctx, session) {
		return ErrMuted
	}
	response, _, err := c.answer(ctx, session, view{paths: paths, composite: true, format: sendFormat})
	if err != nil {
		return err
	}
	r, err := c.o.Engine.Do(ctx, p, &coap.Request{
		Method: coap.POST, Path: []string{"dp"}, ContentFormat: response.ContentFormat, Payload: response.Payload,
	})
	if err != nil {
		return err
	}
	return answered(r, coap.Changed)
}

// sendFormat is SenML CBOR, which every server takes since Send exists.
var sendFormat = coap.FormatID(codec.SenMLCBOR)
