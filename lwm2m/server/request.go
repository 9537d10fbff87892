package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

var (
	// ErrAnswer reports an answer of a device that cannot be understood.
	ErrAnswer = errors.New("unreadable answer of the device")
	// ErrUnsupported reports an operation that the LwM2M version of the device
	// does not have.
	ErrUnsupported = errors.New("operation unknown to the device's LwM2M version")
)

// A ResponseError is an answer of a device other than success.
type ResponseError struct {
	Code       coap.Code
	Diagnostic string // text of the device, valid UTF-8; untrusted
}

// Error implements error.
func (e *ResponseError) Error() string {
	if e.Diagnostic == "" {
		return "device answered " + e.Code.String()
	}
	return fmt.Sprintf("device answered %s: %q", e.Code, e.Diagnostic)
}

// success returns a *ResponseError for an answer that is none.
func success(r *coap.Response) error {
	if r.Code.IsSuccess() {
		return nil
	}
	e := &ResponseError{Code: r.Code}
	if f, ok := r.ContentFormat.ID(); !ok || f == codec.Text {
		e.Diagnostic = diagnostic(string(r.Payload[:min(len(r.Payload), maxDiagnostic)]))
	}
	return e
}

// request makes a request on the node at p, below the device's root.
func (c *call) request(method coap.Code, p lwm2m.Path) *coap.Request {
	return &coap.Request{Method: method, Path: append(c.registration.rootSegments(), p.Segments()...)}
}

// reaches checks that the device's version can name the node at p (§7.2), and that
// there can be devices behind it if p is of one.
func (c *call) reaches(p lwm2m.Path) error {
	if p.Gateway() != "" && !gateway(c.registration.Objects) {
		return fmt.Errorf("%w: %s of a device that is no gateway", ErrUnsupported, p)
	}
	if p.Len() == lwm2m.MaxDepth && c.registration.Version == lwm2m.Version10 {
		return fmt.Errorf("%w: %s in LwM2M 1.0", ErrUnsupported, p)
	}
	return nil
}

// deep checks the depth of the path of an operation, which would be another
// operation at another depth.
func deep(p lwm2m.Path, least, most int) error {
	if p.Len() < least || p.Len() > most {
		return fmt.Errorf("%w: %s has %d identifiers, want %d to %d", lwm2m.ErrPath, p, p.Len(), least, most)
	}
	return nil
}

// inFormats runs try with the formats, best first. One that the device refuses
// (4.06, 4.15) is followed by the next, once; one that cannot hold the values
// was never tried.
func inFormats(formats []uint16, try func(format uint16) (*coap.Response, error)) (*coap.Response, error) {
	last := codec.ErrFormat
	refusals := 0
	for _, f := range formats {
		res, err := try(f)
		var refused *ResponseError
		switch {
		case err == nil:
			return res, nil
		case errors.Is(err, codec.ErrFormat):
			if refusals == 0 {
				last = err
			}
			continue
		case !errors.As(err, &refused) ||
			refused.Code != coap.NotAcceptable && refused.Code != coap.UnsupportedContentFormat:
			return nil, err
		}
		last = err
		if refusals++; refusals > 1 {
			break
		}
	}
	return nil, last
}

// readable returns the formats in which to ask for the node at p.
func (s *Server) readable(c *call, p lwm2m.Path) []uint16 {
	return codec.Choose(c.registration.Version, c.registration.Formats, p.Own(), lwm2m.KindOf(s.o.Schema, p))
}

// do sends one request and wants success.
func (s *Server) do(ctx context.Context, c *call, r *coap.Request) (*coap.Response, error) {
	res, err := s.o.Exchanger.Do(ctx, c.peer, r)
	s.outcome(c, err)
	if err != nil {
		return nil, why(ctx, err)
	}
	if s.disowned(c, res) {
		return nil, ErrUnreachable
	}
	return res, success(res)
}

// options are those of the codec for a device.
func (s *Server) options(r Registration) codec.Options {
	return codec.Options{Prefix: r.prefix(), Now: time.Now()}
}

// decode reads an answer about the node at p by the format that it names (§7.5:
// decode what came, not what was asked for).
func (s *Server) decode(reg Registration, p lwm2m.Path, res *coap.Response) ([]lwm2m.Entry, error) {
	f, ok := res.ContentFormat.ID()
	if !ok && len(res.Payload) == 0 {
		return nil, nil
	}
	entries, err := s.decodeBelow(reg, f, p, res.Payload)
	if err == nil {
		err = inside(entries, p)
	}
	if err != nil {
		s.unreadable(reg, p, err)
		// Only text: ErrFormat would look like a format that we cannot send.
		return nil, fmt.Errorf("%w: %s", ErrAnswer, err.Error())
	}
	return entries, nil
}

// inside checks that entries are values at or below p: formats with whole names
// can hold any (§7.5).
func inside(entries []lwm2m.Entry, p lwm2m.Path) error {
	for _, e := range entries {
		if !p.Contains(e.Path) || e.Path.Len() < 3 || e.Path.ID(1) == lwm2m.NoID || e.Value == (lwm2m.Value{}) {
			return fmt.Errorf("%w: %s is no value of %s", codec.ErrSyntax, e.Path, p)
		}
	}
	return nil
}

// trimRoot returns the Location-Path of a Create at base below the alternate path and
// the prefix of base, either of which may be missing.
func (c *call) trimRoot(location []string, base lwm2m.Path) []string {
	root := c.registration.rootSegments()
	if prefix := base.Gateway(); prefix != "" {
		location = trimSegments(location, append(root, prefix))
		root = []string{prefix}
	}
	return trimSegments(location, root)
}

func trimSegments(location, root []string) []string {
	if len(location) > len(root) && strings.Join(location[:len(root)], "/") == strings.Join(root, "/") {
		return location[len(root):]
	}
	return location
}
