package client

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// writeAttributes is Write-Attributes (§6.4.1). Attributes belong to the server
// that wrote them and last as long as its account here.
func (c *Client) writeAttributes(
	ctx context.Context, s Session, r *coap.Request, p lwm2m.Path,
) (*coap.Response, error) {
	if err := c.exists(ctx, s, p); err != nil {
		return nil, err
	}
	change, err := lwm2m.ParseAttributes(r.Query)
	if err != nil {
		return nil, err
	}
	if err := change.Applicable(p, lwm2m.KindOf(c.o.Schema, p)); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	acc, ok := c.accounts[r.Peer]
	if !ok {
		return nil, ErrUnauthorized
	}
	result := acc.attributes[p].Apply(change)
	if err := result.Check(); err != nil {
		return nil, err
	}
	switch {
	case len(result) == 0:
		delete(acc.attributes, p)
	case acc.attributes[p] == nil && len(acc.attributes) == maxAttributed:
		return nil, fmt.Errorf("%w: attributes on too many nodes", ErrBadRequest)
	default:
		acc.attributes[p] = result
	}
	c.signal()
	return &coap.Response{Code: coap.Changed}, nil
}

// exists returns ErrNotFound unless there is a node at p, and the object's error
// if it does not let the server read there. What nobody can read exists all the
// same.
func (c *Client) exists(ctx context.Context, s Session, p lwm2m.Path) error {
	o, err := c.find(s, p)
	if err != nil {
		return err
	}
	if err := c.may(ctx, s, p, rightRead); err != nil {
		return err
	}
	if _, err := o.Read(ctx, s, p); err != nil && !errors.Is(err, ErrMethodNotAllowed) {
		return err
	}
	return nil
}

// own returns the attributes written to the node at p itself by the server at
// peer.
func (c *Client) own(peer coap.Peer, p lwm2m.Path) lwm2m.Attributes {
	c.mu.Lock()
	defer c.mu.Unlock()
	if acc, ok := c.accounts[peer]; ok {
		return acc.attributes[p]
	}
	return nil
}

// effective returns the attributes in force at p for the server at peer: those
// of the node itself, else of the next one above (§7.3.2).
func (c *Client) effective(peer coap.Peer, p lwm2m.Path) lwm2m.Attributes {
	c.mu.Lock()
	defer c.mu.Unlock()
	acc, ok := c.accounts[peer]
	if !ok {
		return nil
	}
	return acc.effective(p)
}

func (a *account) effective(p lwm2m.Path) lwm2m.Attributes {
	var out lwm2m.Attributes
	for n := 1; n <= p.Len(); n++ {
		out = out.Apply(a.attributes[p.Prefix(n)])
	}
	return out
}
