package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
	"steward/lwm2m/linkformat"
)

// Operations return, beside what each names: ErrNotRegistered, ErrUnreachable,
// ErrEnded, ErrUnsupported, lwm2m.ErrPath for a path that the operation cannot
// have, *ResponseError for an answer other than success, ErrAnswer, the errors
// of the Exchanger and those of ctx.

// Read reads an object, object instance, resource or resource instance
// (§6.3.1). It keeps the values as the last known ones.
func (s *Server) Read(ctx context.Context, device fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	if err := deep(p, 1, lwm2m.MaxDepth); err != nil {
		return nil, err
	}
	limited, c, err := s.reach(ctx, device)
	if err != nil {
		return nil, err
	}
	defer s.finish(c)
	if err := c.reaches(p); err != nil {
		return nil, err
	}
	res, err := inFormats(s.readable(c, p), func(f uint16) (*coap.Response, error) {
		r := c.request(coap.GET, p)
		r.Accept = coap.FormatID(f)
		return s.do(limited, c, r)
	})
	var entries []lwm2m.Entry
	if err == nil {
		entries, err = s.decode(c.registration, p, res)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return entries, s.record(ctx, device, FromRead, entries)
}

// A Mode says what Write does with what it does not name.
type Mode bool

// The modes of Write (§6.3.3).
const (
	Replace Mode = true  // PUT: the node becomes what is written
	Update  Mode = false // POST: the rest stays
)

// Write writes an object instance, resource or resource instance (§6.3.3). An
// Update of anything but an object instance or multiple resource is a Replace.
// It keeps what the device accepted as the last known values. It also returns
// the errors of codec.Encode.
func (s *Server) Write(ctx context.Context, device fleet.ID, p lwm2m.Path, entries []lwm2m.Entry, m Mode) error {
	if err := deep(p, 2, lwm2m.MaxDepth); err != nil { // below an object it would be a Create
		return err
	}
	method := coap.PUT
	if m == Update && s.partial(p, entries) {
		method = coap.POST
	}
	limited, c, err := s.reach(ctx, device)
	if err != nil {
		return err
	}
	defer s.finish(c)
	if err := c.reaches(p); err != nil {
		return err
	}
	if _, err := s.put(limited, c, method, p, entries); err != nil {
		return fmt.Errorf("write %s: %w", p, err)
	}
	return s.record(ctx, device, FromWrite, entries)
}

// partial reports whether entries can be written to a part of the node at p.
// POST of one value to a resource is an Execute.
func (s *Server) partial(p lwm2m.Path, entries []lwm2m.Entry) bool {
	if p.Len() != 3 {
		return p.Len() == 2
	}
	info, _ := s.o.Schema.Resource(p.Object(), p.ID(2))
	whole := slices.ContainsFunc(entries, func(e lwm2m.Entry) bool { return e.Path == p })
	return info.Multiple && len(entries) > 0 && !whole
}

// put sends entries below p in the formats that suit the device.
func (s *Server) put(ctx context.Context, c *call, method coap.Code, p lwm2m.Path, entries []lwm2m.Entry,
) (*coap.Response, error) {
	kind := lwm2m.KindOf(s.o.Schema, p)
	formats := codec.ChooseWrite(c.registration.Version, c.registration.Formats, p.Own(), kind)
	if unnamed(p, entries) && slices.Contains(c.registration.Formats, codec.TLV) {
		formats = slices.Insert(formats, 0, codec.TLV)
	}
	return inFormats(formats, func(f uint16) (*coap.Response, error) {
		body, err := s.encodeBelow(c.registration, f, p, entries)
		if err != nil {
			return nil, err
		}
		r := c.request(method, p)
		r.ContentFormat, r.Payload = coap.FormatID(f), body
		return s.do(ctx, c, r)
	})
}

// Delete deletes an object instance (§6.3.7) or, from 1.2 on, a resource
// instance.
func (s *Server) Delete(ctx context.Context, device fleet.ID, p lwm2m.Path) error {
	if p.Len() != lwm2m.MaxDepth {
		if err := deep(p, 2, 2); err != nil {
			return err
		}
	}
	return s.plain(ctx, device, "delete", p, func(c *call) (*coap.Request, error) {
		if p.Len() == lwm2m.MaxDepth && c.registration.Version != lwm2m.Version12 {
			return nil, ErrUnsupported
		}
		return c.request(coap.DELETE, p), c.reaches(p)
	})
}

// Execute executes a resource (§6.3.5); args is as lwm2m.Arguments writes it, ""
// for none. It also returns lwm2m.ErrArguments.
func (s *Server) Execute(ctx context.Context, device fleet.ID, p lwm2m.Path, args string) error {
	if err := deep(p, 3, 3); err != nil {
		return err
	}
	if _, err := lwm2m.ParseArguments(args); err != nil {
		return err
	}
	return s.plain(ctx, device, "execute", p, func(c *call) (*coap.Request, error) {
		r := c.request(coap.POST, p)
		if args != "" {
			r.ContentFormat, r.Payload = coap.FormatID(codec.Text), []byte(args)
		}
		return r, c.reaches(p)
	})
}

// WriteAttributes sets attributes of the node at p (§6.3.4); query is "pmin=10"
// and so on, "pmin" alone to unset it. It also returns lwm2m.ErrQuery and
// lwm2m.ErrAttribute.
func (s *Server) WriteAttributes(ctx context.Context, device fleet.ID, p lwm2m.Path, query []string) error {
	if err := deep(p, 1, lwm2m.MaxDepth); err != nil {
		return err
	}
	a, err := lwm2m.ParseAttributes(query)
	if err != nil {
		return err
	}
	if len(a) == 0 { // a PUT without query and body would be a Write
		return fmt.Errorf("%w: none", lwm2m.ErrAttribute)
	}
	if err := a.Check(); err != nil {
		return err
	}
	if err := a.Applicable(p, lwm2m.KindOf(s.o.Schema, p)); err != nil {
		return err
	}
	return s.plain(ctx, device, "write attributes", p, func(c *call) (*coap.Request, error) {
		r := c.request(coap.PUT, p)
		r.Query = a.Query()
		return r, c.reaches(p)
	})
}

// plain sends the request that build makes, whose answer carries nothing.
func (s *Server) plain(ctx context.Context, device fleet.ID, what string, p lwm2m.Path,
	build func(*call) (*coap.Request, error),
) error {
	limited, c, err := s.reach(ctx, device)
	if err != nil {
		return err
	}
	defer s.finish(c)
	r, err := build(c)
	if err == nil {
		_, err = s.do(limited, c, r)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, p, err)
	}
	return nil
}

