package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/linkformat"
)

// ErrBootstrap reports a bootstrap that did not end with Bootstrap-Finish.
var ErrBootstrap = errors.New("bootstrap not finished")

// A Provisioner is an Object that a bootstrap server may write and delete.
type Provisioner interface {
	// Provision makes the instance at p, or replaces all that it holds.
	Provision(ctx context.Context, s Session, p lwm2m.Path, entries []lwm2m.Entry) error
	// Erase removes the instance at p; one that does not exist is no error.
	Erase(ctx context.Context, s Session, p lwm2m.Path) error
}

// What the client itself knows of the objects that bootstrap writes.
const (
	securityObject    = 0
	accessObject      = 2
	deviceObject      = 3
	securityURI       = 0
	bootstrapServer   = 1
	securityShort     = 10
	instanceDepth     = 2
	bootstrapDeadline = 247 * time.Second // EXCHANGE_LIFETIME, RFC 7252 §4.8.2
)

// Bootstrap asks the bootstrap server at p for a configuration (§6.1.7.1), serves
// its commands, and returns when it has finished. format is the Content-Format
// that is preferred; zero: none is named. Without a Bootstrap-Finish within 247 s
// it returns ErrBootstrap. The account at p is forgotten in the end.
func (c *Client) Bootstrap(ctx context.Context, p coap.Peer, format uint16) error {
	finished := make(chan struct{})
	c.mu.Lock()
	acc := c.attach(p, Account{Bootstrap: true})
	acc.finished = finished
	c.mu.Unlock()
	defer c.Detach(p)
	ctx, cancel := context.WithTimeout(ctx, bootstrapDeadline)
	defer cancel()
	var query []string
	if c.o.Endpoint != "" {
		query = append(query, "ep="+string(c.o.Endpoint))
	}
	if format != 0 {
		query = append(query, "pct="+strconv.Itoa(int(format)))
	}
	r, err := c.o.Engine.Do(ctx, p, &coap.Request{Method: coap.POST, Path: []string{"bs"}, Query: query})
	if err != nil {
		return fmt.Errorf("bootstrap request: %w", err)
	}
	if err := answered(r, coap.Changed); err != nil {
		return fmt.Errorf("bootstrap request: %w", err)
	}
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBootstrap, ctx.Err())
	}
}

// serveBootstrap answers what a bootstrap server may ask (§6.1.7).
func (c *Client) serveBootstrap(ctx context.Context, s Session, r *coap.Request) (*coap.Response, error) {
	if slices.Equal(r.Path, []string{"bs"}) {
		return c.finish(ctx, s, r)
	}
	p, err := lwm2m.ParseSegments(r.Path)
	if err != nil {
		return nil, err
	}
	accept, _ := r.Accept.ID()
	switch {
	case r.Method == coap.GET && accept == codec.Link && p.Len() <= 1:
		return c.bootstrapDiscover(ctx, s, p)
	case r.Method == coap.GET && p.Len() >= 1 && p.Len() <= instanceDepth && c.o.Version != lwm2m.Version10:
		return c.bootstrapRead(ctx, s, r, p)
	case r.Method == coap.PUT && p.Len() >= 1 && p.Len() <= 3:
		return c.bootstrapWrite(ctx, s, r, p)
	case r.Method == coap.DELETE && p.Len() <= instanceDepth:
		return c.bootstrapDelete(ctx, s, p)
	}
	return nil, ErrMethodNotAllowed
}

// finish is Bootstrap-Finish (§6.1.7.6).
func (c *Client) finish(ctx context.Context, s Session, r *coap.Request) (*coap.Response, error) {
	if r.Method != coap.POST {
		return nil, ErrMethodNotAllowed
	}
	if c.o.Consistent != nil {
		if err := c.o.Consistent(ctx); err != nil {
			return nil, &CodeError{Code: coap.NotAcceptable, Diagnostic: err.Error()}
		}
	}
	c.mu.Lock()
	acc := c.accounts[s.Peer]
	var finished chan struct{}
	if acc != nil {
		finished, acc.finished = acc.finished, nil
	}
	c.mu.Unlock()
	return &coap.Response{Code: coap.Changed, Sent: func() {
		if finished != nil {
			close(finished)
		}
	}}, nil
}

// bootstrapDiscover lists the instances of all objects, or of one (§6.1.7.4).
func (c *Client) bootstrapDiscover(ctx context.Context, s Session, p lwm2m.Path) (*coap.Response, error) {
	links := []linkformat.Link{{Target: "/", Attributes: []linkformat.Attribute{attribute("lwm2m", string(c.o.Version))}}}
	order := c.order
	if p.Len() == 1 {
		if _, ok := c.objects[p.Object()]; !ok {
			return nil, ErrNotFound
		}
		order = []uint16{p.Object()}
	}
	for _, id := range order {
		for _, instance := range c.objects[id].Instances() {
			at := lwm2m.NewPath(id, instance)
			links = append(links, linkformat.Link{Target: at.String(), Attributes: c.accountAttributes(ctx, s, at)})
		}
	}
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(codec.Link), Payload: []byte(linkformat.Format(links)),
	}, nil
}

