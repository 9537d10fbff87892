package client

import (
	"context"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// Send reports values without being asked (§6.4.5), to the server at p. The
// paths are read as that server would. It returns ErrVersion before 1.1,
// ErrMuted if the server wants none, a *CodeError if it refuses.
func (c *Client) Send(ctx context.Context, p coap.Peer, paths ...lwm2m.Path) error {
	session, err := c.sender(ctx, p)
	if err != nil {
		return err
	}
	entries, err := c.entries(ctx, session, view{paths: paths, composite: true})
	if err != nil {
		return err
	}
	return c.send(ctx, p, entries)
}

// SendHistory is Send of values that were measured earlier, each with its time.
// Those of devices behind a gateway are reported below their prefixes. The caller
// answers for what the server may see.
func (c *Client) SendHistory(ctx context.Context, p coap.Peer, entries ...lwm2m.Entry) error {
	if _, err := c.sender(ctx, p); err != nil {
		return err
	}
	return c.send(ctx, p, entries)
}

// sender returns the session of the server at p if Send is possible there.
func (c *Client) sender(ctx context.Context, p coap.Peer) (Session, error) {
	if c.o.Version == lwm2m.Version10 {
		return Session{}, ErrVersion
	}
	acc, err := c.registered(p)
	if err != nil {
		return Session{}, err
	}
	c.mu.Lock()
	session := acc.session
	c.mu.Unlock()
	if c.muted(ctx, session) {
		return Session{}, ErrMuted
	}
	return session, nil
}

func (c *Client) send(ctx context.Context, p coap.Peer, entries []lwm2m.Entry) error {
	// SenML CBOR is what every server takes since Send exists.
	format := codec.SenMLCBOR
	if c.o.Format == codec.SenMLJSON {
		format = codec.SenMLJSON
	}
	body, err := codec.EncodePack(format, lwm2m.Path{}, c.pack(entries), c.o.Schema)
	if err != nil {
		return err
	}
	r, err := c.o.Engine.Do(ctx, p, &coap.Request{
		Method: coap.POST, Path: []string{"dp"}, ContentFormat: coap.FormatID(format), Payload: body,
	})
	if err != nil {
		return err
	}
	return answered(r, coap.Changed)
}

// pack returns entries with what stands in front of their paths: the alternate path,
// and the prefix of a device behind this one.
func (c *Client) pack(entries []lwm2m.Entry) lwm2m.Pack {
	var out lwm2m.Pack
	for _, e := range entries {
		prefix := strings.Trim(c.o.Root+"/"+e.Path.Gateway(), "/")
		e.Path = e.Path.Own()
		out.Add(prefix, e)
	}
	return out
}
