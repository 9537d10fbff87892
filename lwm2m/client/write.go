package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// decode returns the entries of the request's body, all of them below p and at
// least as deep as a resource.
func (c *Client) decode(s Session, r *coap.Request, p lwm2m.Path) ([]lwm2m.Entry, error) {
	format, err := c.contentFormat(r)
	if err != nil {
		return nil, err
	}
	entries, err := c.codecOf(s).Decode(format, p, r.Payload, c.o.Schema)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !p.Contains(e.Path) || e.Path.Len() < 3 {
			return nil, fmt.Errorf("%w: value for %v in a request on %v", ErrBadRequest, e.Path, p)
		}
	}
	return entries, nil
}

// write is Write, by replacement or partial (§6.3.3).
func (c *Client) write(
	ctx context.Context, s Session, r *coap.Request, p lwm2m.Path, replace bool,
) (*coap.Response, error) {
	o, err := c.find(s, p)
	if err != nil {
		return nil, err
	}
	if err := c.may(ctx, s, p, rightWrite); err != nil {
		return nil, err
	}
	entries, err := c.decode(s, r, p)
	if err != nil {
		return nil, err
	}
	if err := c.writable(s, append([]lwm2m.Entry{{Path: p}}, entries...)); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Value == (lwm2m.Value{}) { // a deletion, which only Write-Composite knows
			return nil, fmt.Errorf("%w: no value for %v", ErrBadRequest, e.Path)
		}
	}
	if err := o.Write(ctx, s, p, entries, replace); err != nil {
		return nil, err
	}
	c.Changed(p)
	return &coap.Response{Code: coap.Changed}, nil
}

func (c *Client) writable(s Session, entries []lwm2m.Entry) error {
	for _, e := range entries {
		if !c.allows(s, e.Path, lwm2m.OpWrite) {
			return fmt.Errorf("%w: %v cannot be written", ErrMethodNotAllowed, e.Path)
		}
	}
	return nil
}

// execute is Execute (§6.3.5).
func (c *Client) execute(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	o, err := c.find(s, p)
	if err != nil {
		return nil, err
	}
	if !c.allows(s, p, lwm2m.OpExecute) {
		return nil, ErrMethodNotAllowed
	}
	if err := c.may(ctx, s, p, rightExecute); err != nil {
		return nil, err
	}
	args := string(r.Payload)
	if _, err := lwm2m.ParseArguments(args); err != nil {
		return nil, err
	}
	if err := o.Execute(ctx, s, p, args); err != nil {
		return nil, err
	}
	if p.Object() == serverObject && p.ID(2) == updateTrigger {
		c.RequestUpdate(s.Peer)
	}
	return &coap.Response{Code: coap.Changed}, nil
}

// create is Create (§6.3.6). The body names one instance or leaves it open.
func (c *Client) create(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	o, err := c.find(s, p)
	if err != nil {
		return nil, err
	}
	if err := c.may(ctx, s, p, rightCreate); err != nil {
		return nil, err
	}
	var entries []lwm2m.Entry
	if len(r.Payload) > 0 {
		if entries, err = c.decode(s, r, p); err != nil {
			return nil, err
		}
	}
	instance := -1
	for i, e := range entries {
		id := int(e.Path.ID(1))
		if id == lwm2m.NoID {
			id = -1
		}
		if i > 0 && id != instance {
			return nil, fmt.Errorf("%w: more than one instance", ErrBadRequest)
		}
		instance = id
	}
	if instance >= 0 && hasInstance(o, uint16(instance)) {
		return nil, fmt.Errorf("%w: instance %d exists", ErrBadRequest, instance)
	}
	id, err := o.Create(ctx, s, instance, entries)
	if err != nil {
		return nil, err
	}
	made := p.Child(id)
	if err := c.owned(ctx, s, made); err != nil {
		return nil, err
	}
	c.objectsChanged(made)
	return &coap.Response{Code: coap.Created, LocationPath: slices.Concat(c.o.root(), made.Segments())}, nil
}

// delete is Delete (§6.3.7).
func (c *Client) delete(ctx context.Context, s Session, _ *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	if p.Len() != 2 && (p.Len() != lwm2m.MaxDepth || c.o.Version != lwm2m.Version12) {
		return nil, ErrMethodNotAllowed
	}
	o, err := c.find(s, p)
	if err != nil {
		return nil, err
	}
	if !c.allows(s, p, lwm2m.OpWrite) {
		return nil, ErrMethodNotAllowed
	}
	right := uint64(rightDelete)
	if p.Len() == lwm2m.MaxDepth {
		right = rightWrite
	}
	if err := c.may(ctx, s, p, right); err != nil {
		return nil, err
	}
	if err := o.Delete(ctx, s, p); err != nil {
		return nil, err
	}
	if p.Len() == 2 {
		if err := c.disowned(ctx, s, p); err != nil {
			return nil, err
		}
		c.objectsChanged(p)
	} else {
		c.Changed(p)
	}
	return &coap.Response{Code: coap.Deleted}, nil
}

// objectsChanged notes that an instance came or went: observers of the object
// and the servers' object lists must learn of it.
func (c *Client) objectsChanged(p lwm2m.Path) {
	c.mu.Lock()
	for _, acc := range c.accounts {
		if acc.location != nil {
			acc.wanted = time.Now().Add(objectsDelay)
		}
	}
	c.mu.Unlock()
	c.Changed(p)
}

// ipatch is Write-Composite (§6.3.9): all values are written or none.
func (c *Client) ipatch(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	if _, err := c.composite(r, p); err != nil {
		return nil, err
	}
	entries, err := c.decode(s, r, p)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, err := c.find(s, e.Path); err != nil {
			return nil, fmt.Errorf("%v: %w", e.Path, err)
		}
		if err := c.may(ctx, s, e.Path, rightWrite); err != nil {
			return nil, err
		}
		if e.Value == (lwm2m.Value{}) && e.Path.Len() != lwm2m.MaxDepth {
			return nil, fmt.Errorf("%w: %v cannot be deleted", ErrBadRequest, e.Path)
		}
	}
	if err := c.writable(s, entries); err != nil {
		return nil, err
	}
	if err := c.writeAll(ctx, s, entries); err != nil {
		return nil, err
	}
	for _, e := range entries {
		c.Changed(e.Path)
	}
	return &coap.Response{Code: coap.Changed}, nil
}

// writeAll writes entries one by one. If one fails, what was written before it
// gets its old values back.
func (c *Client) writeAll(ctx context.Context, s Session, entries []lwm2m.Entry) error {
	var undo []func() error
	for _, e := range entries {
		o := c.objects[e.Path.Object()]
		before, err := o.Read(ctx, s, e.Path)
		if err != nil {
			before = nil // write-only or not there yet: nothing that a server could see
		}
		if err := change(ctx, s, o, e); err != nil {
			for _, back := range undo {
				err = errors.Join(err, back())
			}
			return fmt.Errorf("%v: %w", e.Path, err)
		}
		undo = append(undo, func() error {
			if len(before) == 0 && e.Path.Len() == lwm2m.MaxDepth {
				return o.Delete(ctx, s, e.Path)
			}
			if len(before) == 0 {
				return nil
			}
			return o.Write(ctx, s, e.Path, before, true)
		})
	}
	return nil
}

func change(ctx context.Context, s Session, o Object, e lwm2m.Entry) error {
	if e.Value == (lwm2m.Value{}) {
		return o.Delete(ctx, s, e.Path)
	}
	return o.Write(ctx, s, e.Path, []lwm2m.Entry{e}, false)
}