// accountAttributes says to which server an instance of object 0 or 1 belongs;
// none for a bootstrap account.
func (c *Client) accountAttributes(ctx context.Context, s Session, at lwm2m.Path) []linkformat.Attribute {
	var short lwm2m.Value
	switch {
	case at.Object() == securityObject && !c.isBootstrapAccount(ctx, s, at):
		short = c.value(ctx, s, at.Child(securityShort))
	case at.Object() == serverObject:
		short = c.value(ctx, s, at.Child(shortServer))
	}
	id, ok := short.Uint()
	if !ok {
		return nil
	}
	out := []linkformat.Attribute{attribute("ssid", strconv.FormatUint(id, 10))}
	if uri := c.value(ctx, s, at.Child(securityURI)); at.Object() == securityObject && uri.Text() != "" {
		out = append(out, attribute("uri", uri.Text()))
	}
	return out
}

func (c *Client) isBootstrapAccount(ctx context.Context, s Session, at lwm2m.Path) bool {
	is, ok := c.value(ctx, s, at.Child(bootstrapServer)).Bool()
	return ok && is
}

// value returns the value of one resource, the zero Value without it.
func (c *Client) value(ctx context.Context, s Session, p lwm2m.Path) lwm2m.Value {
	entries, err := c.objects[p.Object()].Read(ctx, s, p)
	if err != nil || len(entries) != 1 {
		return lwm2m.Value{}
	}
	return entries[0].Value
}

// bootstrapRead is Bootstrap-Read, of objects 1 and 2 only (§6.1.7.5).
func (c *Client) bootstrapRead(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	if p.Object() != serverObject && p.Object() != accessObject {
		return nil, ErrMethodNotAllowed
	}
	if _, err := c.find(s, p); err != nil {
		return nil, err
	}
	v := view{paths: []lwm2m.Path{p}}
	var err error
	if v.format, err = c.answerFormat(r, false); err != nil {
		return nil, err
	}
	response, _, err := c.answer(ctx, s, v)
	return response, err
}

// bootstrapWrite is Bootstrap-Write of instances, or of one resource (§6.1.7.3).
func (c *Client) bootstrapWrite(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	o, ok := c.objects[p.Object()]
	if !ok {
		return nil, ErrNotFound
	}
	entries, err := c.decode(s, r, p)
	if err != nil {
		return nil, err
	}
	if p.Len() == 3 {
		if err := o.Write(ctx, s, p, entries, true); err != nil {
			return nil, err
		}
		return &coap.Response{Code: coap.Changed}, nil
	}
	if _, ok := o.(Provisioner); !ok {
		return nil, ErrMethodNotAllowed
	}
	if err := c.provision(ctx, s, entries); err != nil {
		return nil, err
	}
	return &coap.Response{Code: coap.Changed}, nil
}

// provision writes whole instances.
func (c *Client) provision(ctx context.Context, s Session, entries []lwm2m.Entry) error {
	for len(entries) > 0 {
		at := entries[0].Path.Prefix(instanceDepth)
		var of, rest []lwm2m.Entry
		for _, e := range entries {
			if at.Contains(e.Path) {
				of = append(of, e)
			} else {
				rest = append(rest, e)
			}
		}
		provisioner, ok := c.objects[at.Object()].(Provisioner)
		if !ok {
			return fmt.Errorf("%w: object %d", ErrNotFound, at.Object())
		}
		if err := provisioner.Provision(ctx, s, at, of); err != nil {
			return err
		}
		c.objectsChanged(at)
		entries = rest
	}
	return nil
}

// bootstrapDelete is Bootstrap-Delete: never of the bootstrap account, nor of the
// Device instance (§6.1.7.7).
func (c *Client) bootstrapDelete(ctx context.Context, s Session, p lwm2m.Path) (*coap.Response, error) {
	for _, at := range c.erasable(ctx, s, p) {
		if provisioner, ok := c.objects[at.Object()].(Provisioner); ok {
			if err := provisioner.Erase(ctx, s, at); err != nil {
				return nil, err
			}
			c.objectsChanged(at)
		}
	}
	return &coap.Response{Code: coap.Deleted}, nil
}

// erasable returns the instances at or below p that bootstrap may delete.
func (c *Client) erasable(ctx context.Context, s Session, p lwm2m.Path) (out []lwm2m.Path) {
	for _, id := range c.order {
		if id == deviceObject {
			continue
		}
		for _, instance := range c.objects[id].Instances() {
			at := lwm2m.NewPath(id, instance)
			if p.Contains(at) && (id != securityObject || !c.isBootstrapAccount(ctx, s, at)) {
				out = append(out, at)
			}
		}
	}
	return out
}
