package client

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/linkformat"
)

// BootstrapPack asks the bootstrap server at p for the whole configuration at once
// (§6.1.7.2), and takes it in place of all accounts but those of bootstrap servers.
// format is the Content-Format that is preferred; zero: SenML CBOR. It returns
// ErrVersion before 1.2, a *CodeError if the server refuses, and ErrBootstrap for a
// pack that cannot be used. The account at p is forgotten in the end.
func (c *Client) BootstrapPack(ctx context.Context, p coap.Peer, format uint16) error {
	if c.o.Version != lwm2m.Version12 {
		return fmt.Errorf("%w: Bootstrap-Pack", ErrVersion)
	}
	if format == 0 {
		format = codec.SenMLCBOR
	}
	c.mu.Lock()
	s := c.attach(p, Account{Bootstrap: true}).session
	c.mu.Unlock()
	defer c.Detach(p)
	ctx, cancel := context.WithTimeout(ctx, bootstrapDeadline)
	defer cancel()
	r, err := c.o.Engine.Do(ctx, p, &coap.Request{
		Method: coap.GET, Path: []string{"bspack"}, Query: c.packQuery(ctx, s), Accept: coap.FormatID(format),
	})
	if err == nil {
		err = answered(r, coap.Content)
	}
	if err != nil {
		return fmt.Errorf("bootstrap pack: %w", err)
	}
	got, _ := r.ContentFormat.ID()
	entries, err := codec.Decode(got, lwm2m.Path{}, r.Payload, c.o.Schema)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBootstrap, err)
	}
	return c.unpack(ctx, s, entries)
}

// packQuery names the device, and the instances of its bootstrap accounts.
func (c *Client) packQuery(ctx context.Context, s Session) (query []string) {
	if c.o.Endpoint != "" {
		query = append(query, "ep="+string(c.o.Endpoint))
	}
	security, ok := c.objects[securityObject]
	if !ok {
		return query
	}
	var own []linkformat.Link
	for _, i := range security.Instances() {
		if at := lwm2m.NewPath(securityObject, i); c.isBootstrapAccount(ctx, s, at) {
			own = append(own, linkformat.Link{Target: at.String()})
		}
	}
	return append(query, "acc="+linkformat.Format(own))
}

// unpack replaces the accounts, and the instances that the pack has.
func (c *Client) unpack(ctx context.Context, s Session, entries []lwm2m.Entry) error {
	for _, e := range entries {
		_, known := c.objects[e.Path.Object()].(Provisioner)
		own := e.Path.Object() == securityObject && known && c.isBootstrapAccount(ctx, s, e.Path.Prefix(instanceDepth))
		if !known || own || e.Path.Len() <= instanceDepth {
			return fmt.Errorf("%w: %s in the pack", ErrBootstrap, e.Path)
		}
	}
	for _, object := range []uint16{securityObject, serverObject} {
		if _, err := c.bootstrapDelete(ctx, s, lwm2m.NewPath(object)); err != nil {
			return errors.Join(ErrBootstrap, err)
		}
	}
	if err := c.provision(ctx, s, entries); err != nil {
		return errors.Join(ErrBootstrap, err)
	}
	if c.o.Consistent == nil {
		return nil
	}
	if err := c.o.Consistent(ctx); err != nil {
		return errors.Join(ErrBootstrap, err)
	}
	return nil
}
