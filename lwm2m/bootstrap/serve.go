package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
)

// ErrRequest reports parameters of a Bootstrap-Request that cannot be read; 4.00.
var ErrRequest = errors.New("bad bootstrap request")

// packFormats are those in which a whole configuration can be written, and which
// a device may prefer (§6.1.7.1).
var packFormats = []uint16{codec.SenMLJSON, codec.SenMLCBOR, codec.LwM2MCBOR}

// A hello is what a device says of itself.
type hello struct {
	device   fleet.ID
	endpoint lwm2m.Endpoint
	format   uint16 // preferred; meaningful if has
	has      bool
}

// ServeCoAP answers POST /bs (§6.1.7.1) and GET /bspack (§6.1.7.2).
func (s *Server) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	switch {
	case len(r.Path) != 1:
		return &coap.Response{Code: coap.NotFound}
	case r.Path[0] == "bs" && r.Method == coap.POST:
		return s.begin(ctx, r)
	case r.Path[0] == "bspack" && r.Method == coap.GET:
		return s.pack(ctx, r)
	case r.Path[0] == "bs", r.Path[0] == "bspack":
		return &coap.Response{Code: coap.MethodNotAllowed}
	}
	return &coap.Response{Code: coap.NotFound}
}

// begin answers a Bootstrap-Request; the session begins when the answer has left.
func (s *Server) begin(ctx context.Context, r *coap.Request) *coap.Response {
	h, err := s.read(ctx, r)
	if err != nil {
		return s.refuse(ctx, r, err)
	}
	c, err := s.configuration(ctx, h.device)
	if err != nil {
		return s.refuse(ctx, r, err)
	}
	if len(s.jobs) == cap(s.jobs) {
		return &coap.Response{Code: coap.ServiceUnavailable, MaxAge: coap.MaxAgeSeconds(busySeconds)}
	}
	x := &session{
		hello: h, peer: r.Peer, wanted: c, over: make(chan struct{}),
		report: Report{
			Device: h.device, Endpoint: h.endpoint, Address: r.Peer.Addr().String(), State: Asked, StartedAt: time.Now(),
		},
	}
	x.report.add(x.report.StartedAt, "Bootstrap-Request", coap.Changed.String(), "")
	if err := s.o.Store.Keep(ctx, x.report); err != nil {
		return s.refuse(ctx, r, err)
	}
	return &coap.Response{Code: coap.Changed, Sent: func() { s.enqueue(context.WithoutCancel(ctx), x) }}
}

// busySeconds is when a device that found us busy may come again.
const busySeconds = 30

// enqueue gives a session to a worker. A device that began anew has lost the
// session before.
func (s *Server) enqueue(ctx context.Context, x *session) {
	s.mu.Lock()
	if x.before = s.current[x.device]; x.before != nil && x.before.cancel != nil {
		x.before.cancel()
	}
	s.current[x.device] = x
	s.mu.Unlock()
	select {
	case s.jobs <- x:
	default: // the last place went to another meanwhile: the device comes again
		s.o.Log.LogAttrs(ctx, slog.LevelWarn, "bootstrap dropped, too many at once",
			slog.String("endpoint", string(x.endpoint)))
		s.forget(x)
		close(x.over)
	}
}

// read reads what a Bootstrap-Request and a Bootstrap-Pack-Request have in common.
func (s *Server) read(ctx context.Context, r *coap.Request) (h hello, err error) {
	list, err := lwm2m.ParseQuery(r.Query)
	if err != nil {
		return h, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	who := r.Peer.Identity()
	name := who.Name // §6.1.7.1: may be left out from 1.1 on when it is the identity
	for _, q := range list {
		switch q.Name {
		case "ep":
			name = q.Value
		case "pct":
			format, err := strconv.ParseUint(q.Value, 10, 16)
			if err != nil {
				return h, fmt.Errorf("%w: pct %.20q", ErrRequest, q.Value)
			}
			h.format, h.has = uint16(format), true
		}
	}
	if h.endpoint, err = lwm2m.ParseEndpoint(name); err != nil {
		return h, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if h.has && h.format != codec.TLV && !slices.Contains(packFormats, h.format) {
		return h, fmt.Errorf("%w: pct %d", codec.ErrFormat, h.format)
	}
	h.device, err = s.o.Identify(ctx, who, h.endpoint)
	return h, err
}

// configuration returns what a device is to hold, checked.
func (s *Server) configuration(ctx context.Context, device fleet.ID) (Configuration, error) {
	c, err := s.o.Configure(ctx, device)
	if err != nil {
		return c, err
	}
	return c, c.Check()
}

// refuse is the one table of errors and codes (§6.1.7.1).
func (s *Server) refuse(ctx context.Context, r *coap.Request, err error) *coap.Response {
	res := &coap.Response{Code: coap.InternalServerError}
	for _, row := range []struct {
		err  error
		code coap.Code
	}{
		{ErrRequest, coap.BadRequest},
		{ErrIdentity, coap.BadRequest},
		{ErrNoConfiguration, coap.BadRequest},
		{ErrUnauthorized, coap.Unauthorized},
		{codec.ErrFormat, coap.UnsupportedContentFormat},
	} {
		if errors.Is(err, row.err) {
			res.Code, res.Payload = row.code, []byte(row.err.Error())
			break
		}
	}
	level := slog.LevelInfo
	if res.Code == coap.InternalServerError {
		level = slog.LevelError
	}
	s.o.Log.LogAttrs(ctx, level, "bootstrap refused", slog.String("peer", r.Peer.String()), slog.Any("error", err))
	return res
}
