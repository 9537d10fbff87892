package client

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// A view is what a Read or an observation shows: nodes, in a format.
type view struct {
	paths     []lwm2m.Path // one, unless composite
	composite bool
	format    coap.Format // absent: the client chooses
}

// answerFormat returns the format to answer in. A composite operation without
// Accept is answered in the format of the request (§6.3.8).
func (c *Client) answerFormat(r *coap.Request, composite bool) (coap.Format, error) {
	id, ok := r.Accept.ID()
	if !ok && composite {
		id, ok = r.ContentFormat.ID()
	}
	switch {
	case !ok:
		return coap.Format{}, nil
	case id == codec.ETCHJSON:
		id = codec.SenMLJSON // ETCH packs are for requests only (RFC 8790)
	case id == codec.ETCHCBOR:
		id = codec.SenMLCBOR
	case !c.speaks(id):
		return coap.Format{}, fmt.Errorf("%w: %d", errNotAcceptable, id)
	}
	return coap.FormatID(id), nil
}

// answer reads what v shows and returns it as a 2.05 and as entries.
func (c *Client) answer(ctx context.Context, s Session, v view) (*coap.Response, []lwm2m.Entry, error) {
	entries, err := c.entries(ctx, s, v)
	if err != nil {
		return nil, nil, err
	}
	format, body, err := c.encode(v, entries)
	if err != nil {
		return nil, nil, err
	}
	return &coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(format), Payload: body}, entries, nil
}

// encode writes entries in the format of v, or in the best that can hold them.
func (c *Client) encode(v view, entries []lwm2m.Entry) (uint16, []byte, error) {
	var base lwm2m.Path
	if !v.composite {
		base = v.paths[0]
	}
	if id, ok := v.format.ID(); ok {
		body, err := c.codec().Encode(id, base, entries, c.o.Schema)
		if errors.Is(err, codec.ErrFormat) {
			err = fmt.Errorf("%w: %w", errNotAcceptable, err)
		}
		return id, body, err
	}
	choice := codec.Choose(c.o.Version, nil, base, lwm2m.KindOf(c.o.Schema, base))
	if c.o.Format != 0 {
		choice = append([]uint16{c.o.Format}, choice...)
	}
	for _, id := range choice {
		body, err := c.codec().Encode(id, base, entries, c.o.Schema)
		if !errors.Is(err, codec.ErrFormat) {
			return id, body, err
		}
	}
	return 0, nil, errNotAcceptable
}

// entries reads what v shows. Of a composite, nodes that cannot be read are left
// out in silence (§6.3.8), and so is what is covered twice.
func (c *Client) entries(ctx context.Context, s Session, v view) ([]lwm2m.Entry, error) {
	if !v.composite {
		return c.read(ctx, s, v.paths[0])
	}
	var out []lwm2m.Entry
	seen := map[lwm2m.Path]bool{}
	for _, p := range v.paths {
		for _, p := range c.expand(p) {
			entries, err := c.read(ctx, s, p)
			if err != nil {
				continue
			}
			for _, e := range entries {
				if !seen[e.Path] {
					seen[e.Path] = true
					out = append(out, e)
				}
			}
		}
	}
	return out, nil
}

// expand returns the objects for the root, p itself otherwise.
func (c *Client) expand(p lwm2m.Path) []lwm2m.Path {
	if p.Len() > 0 {
		return []lwm2m.Path{p}
	}
	out := make([]lwm2m.Path, 0, len(c.order))
	for _, id := range c.order {
		out = append(out, lwm2m.NewPath(id))
	}
	return out
}

// read returns the readable values at and below p.
func (c *Client) read(ctx context.Context, s Session, p lwm2m.Path) ([]lwm2m.Entry, error) {
	o, err := c.find(s, p)
	if err != nil {
		return nil, err
	}
	if !c.allows(s, p, lwm2m.OpRead) {
		return nil, ErrMethodNotAllowed
	}
	entries, err := o.Read(ctx, s, p)
	if err != nil {
		return nil, err
	}
	readable := make([]lwm2m.Entry, 0, len(entries))
	for _, e := range entries {
		if p.Contains(e.Path) && c.allows(s, e.Path, lwm2m.OpRead) {
			readable = append(readable, e)
		}
	}
	return c.visible(ctx, s, p, readable)
}

// codec returns the options that names in bodies need.
func (c *Client) codec() codec.Options { return codec.Options{Prefix: c.o.Root} }

// codecOf is codec for the requests of s: a bootstrap server knows no alternate
// path.
func (c *Client) codecOf(s Session) codec.Options {
	if s.Bootstrap {
		return codec.Options{}
	}
	return c.codec()
}
