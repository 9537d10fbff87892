package server

import (
	"net/netip"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// An entry is a registered device: its registration and, while it can be reached,
// its session. There is one for each registered device, so it is small: what is
// under way hangs on it only while it is. Server.mu guards all but the first two
// fields, which do not change.
type entry struct {
	home   *Server
	device fleet.ID

	endpoint   lwm2m.Endpoint
	form       *form
	location   Location
	address    netip.AddrPort
	registered int64 // Unix microseconds, as the next two
	updated    int64
	expires    int64  // 0: never
	lifetime   uint32 // seconds; 0: for ever
	place      int32  // in Server.expiry, plus one; 0: not in it
	look       int64  // when expiry looks at the entry: not after expires

	peer    coap.Peer // nil: no session
	watches *watch
	calls   *call
	pass    chan struct{} // closed once requests may be sent; nil: they may
	session uint32        // number of the session, to tell it from earlier ones
	heard   uint32        // Unix seconds of the last message; earlier if the device did not answer since
	rhythm  uint16        // mean pause between messages in queue mode, in rhythmUnit; 0: unknown

	found     bool  // peer is of an earlier run of the program, and the device has not spoken by it since
	proved    bool  // peer proved the identity, and the device has not changed since
	unsettled bool  // an observation failed and is to be tried at the next message
	queued    bool  // in Server.agenda
	unwanted  bool  // nothing is to be observed, as far as is known
	tries     uint8 // how often it was asked again since it spoke
	dirty     bool  // in Server.dirty
}

// registration returns what the entry says. Its slices are shared.
func (e *entry) registration() Registration {
	r := Registration{
		ID: e.location.String(), Device: e.device, Endpoint: e.endpoint, Version: e.form.version,
		Lifetime: time.Duration(e.lifetime) * time.Second, Binding: e.form.binding, Queue: e.form.queue,
		SMS: e.form.sms, Root: e.form.root, Formats: e.form.formats, Objects: e.form.objects, Unknown: e.form.unknown,
		RegisteredAt: time.UnixMicro(e.registered).UTC(), UpdatedAt: time.UnixMicro(e.updated).UTC(),
		Rhythm: time.Duration(e.rhythm) * rhythmUnit,
	}
	if e.address.IsValid() {
		r.Address = e.address.String()
	}
	if e.expires != 0 {
		r.ExpiresAt = time.UnixMicro(e.expires).UTC()
	}
	return r
}

// name returns as much of the registration as it takes to read a notification.
func (e *entry) name() Registration {
	return Registration{Device: e.device, Endpoint: e.endpoint, Version: e.form.version, Root: e.form.root}
}

// keep makes r the registration of its device. The caller holds mu.
func (s *Server) keep(r Registration) *entry {
	e := s.devices[r.Device]
	if e == nil {
		e = &entry{home: s, device: r.Device}
		s.devices[r.Device] = e
	} else {
		delete(s.locations, e.location)
		s.forms.drop(e.form)
	}
	if e.form = s.forms.take(&r); e.endpoint != r.Endpoint {
		e.endpoint = lwm2m.Endpoint(strings.Clone(string(r.Endpoint))) // not all that came in the message with it
	}
	e.location, _ = ParseLocation(r.ID) // all that is registered or loaded has one
	e.address, _ = netip.ParseAddrPort(r.Address)
	e.lifetime = uint32(r.Lifetime / time.Second) //nolint:gosec // G115: parsed from 32 bits
	e.registered, e.updated, e.expires = r.RegisteredAt.UnixMicro(), r.UpdatedAt.UnixMicro(), 0
	if !r.ExpiresAt.IsZero() {
		e.expires = r.ExpiresAt.UnixMicro()
	}
	if gateway(e.form.objects) {
		e.unwanted = false
	}
	if e.rhythm == 0 {
		e.rhythm = uint16(min(r.Rhythm/rhythmUnit, 1<<16-1)) //nolint:gosec // G115: bounded
	}
	s.locations[e.location] = e
	s.expiry.schedule(e)
	s.hear(e, e.updated)
	return e
}

// discard takes a registration out of memory, with its session. The caller holds
// mu, and buries the remains without it.
func (s *Server) discard(e *entry) remains {
	gone := s.forget(e)
	delete(s.devices, e.device)
	delete(s.locations, e.location)
	s.forms.drop(e.form)
	s.expiry.remove(e)
	return gone
}

// Registered returns how many devices are registered now.
func (s *Server) Registered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.devices)
}

// lookup returns the registration of a device, or ErrNotRegistered.
func (s *Server) lookup(device fleet.ID) (Registration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[device]
	if e == nil {
		return Registration{}, ErrNotRegistered
	}
	return e.registration(), nil
}

// at returns the registration at a location as it stands in a path, or
// ErrNotRegistered.
func (s *Server) at(text string) (Registration, error) {
	l, err := ParseLocation(text)
	if err != nil {
		return Registration{}, ErrNotRegistered
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.locations[l]
	if e == nil {
		return Registration{}, ErrNotRegistered
	}
	return e.registration(), nil
}
