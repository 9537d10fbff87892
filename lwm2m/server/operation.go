package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
	"steward/lwm2m/linkformat"
)

// A ResponseError is an answer of a device other than success.
type ResponseError struct {
	Code       coap.Code
	Diagnostic string // text of the device; untrusted
}

// Error implements error.
func (e *ResponseError) Error() string {
	if e.Diagnostic == "" {
		return "device answered " + e.Code.String()
	}
	return fmt.Sprintf("device answered %s: %.200q", e.Code, e.Diagnostic)
}

// maxDiagnostic bounds the text that is kept of a device's error answer.
const maxDiagnostic = 200

// success returns a *ResponseError for an answer that is none.
func success(r *coap.Response) error {
	if r.Code.IsSuccess() {
		return nil
	}
	e := &ResponseError{Code: r.Code}
	if f, ok := r.ContentFormat.ID(); !ok || f == codec.Text {
		e.Diagnostic = string(r.Payload[:min(len(r.Payload), maxDiagnostic)])
	}
	return e
}

// session returns the live session of a device: ErrNotRegistered or
// ErrUnreachable if there is none.
func (s *Server) session(ctx context.Context, device fleet.ID) (*session, error) {
	s.mu.Lock()
	live := s.live[device]
	s.mu.Unlock()
	if live != nil {
		return live, nil
	}
	if _, err := s.o.Store.OfDevice(ctx, device); err != nil {
		return nil, err
	}
	return nil, ErrUnreachable
}

func (s *Server) request(live *session, method coap.Code, p lwm2m.Path) *coap.Request {
	return &coap.Request{Method: method, Path: append(live.registration.rootSegments(), p.Segments()...)}
}

// inFormats runs do with the formats that suit the device, best first: one that
// the device refuses (4.06, 4.15) is followed by the next, once. use takes the
// answer of the one that worked.
func (s *Server) inFormats(live *session, p lwm2m.Path, do func(format uint16) (*coap.Response, error),
	use func(*coap.Response) error,
) (*coap.Response, error) {
	const tries = 2
	var last error
	formats := codec.Choose(live.registration.Version, live.registration.Formats, p, lwm2m.KindOf(s.o.Schema, p))
	for _, f := range formats[:min(tries, len(formats))] {
		res, err := do(f)
		var refused *ResponseError
		if errors.As(err, &refused) &&
			(refused.Code == coap.NotAcceptable || refused.Code == coap.UnsupportedContentFormat) {
			last = err
			continue
		}
		if err != nil {
			return nil, err
		}
		return res, use(res)
	}
	if last == nil {
		last = codec.ErrFormat
	}
	return nil, last
}

// do sends one request and wants success.
func (s *Server) do(ctx context.Context, live *session, r *coap.Request) (*coap.Response, error) {
	res, err := s.o.Exchanger.Do(ctx, live.peer, r)
	if err != nil {
		return nil, err
	}
	return res, success(res)
}

// decode reads an answer by the format that it names (§7.5: decode what came,
// not what was asked for).
func (s *Server) decode(p lwm2m.Path, res *coap.Response) ([]lwm2m.Entry, error) {
	f, ok := res.ContentFormat.ID()
	if !ok && len(res.Payload) == 0 {
		return nil, nil
	}
	return codec.Decode(f, p, res.Payload, s.o.Schema)
}

