package server

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/linkformat"
)

// Limits of a registration: far above what devices send, far below what hurts.
const (
	maxLinks         = 2048             // objects and instances of one device
	maxUnknown       = 16               // unknown parameters kept
	maxParameter     = 256              // bytes of one parameter
	defaultLifetime  = 86400            // seconds, for 1.0 clients that name none (§6.2.1)
	maxLifetime      = 10 * 365 * 86400 // seconds; also stands for 0, which means for ever
	locationSegments = 2                // "rd" and the id
)

// ErrParameter reports a Register or Update that cannot be read; 4.00.
var ErrParameter = errors.New("bad registration parameter")

// A Registration is what a device said of itself (§6.2).
type Registration struct {
	ID       string // last segment of the location: opaque, unguessable, 22 bytes
	Device   fleet.ID
	Endpoint lwm2m.Endpoint
	Version  lwm2m.Version
	Lifetime time.Duration // whole seconds
	Binding  string        // letters of §6.2.1.2; "U" if the device named none
	Queue    bool          // queue mode
	SMS      string
	Root     string // alternate path without trailing slash; "" is the usual root
	Formats  []uint16
	Objects  []ObjectLink
	Unknown  []string // "name=value" parameters that we do not know, as they came
	Address  string   // where the last message came from

	RegisteredAt, UpdatedAt, ExpiresAt time.Time
}

// An ObjectLink is one link of the body: an object without instances, or one
// object instance.
type ObjectLink struct {
	Path    lwm2m.Path // one or two ids
	Version string     // "ver" of the link; "" if it has none
}

// Has reports whether the device said it has the object instance, or object, p.
func (r Registration) Has(p lwm2m.Path) bool {
	return slices.ContainsFunc(r.Objects, func(o ObjectLink) bool { return p.Contains(o.Path) })
}

// parameters are those of a Register or Update; nil means absent.
type parameters struct {
	endpoint, version, binding, sms *string
	lifetime                        *time.Duration
	queue                           bool
	unknown                         []string
}

// parseQuery reads the Uri-Query options. A parameter that comes twice is an
// error: the two sides would each believe another one.
func parseQuery(query []string) (p parameters, err error) {
	seen := map[string]bool{}
	for _, q := range query {
		name, value, _ := strings.Cut(q, "=")
		if seen[name] || len(q) > maxParameter {
			return p, fmt.Errorf("%w: %.40q twice or too long", ErrParameter, name)
		}
		seen[name] = true
		switch name {
		case "ep":
			p.endpoint = &value
		case "lwm2m":
			p.version = &value
		case "b":
			p.binding = &value
		case "sms":
			p.sms = &value
		case "Q":
			p.queue = true
		case "lt":
			seconds, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return p, fmt.Errorf("%w: lt %.40q", ErrParameter, value)
			}
			p.lifetime = lifetime(seconds)
		default:
			if len(p.unknown) < maxUnknown {
				p.unknown = append(p.unknown, q)
			}
		}
	}
	return p, nil
}

func lifetime(seconds uint64) *time.Duration {
	if seconds == 0 || seconds > maxLifetime {
		seconds = maxLifetime
	}
	d := time.Duration(seconds) * time.Second //nolint:gosec // G115: bounded above
	return &d
}

// newRegistration makes a registration of a Register's parameters and body.
func newRegistration(p parameters, body []byte) (Registration, error) {
	r := Registration{Binding: "U", Queue: p.queue, Unknown: p.unknown}
	var text string
	if p.version != nil {
		text = *p.version
	}
	var err error
	if r.Version, err = lwm2m.ParseVersion(text); err != nil {
		return r, err
	}
	if p.lifetime == nil {
		if r.Version != lwm2m.Version10 {
			return r, fmt.Errorf("%w: lt is required from LwM2M 1.1 on", ErrParameter)
		}
		p.lifetime = lifetime(defaultLifetime)
	}
	if err := r.apply(p); err != nil {
		return r, err
	}
	return r, r.applyLinks(body)
}

// apply takes over what an Update may change too.
func (r *Registration) apply(p parameters) error {
	if p.lifetime != nil {
		r.Lifetime = *p.lifetime
	}
	if p.sms != nil {
		r.SMS = *p.sms
	}
	if p.binding == nil {
		return nil
	}
	letters, legal := *p.binding, "UTSNMH"
	if r.Version == lwm2m.Version10 { // queue mode is a letter there
		r.Queue = strings.Contains(letters, "Q")
		letters = strings.ReplaceAll(letters, "Q", "")
	}
	if letters == "" || strings.Trim(letters, legal) != "" {
		return fmt.Errorf("%w: binding %.20q", ErrParameter, *p.binding)
	}
	r.Binding = letters
	return nil
}

// applyLinks replaces the object list (§6.2.1, Content-Format 40).
func (r *Registration) applyLinks(body []byte) error {
	links, err := linkformat.Parse(string(body))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrParameter, err)
	}
	if len(links) > maxLinks {
		return fmt.Errorf("%w: %d links", ErrParameter, len(links))
	}
	r.Objects, r.Formats, r.Root = nil, nil, ""
	for _, l := range links {
		if value, ok := attribute(l, "rt"); ok && value == "oma.lwm2m" {
			r.Root = strings.TrimSuffix(l.Target, "/")
			r.Formats = formats(l)
		}
	}
	for _, l := range links {
		path, ok := r.objectPath(l.Target)
		if !ok {
			continue // other resources of the device are none of our business
		}
		version, _ := attribute(l, "ver")
		r.Objects = append(r.Objects, ObjectLink{Path: path, Version: version})
	}
	slices.SortFunc(r.Objects, func(a, b ObjectLink) int { return a.Path.Compare(b.Path) })
	return nil
}

// objectPath reads a link target as an object or object instance below Root.
func (r *Registration) objectPath(target string) (lwm2m.Path, bool) {
	rest, ok := strings.CutPrefix(target, r.Root)
	rest = strings.TrimSuffix(rest, "/")
	if !ok || rest == "" {
		return lwm2m.Path{}, false
	}
	p, err := lwm2m.ParsePath(rest)
	return p, err == nil && p.Len() <= 2
}

func attribute(l linkformat.Link, name string) (string, bool) {
	for _, a := range l.Attributes {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// formats reads "ct" of the root link: numbers separated by spaces.
func formats(l linkformat.Link) (out []uint16) {
	value, _ := attribute(l, "ct")
	for _, f := range strings.Fields(value) {
		if n, err := strconv.ParseUint(f, 10, 16); err == nil {
			out = append(out, uint16(n))
		}
	}
	return out
}

// rootSegments are the Uri-Path segments before those of a path.
func (r *Registration) rootSegments() []string {
	if r.Root == "" {
		return nil
	}
	parts := strings.Split(strings.TrimPrefix(r.Root, "/"), "/")
	for i, s := range parts {
		if u, err := url.PathUnescape(s); err == nil {
			parts[i] = u
		}
	}
	return parts
}
