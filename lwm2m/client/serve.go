package client

import (
	"context"
	"log/slog"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// An operation answers one request on the node at p.
type operation func(c *Client, ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error)

// operations is the table of device management requests (§6.3, §6.4) by method;
// what is not in it is 4.05.
var operations = map[coap.Code]operation{
	coap.GET:    (*Client).get,
	coap.PUT:    (*Client).put,
	coap.POST:   (*Client).post,
	coap.DELETE: (*Client).delete,
	coap.FETCH:  (*Client).fetch,
	coap.IPATCH: (*Client).ipatch,
}

// ServeCoAP answers a request of a server. Peers without an account get 4.01.
func (c *Client) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	response, err := c.serve(ctx, r)
	if err == nil {
		return response
	}
	response = failure(err)
	level := slog.LevelDebug
	if response.Code.Class() == 5 {
		level = slog.LevelWarn
	}
	c.o.Log.LogAttrs(ctx, level, "request refused",
		slog.String("endpoint", string(c.o.Endpoint)),
		slog.String("peer", name(r.Peer)),
		slog.String("method", r.Method.String()),
		slog.Any("path", r.Path),
		slog.String("code", response.Code.String()),
		slog.Any("reason", err))
	return response
}

func name(p coap.Peer) string {
	if p == nil {
		return ""
	}
	return p.String()
}

func (c *Client) serve(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	s, ok := c.session(r.Peer)
	if !ok {
		return nil, ErrUnauthorized
	}
	if s.Bootstrap {
		return c.serveBootstrap(ctx, s, r)
	}
	path := r.Path
	if root := c.o.root(); root != nil {
		if len(path) < len(root) || !slices.Equal(path[:len(root)], root) {
			return nil, ErrNotFound
		}
		path = path[len(root):]
	}
	p, err := lwm2m.ParseSegments(path)
	if err != nil {
		return nil, err
	}
	do, ok := operations[r.Method]
	if !ok {
		return nil, ErrMethodNotAllowed
	}
	return do(c, ctx, s, r, p)
}

// get is Read, Discover or Observe.
func (c *Client) get(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	if _, err := c.find(s, p); err != nil {
		return nil, err
	}
	if id, ok := r.Accept.ID(); ok && id == codec.Link {
		return c.discover(ctx, s, r, p)
	}
	return c.readOrObserve(ctx, s, r, []lwm2m.Path{p}, false)
}

// put is Write with replacement, or Write-Attributes.
func (c *Client) put(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	if _, ok := r.ContentFormat.ID(); !ok && len(r.Payload) == 0 && len(r.Query) > 0 {
		return c.writeAttributes(ctx, s, r, p)
	}
	if p.Len() < 2 { // only bootstrap writes whole objects
		return nil, ErrMethodNotAllowed
	}
	return c.write(ctx, s, r, p, true)
}

// post is Create, partial Write or Execute, by the depth of the path.
func (c *Client) post(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	switch p.Len() {
	case 1:
		return c.create(ctx, s, r, p)
	case 2:
		return c.write(ctx, s, r, p, false)
	case 3:
		// A resource is executed by plain text or nothing (§6.3.5), and a
		// multiple one is updated by every other format (§6.3.3).
		if id, ok := r.ContentFormat.ID(); !ok || id == codec.Text || len(r.Payload) == 0 {
			return c.execute(ctx, s, r, p)
		}
		return c.write(ctx, s, r, p, false)
	default:
		return nil, ErrMethodNotAllowed
	}
}

// fetch is Read-Composite or Observe-Composite.
func (c *Client) fetch(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	format, err := c.composite(r, p)
	if err != nil {
		return nil, err
	}
	paths, err := c.codec().DecodePaths(format, r.Payload)
	if err != nil {
		return nil, err
	}
	return c.readOrObserve(ctx, s, r, paths, true)
}

// composite checks what the composite operations have in common and returns the
// format of the request.
func (c *Client) composite(r *coap.Request, p lwm2m.Path) (uint16, error) {
	if p.Len() > 0 || c.o.Version == lwm2m.Version10 {
		return 0, ErrMethodNotAllowed
	}
	return c.contentFormat(r)
}

// contentFormat returns the format of the request's body, or codec.ErrFormat if
// it is absent or not one of this client.
func (c *Client) contentFormat(r *coap.Request) (uint16, error) {
	id, ok := r.ContentFormat.ID()
	if !ok || !c.speaks(id) {
		return 0, codec.ErrFormat
	}
	return id, nil
}

// readOrObserve answers GET and FETCH for the nodes at paths.
func (c *Client) readOrObserve(
	ctx context.Context, s Session, r *coap.Request, paths []lwm2m.Path, composite bool,
) (*coap.Response, error) {
	v := view{paths: paths, composite: composite}
	var err error
	if v.format, err = c.answerFormat(r, composite); err != nil {
		return nil, err
	}
	switch r.Observe {
	case coap.ObserveRegister:
		return c.observe(ctx, s, r, v)
	case coap.ObserveCancel:
		c.cancel(observationKey{r.Peer, string(r.Token)})
	case coap.ObserveNone:
	}
	response, _, err := c.answer(ctx, s, v)
	return response, err
}