// Read reads an object, object instance, resource or resource instance
// (§6.3.1). It keeps the values as the last known ones.
func (s *Server) Read(ctx context.Context, device fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	live, err := s.session(ctx, device)
	if err != nil {
		return nil, err
	}
	var entries []lwm2m.Entry
	_, err = s.inFormats(live, p, func(f uint16) (*coap.Response, error) {
		r := s.request(live, coap.GET, p)
		r.Accept = coap.FormatID(f)
		return s.do(ctx, live, r)
	}, func(res *coap.Response) error {
		entries, err = s.decode(p, res)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return entries, s.o.Store.Record(ctx, device, FromRead, entries, time.Now())
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
func (s *Server) Write(ctx context.Context, device fleet.ID, p lwm2m.Path, entries []lwm2m.Entry, m Mode) error {
	live, err := s.session(ctx, device)
	if err != nil {
		return err
	}
	method := coap.PUT
	if m == Update {
		method = coap.POST
	}
	if err := s.put(ctx, live, method, p, entries, nil); err != nil {
		return fmt.Errorf("write %s: %w", p, err)
	}
	return s.o.Store.Record(ctx, device, FromWrite, entries, time.Now())
}

// Create creates an object instance (§6.3.6) and returns its id. If instance is
// negative the device chooses.
func (s *Server) Create(ctx context.Context, device fleet.ID, object uint16, instance int,
	entries []lwm2m.Entry,
) (lwm2m.Path, error) {
	live, err := s.session(ctx, device)
	if err != nil {
		return lwm2m.Path{}, err
	}
	base := lwm2m.NewPath(object)
	made := base
	if instance >= 0 {
		made = base.Child(uint16(instance)) //nolint:gosec // G115: the caller's id
	} else {
		made = base.Child(lwm2m.NoID)
	}
	moved := make([]lwm2m.Entry, 0, len(entries))
	for _, e := range entries {
		p := made
		for i := 2; i < e.Path.Len(); i++ {
			p = p.Child(e.Path.ID(i))
		}
		moved = append(moved, lwm2m.Entry{Path: p, Value: e.Value})
	}
	err = s.put(ctx, live, coap.POST, base, moved, func(res *coap.Response) error {
		if instance >= 0 {
			return nil
		}
		n := len(res.LocationPath)
		if n < 2 { //nolint:mnd // object and instance
			return fmt.Errorf("%w: no Location-Path", lwm2m.ErrPath)
		}
		made, err = lwm2m.ParseSegments(res.LocationPath[n-2:])
		return err
	})
	if err != nil {
		return lwm2m.Path{}, fmt.Errorf("create %s: %w", base, err)
	}
	return made, nil
}

// put sends entries below p in the formats that suit the device.
func (s *Server) put(ctx context.Context, live *session, method coap.Code, p lwm2m.Path, entries []lwm2m.Entry,
	use func(*coap.Response) error,
) error {
	if use == nil {
		use = func(*coap.Response) error { return nil }
	}
	_, err := s.inFormats(live, p, func(f uint16) (*coap.Response, error) {
		body, err := codec.Encode(f, p, entries, s.o.Schema)
		if err != nil {
			return nil, err
		}
		r := s.request(live, method, p)
		r.ContentFormat, r.Payload = coap.FormatID(f), body
		return s.do(ctx, live, r)
	}, use)
	return err
}

// Delete deletes an object instance (§6.3.7).
func (s *Server) Delete(ctx context.Context, device fleet.ID, p lwm2m.Path) error {
	return s.plain(ctx, device, "delete", coap.DELETE, p, func(*coap.Request) {})
}

// Execute executes a resource (§6.3.5); args is as lwm2m.FormatArguments writes
// it, "" for none.
func (s *Server) Execute(ctx context.Context, device fleet.ID, p lwm2m.Path, args string) error {
	return s.plain(ctx, device, "execute", coap.POST, p, func(r *coap.Request) {
		if args != "" {
			r.ContentFormat, r.Payload = coap.FormatID(codec.Text), []byte(args)
		}
	})
}

// WriteAttributes sets attributes (§6.3.4); query is "pmin=10" and so on.
func (s *Server) WriteAttributes(ctx context.Context, device fleet.ID, p lwm2m.Path, query []string) error {
	return s.plain(ctx, device, "write attributes", coap.PUT, p, func(r *coap.Request) { r.Query = query })
}

// plain sends a request whose answer carries nothing.
func (s *Server) plain(ctx context.Context, device fleet.ID, what string, method coap.Code, p lwm2m.Path,
	fill func(*coap.Request),
) error {
	live, err := s.session(ctx, device)
	if err != nil {
		return err
	}
	r := s.request(live, method, p)
	fill(r)
	if _, err := s.do(ctx, live, r); err != nil {
		return fmt.Errorf("%s %s: %w", what, p, err)
	}
	return nil
}

// Discover lists what the device has below p, with attributes (§6.3.2).
func (s *Server) Discover(ctx context.Context, device fleet.ID, p lwm2m.Path) ([]linkformat.Link, error) {
	live, err := s.session(ctx, device)
	if err != nil {
		return nil, err
	}
	r := s.request(live, coap.GET, p)
	r.Accept = coap.FormatID(codec.Link)
	res, err := s.do(ctx, live, r)
	if err != nil {
		return nil, fmt.Errorf("discover %s: %w", p, err)
	}
	return linkformat.Parse(string(res.Payload))
}

// decodeSend reads the body of a Send: SenML, or LwM2M CBOR from 1.2 on.
func decodeSend(format uint16, body []byte, schema lwm2m.Schema) ([]lwm2m.Entry, error) {
	switch format {
	case codec.SenMLJSON, codec.SenMLCBOR, codec.LwM2MCBOR:
	default:
		return nil, fmt.Errorf("%w: %d for Send", codec.ErrFormat, format)
	}
	entries, err := codec.Decode(format, lwm2m.Path{}, body, schema)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	return entries, nil
}
