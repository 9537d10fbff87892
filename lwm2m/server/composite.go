package server

import (
	"context"
	"fmt"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
)

// ReadComposite reads several nodes by one request (§6.3.8, from 1.1 on); the root
// is one. What a device does not have, or does not let us read, is missing from its
// answer. It keeps the values as the last known ones.
func (s *Server) ReadComposite(ctx context.Context, device fleet.ID, paths []lwm2m.Path) ([]lwm2m.Entry, error) {
	if err := several(paths); err != nil {
		return nil, err
	}
	limited, c, err := s.reach(ctx, device)
	if err != nil {
		return nil, err
	}
	defer s.finish(c)
	if err := c.composes(paths); err != nil {
		return nil, err
	}
	res, err := s.fetch(c, paths, func(r *coap.Request) (*coap.Response, error) { return s.do(limited, c, r) })
	var entries []lwm2m.Entry
	if err == nil {
		entries, err = s.decodeComposite(c.registration, paths, res)
	}
	if err != nil {
		return nil, fmt.Errorf("read composite: %w", err)
	}
	return entries, s.record(ctx, device, FromRead, entries)
}

// composes checks that the device's version has composite operations.
func (c *call) composes(paths []lwm2m.Path) error {
	if c.registration.Version == lwm2m.Version10 {
		return fmt.Errorf("%w: composite operations in LwM2M 1.0", ErrUnsupported)
	}
	for _, p := range paths {
		if err := c.reaches(p); err != nil {
			return err
		}
	}
	return oneDevice(paths)
}

// fetch sends a FETCH of paths in the formats that suit the device: after 4.15 in the
// next for the body, after 4.06 in the next for the answer, once.
func (s *Server) fetch(c *call, paths []lwm2m.Path, send func(*coap.Request) (*coap.Response, error),
) (*coap.Response, error) {
	v, announced := c.registration.Version, c.registration.Formats
	bodies, answers := codec.ChoosePaths(v, announced), codec.ChooseComposite(v, announced)
	body, answer := 0, 0
	for again := true; ; again = false {
		payload, err := s.encodePaths(c.registration, bodies[body], paths)
		if err != nil {
			return nil, err
		}
		r := c.request(coap.FETCH, lwm2m.Path{})
		r.ContentFormat, r.Accept, r.Payload = coap.FormatID(bodies[body]), coap.FormatID(answers[answer]), payload
		res, err := send(r)
		switch {
		case again && isCode(err, coap.UnsupportedContentFormat):
			body++
		case again && isCode(err, coap.NotAcceptable):
			answer++
		default:
			return res, err
		}
	}
}

// decodeComposite reads the answer to a FETCH of paths. Values that were not asked
// for make it unreadable.
func (s *Server) decodeComposite(reg Registration, paths []lwm2m.Path, res *coap.Response) ([]lwm2m.Entry, error) {
	entries, err := s.decode(reg, lwm2m.Path{}.Under(paths[0]), res)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !slices.ContainsFunc(paths, func(p lwm2m.Path) bool { return p.Contains(e.Path) }) {
			return nil, fmt.Errorf("%w: %s was not asked for", ErrAnswer, e.Path)
		}
	}
	return entries, nil
}

// WriteComposite writes values of several nodes by one request, all or none (§6.3.9,
// from 1.1 on). An entry of a resource instance with the zero Value deletes it, from
// 1.2 on. It keeps what the device accepted as the last known values.
func (s *Server) WriteComposite(ctx context.Context, device fleet.ID, entries []lwm2m.Entry) error {
	paths := make([]lwm2m.Path, len(entries))
	for i, e := range entries {
		if err := deep(e.Path, 3, lwm2m.MaxDepth); err != nil {
			return err
		}
		paths[i] = e.Path
	}
	if err := (lwm2m.Pack{Entries: entries}).Distinct(); err != nil || len(entries) == 0 {
		return fmt.Errorf("%w: %d values: %w", lwm2m.ErrPath, len(entries), err)
	}
	limited, c, err := s.reach(ctx, device)
	if err != nil {
		return err
	}
	defer s.finish(c)
	deletes := slices.ContainsFunc(entries, func(e lwm2m.Entry) bool { return e.Value == (lwm2m.Value{}) })
	if err := c.composes(paths); err != nil {
		return err
	}
	if deletes && c.registration.Version != lwm2m.Version12 {
		return fmt.Errorf("%w: deletion by Write-Composite", ErrUnsupported)
	}
	formats := codec.ChooseCompositeWrite(c.registration.Version, c.registration.Formats, deletes)
	_, err = inFormats(formats, func(f uint16) (*coap.Response, error) {
		body, err := s.encodeBelow(c.registration, f, lwm2m.Path{}.Under(paths[0]), entries)
		if err != nil {
			return nil, err
		}
		r := c.request(coap.IPATCH, lwm2m.Path{})
		r.ContentFormat, r.Payload = coap.FormatID(f), body
		return s.do(limited, c, r)
	})
	if err != nil {
		return fmt.Errorf("write composite: %w", err)
	}
	return s.record(ctx, device, FromWrite, entries)
}
