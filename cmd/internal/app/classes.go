package app

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"steward/est/attest"
	"steward/est/estcoap"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/linkformat"
)

// A surface is a part of the one endpoint.
type surface string

// The surfaces, by the first segments of their paths.
const (
	surfaceLwM2M     surface = "lwm2m"     // /rd, /dp
	surfaceBootstrap surface = "bootstrap" // /bs, /bspack
	surfaceEST       surface = "est"       // /est, /.well-known/est
	surfaceUpdate    surface = "update"    // /update
	surfaceAttest    surface = "attest"    // /ra
	surfaceDiscovery surface = "discovery" // /.well-known/core
	surfaceStatus    surface = "status"    // /status
	surfacePublished surface = "published" // /crl, /issuer
)

// classes says which class of association may use which surface. What EST
// grants to whom in detail, the CA decides.
var classes = map[coap.Role][]surface{
	coap.RoleOperational: {
		surfaceLwM2M, surfaceEST, surfaceUpdate, surfaceAttest, surfaceDiscovery, surfaceStatus, surfacePublished,
	},
	coap.RoleFactory: {
		surfaceBootstrap, surfaceEST, surfaceUpdate, surfaceAttest, surfaceDiscovery, surfaceStatus, surfacePublished,
	},
	coap.RoleExpired:   {surfaceEST}, // renewal alone: lateRenewal sees to that
	coap.RolePSK:       {surfaceLwM2M, surfaceUpdate, surfaceStatus, surfacePublished},
	coap.RoleRawKey:    {surfaceLwM2M, surfaceUpdate, surfaceStatus, surfacePublished},
	coap.RoleBootstrap: {surfaceBootstrap, surfaceEST, surfaceDiscovery, surfaceStatus, surfacePublished},
	// A status is hardly longer than the question. What is long goes to nobody whose
	// address nobody has proved (RFC 7252 §11.3).
	coap.RoleNone: {surfaceLwM2M, surfaceBootstrap, surfaceStatus},
}

// surfaceOf returns the surface that a path belongs to, "" for none.
func surfaceOf(path []string) surface {
	switch {
	case len(path) == 0:
		return ""
	case path[0] == "rd", path[0] == "dp":
		return surfaceLwM2M
	case path[0] == "bs", path[0] == "bspack":
		return surfaceBootstrap
	case path[0] == "est", path[0] == ".well-known" && len(path) > 1 && path[1] == "est":
		return surfaceEST
	case path[0] == attest.Root:
		return surfaceAttest
	case path[0] == "update":
		return surfaceUpdate
	case path[0] == ".well-known" && len(path) == 2 && path[1] == "core":
		return surfaceDiscovery
	case path[0] == "status":
		return surfaceStatus
	case path[0] == "crl", path[0] == "issuer":
		return surfacePublished
	}
	return ""
}

// An endpoint is the handler of all associations: class × path, then the parts.
type endpoint struct {
	parts   map[surface]coap.Handler
	lwm2m   func(*coap.Request) bool // tells which requests of surfaceLwM2M are quick
	heard   func(coap.Peer)          // told of requests to other surfaces
	auditor *auditor
	log     *slog.Logger
}

// quick says which requests are answered without waiting for anything
// (coap.Options.Quick): what is refused here, and what the LwM2M server has in
// memory.
func (e *endpoint) quick(r *coap.Request) bool {
	s := surfaceOf(r.Path)
	switch {
	case s == "", !slices.Contains(classes[r.Peer.Identity().Role], s):
		return true
	case s == surfaceLwM2M:
		return e.lwm2m(r)
	default:
		return false
	}
}

// ServeCoAP implements coap.Handler. What a class may not use is refused before
// it is looked at.
func (e *endpoint) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	s := surfaceOf(r.Path)
	if s == "" {
		return &coap.Response{Code: coap.NotFound}
	}
	who := r.Peer.Identity()
	if !slices.Contains(classes[who.Role], s) {
		path := "/" + strings.Join(r.Path, "/")
		e.auditor.add(audit.Row{
			Actor: "device:" + who.Name, Action: "request.refuse", Subject: who.Name,
			Reason: "class " + string(who.Role) + " may not use " + string(s),
		})
		e.log.LogAttrs(ctx, slog.LevelWarn, "request refused", slog.String("peer", r.Peer.String()),
			slog.String("identity", who.Name), slog.String("role", string(who.Role)), slog.String("path", path))
		return &coap.Response{Code: coap.Forbidden}
	}
	if s != surfaceLwM2M {
		e.heard(r.Peer)
	}
	return e.parts[s].ServeCoAP(ctx, r)
}

// discovery answers /.well-known/core (RFC 6690 §4, RFC 9148 §4.1) with the EST
// resources, the only ones that are discovered rather than known.
func discovery(enrolment *estcoap.Server) coap.HandlerFunc {
	return func(_ context.Context, r *coap.Request) *coap.Response {
		if r.Method != coap.GET {
			return &coap.Response{Code: coap.MethodNotAllowed}
		}
		if format, ok := r.Accept.ID(); ok && format != codec.Link {
			return &coap.Response{Code: coap.NotAcceptable}
		}
		links := []linkformat.Link{}
		for _, l := range enrolment.Links() {
			if wanted(r.Query, l) {
				links = append(links, link(l))
			}
		}
		return &coap.Response{
			Code: coap.Content, ContentFormat: coap.FormatID(codec.Link), Payload: []byte(linkformat.Format(links)),
		}
	}
}

// wanted reports whether a link passes the filters of a query, each for a target or
// an attribute, by its beginning if it ends in an asterisk (RFC 6690 §4.1).
func wanted(query []string, l estcoap.Link) bool {
	for _, q := range query {
		name, want, _ := strings.Cut(q, "=")
		value := ""
		switch name {
		case "href":
			value = l.Target
		case "rt":
			value = l.Type
		default: // what we do not have does not match
		}
		prefix, wild := strings.CutSuffix(want, "*")
		if value != want && (!wild || !strings.HasPrefix(value, prefix) || value == "") {
			return false
		}
	}
	return true
}

func link(l estcoap.Link) linkformat.Link {
	out := linkformat.Link{Target: l.Target, Attributes: []linkformat.Attribute{
		{Name: "rt", Value: l.Type, HasValue: true},
	}}
	if len(l.Formats) == 0 {
		return out
	}
	formats := make([]string, 0, len(l.Formats))
	for _, f := range l.Formats {
		formats = append(formats, formatText(f))
	}
	out.Attributes = append(out.Attributes, linkformat.Attribute{
		Name: "ct", Value: strings.Join(formats, " "), HasValue: true,
	})
	return out
}