// Discover lists what the device has below p, with attributes (§6.3.2). Targets
// are paths; a device with an alternate path prefixes them, and that is removed.
func (s *Server) Discover(ctx context.Context, device fleet.ID, p lwm2m.Path) ([]linkformat.Link, error) {
	return s.DiscoverTo(ctx, device, p, defaultDepth)
}

const (
	// defaultDepth leaves the depth of a Discover to the device: two levels of an
	// object, one of anything else (§6.3.2).
	defaultDepth = -1
	// maxDiscover is the largest depth that a Discover can ask for.
	maxDiscover = 3
)

// DiscoverTo is Discover for as many levels below p as depth says, 0 to 3 (from 1.2
// on). It also returns lwm2m.ErrQuery.
func (s *Server) DiscoverTo(ctx context.Context, device fleet.ID, p lwm2m.Path, depth int) ([]linkformat.Link, error) {
	if err := deep(p, 1, 3); err != nil {
		return nil, err
	}
	if depth < defaultDepth || depth > maxDiscover {
		return nil, fmt.Errorf("%w: depth %d", lwm2m.ErrQuery, depth)
	}
	limited, c, err := s.reach(ctx, device)
	if err != nil {
		return nil, err
	}
	defer s.finish(c)
	if depth >= 0 && c.registration.Version != lwm2m.Version12 {
		return nil, fmt.Errorf("%w: depth of a Discover", ErrUnsupported)
	}
	links, err := s.discover(limited, c, p, depth)
	if err != nil {
		return nil, fmt.Errorf("discover %s: %w", p, err)
	}
	return links, nil
}

func (s *Server) discover(ctx context.Context, c *call, p lwm2m.Path, depth int) ([]linkformat.Link, error) {
	if err := c.reaches(p); err != nil {
		return nil, err
	}
	r := c.request(coap.GET, p)
	if depth >= 0 {
		r.Query = []string{"depth=" + strconv.Itoa(depth)}
	}
	r.Accept = coap.FormatID(codec.Link)
	res, err := s.do(ctx, c, r)
	if err != nil {
		return nil, err
	}
	if f, ok := res.ContentFormat.ID(); ok && f != codec.Link {
		return nil, fmt.Errorf("%w: format %d for links", ErrAnswer, f)
	}
	links, err := linkformat.Parse(string(res.Payload))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return pathsBelow(links, c.registration.Root, p), nil
}
