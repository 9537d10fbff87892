package server

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// defaultLifetime is that of 1.0 clients that name none (§6.2.1).
const defaultLifetime = 86400 * time.Second

// Errors of a Register or Update.
var (
	// ErrParameter reports one that cannot be read; 4.00.
	ErrParameter = errors.New("bad registration parameter")
	// ErrProfile reports a Register whose objects depend on a profile that we do not
	// know (§6.2.1); 4.09.
	ErrProfile = errors.New("unknown profile id")
)

// A Registration is what a device said of itself (§6.2).
type Registration struct {
	ID       string // last segment of the location: opaque, unguessable, 22 bytes
	Device   fleet.ID
	Endpoint lwm2m.Endpoint
	Version  lwm2m.Version
	Lifetime time.Duration // whole seconds; 0: for ever
	Binding  string        // letters of §6.2.1.2 without Q; "U" if the device named none
	Queue    bool          // queue mode
	SMS      string
	Root     string       // alternate path as in a link, without trailing slash; "" is the usual root
	Formats  []uint16     // announced in "ct", in the order of the device
	Objects  []ObjectLink // in order of paths, each once
	Unknown  []string     // "name=value" parameters that we do not act upon, as they came
	Address  string       // where the last Register or Update came from

	RegisteredAt, UpdatedAt time.Time
	ExpiresAt               time.Time // zero: never

	// Rhythm is the mean pause between the messages of a device in queue mode, in whole
	// seconds; 0: unknown. Only Refresh stores it.
	Rhythm time.Duration
}

// An ObjectLink is one link of the body: an object, with or without instances,
// or one object instance.
type ObjectLink struct {
	Path    lwm2m.Path // one or two ids
	Version string     // "ver" of the link; "" if it has none
}

// Has reports whether the device said it has the object instance, or object, p.
func (r Registration) Has(p lwm2m.Path) bool {
	return slices.ContainsFunc(r.Objects, func(o ObjectLink) bool { return p.Contains(o.Path) })
}

// defaultVersions are the object versions that a registration need not name
// (§6.2.1); others are 1.0. For /5 the 1.2 text contradicts itself; 1.1 has all
// that clients which leave it out support.
var defaultVersions = map[lwm2m.Version]map[uint16]string{
	lwm2m.Version11: {0: "1.1", 1: "1.1", 3: "1.1", 4: "1.2"},
	lwm2m.Version12: {0: "1.2", 1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3", 5: "1.1", 21: "2.0"},
}

// ObjectVersion returns the version of an object's definition that the device
// implements, and whether it has the object: what the link of the object or of
// an instance says, or else the default of the enabler version.
func (r Registration) ObjectVersion(object uint16) (version string, ok bool) {
	for _, o := range r.Objects {
		if o.Path.Object() != object {
			continue
		}
		ok = true
		if o.Version != "" {
			return o.Version, true
		}
	}
	if !ok {
		return "", false
	}
	if v, special := defaultVersions[r.Version][object]; special {
		return v, true
	}
	return "1.0", true
}

// newRegistration makes a registration of a Register's parameters, but for its objects.
func newRegistration(p parameters, who coap.Identity) (Registration, error) {
	r := Registration{Binding: "U"}
	var err error
	if r.Version, err = p.enabler(); err != nil { // first: a client steps down on 4.12 only
		return r, err
	}
	if r.Endpoint, err = p.name(r.Version, who); err != nil {
		return r, err
	}
	switch {
	case p.lifetime != nil:
	case r.Version == lwm2m.Version10:
		r.Lifetime = defaultLifetime
	default:
		return r, fmt.Errorf("%w: lt is required from LwM2M 1.1 on", ErrParameter)
	}
	return r, r.apply(p)
}

// profiled reports whether "pid" means something: it came with 1.2.
func (r *Registration) profiled(p parameters) bool {
	return p.profile != nil && r.Version == lwm2m.Version12
}

// apply takes over what an Update may change too.
func (r *Registration) apply(p parameters) (err error) {
	if p.lifetime != nil {
		if r.Lifetime, err = parseLifetime(*p.lifetime); err != nil {
			return err
		}
	}
	if p.sms != nil {
		r.SMS = *p.sms
	}
	if p.profile != nil && r.Version == lwm2m.Version12 {
		if _, err = lwm2m.ParseProfiles(*p.profile); err != nil {
			return err
		}
	}
	modern := r.Version != lwm2m.Version10
	if p.binding != nil {
		if r.Binding, r.Queue, err = parseBinding(r.Version, *p.binding, p.tolerant); err != nil {
			return err
		}
	}
	if modern && p.queue {
		r.Queue = true
	}
	if unknown := p.rest(modern); len(unknown) > 0 {
		r.Unknown = unknown
	}
	return nil
}

// rest returns the parameters that we do not act upon. "Q" is unknown in 1.0.
func (p parameters) rest(modern bool) []string {
	out := p.unknown
	if p.queue && !modern {
		out = append(out, "Q")
	}
	if p.profile != nil {
		out = append(out, "pid="+*p.profile)
	}
	return out
}

// update returns the registration as an Update with these parameters makes it, but
// for its objects (§6.2.2).
func (r Registration) update(p parameters) (Registration, error) {
	if p.endpoint != nil && *p.endpoint != string(r.Endpoint) ||
		p.version != nil && *p.version != string(r.Version) {
		return r, fmt.Errorf("%w: ep and lwm2m cannot change by Update", ErrParameter)
	}
	return r, r.apply(p)
}

// same reports whether nothing but times, lifetime and address differ.
func (r Registration) same(o Registration) bool {
	return r.Binding == o.Binding && r.Queue == o.Queue && r.SMS == o.SMS &&
		r.Root == o.Root && slices.Equal(r.Formats, o.Formats) && slices.Equal(r.Objects, o.Objects) &&
		slices.Equal(r.Unknown, o.Unknown)
}

// touch notes a sign of life. Times are what every Store can keep, and only rise.
func (r *Registration) touch(p coap.Peer, now time.Time) {
	now = now.UTC().Truncate(time.Microsecond)
	if !now.After(r.UpdatedAt) {
		now = r.UpdatedAt.Add(time.Microsecond)
	}
	r.UpdatedAt, r.ExpiresAt, r.Address = now, time.Time{}, p.Addr().String()
	if r.Lifetime > 0 {
		r.ExpiresAt = now.Add(r.Lifetime)
	}
}

// refresh returns what a Store is told of a sign of life.
func (r Registration) refresh() Refresh {
	return Refresh{
		ID: r.ID, Device: r.Device, Address: r.Address, Lifetime: r.Lifetime, UpdatedAt: r.UpdatedAt,
		ExpiresAt: r.ExpiresAt, Rhythm: r.Rhythm,
	}
}

// rootSegments are the Uri-Path segments before those of a path.
func (r Registration) rootSegments() []string {
	if r.Root == "" {
		return nil
	}
	parts := strings.Split(r.prefix(), "/")
	for i, s := range parts {
		if u, err := url.PathUnescape(s); err == nil {
			parts[i] = u
		}
	}
	return parts
}

// prefix is Root as names have it in front of the path.
func (r Registration) prefix() string { return strings.TrimPrefix(r.Root, "/") }
