package server

import (
	"errors"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// faults says in words what can be wrong with a device's request; the first row
// that fits counts. What is not in it is no fault of the device: our own trouble,
// an identity, which is audited, or a registration that is over.
var faults = []struct {
	err   error
	words string
}{
	{ErrNotRegistered, ""},
	{ErrIdentity, ""},
	{ErrUnauthorized, ""},
	{ErrForbidden, ""},
	{ErrProfile, ""},
	{lwm2m.ErrVersion, "names a version of LwM2M that this server does not speak"},
	{lwm2m.ErrEndpoint, "has an unusable endpoint name"},
	{ErrParameter, "has a parameter, or a list of objects, that is wrong"},
	{lwm2m.ErrQuery, "has a parameter that is malformed"},
	{codec.ErrFormat, "is in a format that does not belong there"},
	{codec.ErrBody, "is too long"},
	{codec.ErrSyntax, "cannot be read"},
	{errMethod, "uses a method that there is not"},
	{errNotFound, "is for something that there is not"},
}

// fault tells of a request that was refused because of what is in it.
func (s *Server) fault(r *coap.Request, code coap.Code, err error) {
	for _, f := range faults {
		if !errors.Is(err, f.err) {
			continue
		}
		if f.words == "" {
			return
		}
		e := Event{Kind: Faulty, Reason: requestName(r) + " " + f.words + " (" + err.Error() + "); answered " + code.String()}
		e.Device, _ = s.Device(r.Peer)
		who := r.Peer.Identity()
		e.Endpoint = lwm2m.Endpoint(who.Name)
		if who == (coap.Identity{}) && e.Device == "" {
			e.Endpoint, e.Claimed = claimed(r.Query), true
		}
		if e.Device != "" || e.Endpoint != "" {
			s.emit(e)
		}
		return
	}
}

// claimed returns the endpoint that a request names.
func claimed(query []string) lwm2m.Endpoint {
	for _, q := range query {
		if name, ok := strings.CutPrefix(q, "ep="); ok {
			if ep, err := lwm2m.ParseEndpoint(name); err == nil {
				return ep
			}
		}
	}
	return ""
}

func requestName(r *coap.Request) string {
	switch {
	case len(r.Path) == 1 && r.Path[0] == "rd":
		return "Its registration"
	case len(r.Path) == 2 && r.Path[0] == "rd" && r.Method == coap.DELETE:
		return "Its De-register"
	case len(r.Path) == 2 && r.Path[0] == "rd":
		return "Its Update"
	case len(r.Path) == 1 && r.Path[0] == "dp":
		return "Its Send"
	default:
		return "A request"
	}
}

// unreadable tells of an answer or a notification that cannot be read.
func (s *Server) unreadable(reg Registration, p lwm2m.Path, err error) {
	s.emit(Event{
		Kind: Faulty, Device: reg.Device, Endpoint: reg.Endpoint, Path: p,
		Reason: "What it answered or notified of " + p.String() + " cannot be read (" + err.Error() + ")",
	})
}
