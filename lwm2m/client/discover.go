package client

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/linkformat"
)

// Depths of Discover (§6.3.2): levels below the path that are shown.
const (
	objectDepth = 2
	otherDepth  = 1
	maxDiscover = 3
)

// discover is Discover.
func (c *Client) discover(ctx context.Context, s Session, r *coap.Request, p lwm2m.Path) (*coap.Response, error) {
	depth, err := c.depth(r, p)
	if err != nil {
		return nil, err
	}
	o, err := c.find(s, p)
	if err != nil {
		return nil, err
	}
	d := discovery{c: c, s: s, o: o}
	if err := c.may(ctx, s, p, rightRead); err != nil {
		return nil, err
	}
	if d.entries, err = o.Read(ctx, s, p.Prefix(min(p.Len(), 2))); err != nil {
		return nil, err
	}
	if p.Len() > 2 && !d.has(p) {
		return nil, ErrNotFound
	}
	d.walk(p, depth)
	if p.Len() == 3 {
		// On a resource, what it inherits is shown as well.
		d.links[0].Attributes = append(d.dim(p), linkAttributes(c.effective(s.Peer, p))...)
	}
	return &coap.Response{
		Code:          coap.Content,
		ContentFormat: coap.FormatID(codec.Link),
		Payload:       []byte(linkformat.Format(d.links)),
	}, nil
}

// depth returns how far below p to go.
func (c *Client) depth(r *coap.Request, p lwm2m.Path) (int, error) {
	depth := otherDepth
	switch {
	case p.Len() == 1:
		depth = objectDepth
	case p.Len() == 3 && c.o.Version != lwm2m.Version12:
		depth = 0 // links to resource instances came with the parameter
	}
	query, err := lwm2m.ParseQuery(r.Query)
	if err != nil {
		return 0, err
	}
	for _, q := range query {
		if q.Name != "depth" || c.o.Version != lwm2m.Version12 {
			continue
		}
		depth, err = strconv.Atoi(q.Value)
		if err != nil || depth < 0 || depth > maxDiscover {
			return 0, fmt.Errorf("%w: depth %q", ErrBadRequest, q.Value)
		}
	}
	return depth, nil
}

// A discovery collects the links of one Discover.
type discovery struct {
	c       *Client
	s       Session
	o       Object
	entries []lwm2m.Entry // what can be read
	links   []linkformat.Link
}

// walk adds p and depth levels below it.
func (d *discovery) walk(p lwm2m.Path, depth int) {
	link := linkformat.Link{Target: d.c.target(p)}
	if p.Len() == 1 {
		link.Attributes = d.c.version(d.o)
	}
	link.Attributes = append(link.Attributes, d.dim(p)...)
	link.Attributes = append(link.Attributes, linkAttributes(d.c.own(d.s.Peer, p))...)
	d.links = append(d.links, link)
	if depth == 0 {
		return
	}
	for _, id := range d.children(p) {
		d.walk(p.Child(id), depth-1)
	}
}

// children returns the ids below p, ascending.
func (d *discovery) children(p lwm2m.Path) []uint16 {
	var out []uint16
	switch lister, ok := d.o.(Lister); {
	case p.Len() == lwm2m.MaxDepth:
		return nil
	case p.Len() == 1:
		return d.o.Instances()
	case p.Len() == 2 && ok:
		return lister.Resources(p.ID(1))
	}
	for _, e := range d.entries {
		if p.Contains(e.Path) && e.Path.Len() > p.Len() {
			out = append(out, e.Path.ID(p.Len()))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// has reports whether the resource or resource instance p exists.
func (d *discovery) has(p lwm2m.Path) bool {
	for n := 3; n <= p.Len(); n++ {
		if !slices.Contains(d.children(p.Prefix(n-1)), p.ID(n-1)) {
			return false
		}
	}
	return true
}

// dim returns the number of instances of a multiple resource.
func (d *discovery) dim(p lwm2m.Path) []linkformat.Attribute {
	if p.Len() != 3 {
		return nil
	}
	n := len(d.children(p))
	if n == 0 {
		return nil
	}
	return []linkformat.Attribute{attribute("dim", strconv.Itoa(n))}
}

func linkAttributes(attributes lwm2m.Attributes) []linkformat.Attribute {
	var out []linkformat.Attribute
	for _, a := range attributes {
		out = append(out, attribute(a.Name, strconv.FormatFloat(a.Value, 'f', -1, 64)))
	}
	return out
}
