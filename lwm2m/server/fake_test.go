package server_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

// A fakePeer is a device that is only a name and an identity.
type fakePeer struct {
	address string
	who     coap.Identity
}

func (fakePeer) Send([]byte) error         { return nil }
func (p fakePeer) Identity() coap.Identity { return p.who }
func (p fakePeer) Addr() netip.AddrPort    { return netip.MustParseAddrPort(p.address) }
func (p fakePeer) String() string          { return p.address }

// alpha is the usual device of the tests.
var alpha = fakePeer{"192.0.2.1:5683", coap.Identity{Role: coap.RoleOperational, Name: "alpha"}}

// A fakeExchanger answers requests to devices by a function and keeps them.
type fakeExchanger struct {
	answer   func(context.Context, *coap.Request) (*coap.Response, error)
	requests []*coap.Request
}

func (f *fakeExchanger) Do(ctx context.Context, _ coap.Peer, r *coap.Request) (*coap.Response, error) {
	f.requests = append(f.requests, r)
	return f.answer(ctx, r)
}

func (f *fakeExchanger) Observe(ctx context.Context, p coap.Peer, r *coap.Request, _ func(*coap.Response)) (
	*coap.Response, *coap.Observation, error,
) {
	res, err := f.Do(ctx, p, r)
	return res, nil, err
}

var errStore = errors.New("disk full")

// identify knows every name, and some that it refuses.
func identify(_ context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error) {
	switch {
	case who.Name == "broken":
		return "", errStore
	case who.Name == "stranger":
		return "", server.ErrUnauthorized
	case who.Name == "banned":
		return "", server.ErrForbidden
	case who.Name != "" && who.Name != string(ep):
		return "", server.ErrIdentity
	}
	return fleet.ID(ep), nil
}

// schema is what the tests know of objects.
type schema map[[2]uint16]lwm2m.ResourceInfo

func (s schema) Resource(object, resource uint16) (lwm2m.ResourceInfo, bool) {
	info, ok := s[[2]uint16{object, resource}]
	return info, ok
}

const (
	r  = lwm2m.OpRead
	w  = lwm2m.OpWrite
	rw = r | w
)

var testSchema = schema{
	{1, 1}:       {Kind: lwm2m.KindInteger, Operations: rw},
	{3, 0}:       {Kind: lwm2m.KindString, Operations: r},
	{3, 4}:       {Operations: lwm2m.OpExecute, Mandatory: true},
	{3, 6}:       {Kind: lwm2m.KindInteger, Operations: r, Multiple: true},
	{3, 9}:       {Kind: lwm2m.KindInteger, Operations: r},
	{3, 14}:      {Kind: lwm2m.KindString, Operations: rw},
	{5, 0}:       {Kind: lwm2m.KindOpaque, Operations: w},
	{5, 3}:       {Kind: lwm2m.KindInteger, Operations: r},
	{1024, 0}:    {Kind: lwm2m.KindInteger, Operations: rw, Multiple: true},
	{1024, 1}:    {Kind: lwm2m.KindString, Operations: rw, Mandatory: true},
	{3303, 5700}: {Kind: lwm2m.KindFloat, Operations: r},
}

// A world is a server and what it stands on.
type world struct {
	*server.Server
	t         *testing.T
	store     *servertest.Store
	exchanger *fakeExchanger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	x := &world{t: t, store: &servertest.Store{}, exchanger: &fakeExchanger{}}
	x.answer(&coap.Response{Code: coap.Changed}, nil)
	x.Server = mustNew(t, server.Options{Store: x.store, Exchanger: x.exchanger, Schema: testSchema, Identify: identify})
	return x
}

func mustNew(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	s, err := server.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (x *world) answer(res *coap.Response, err error) {
	x.exchanger.answer = func(context.Context, *coap.Request) (*coap.Response, error) { return res, err }
}

// taken returns the requests that devices got, and forgets them.
func (x *world) taken() []*coap.Request {
	out := x.exchanger.requests
	x.exchanger.requests = nil
	return out
}

// serve passes a request to the server as an engine does.
func (x *world) serve(p coap.Peer, method coap.Code, path, query string, format uint16, body string) *coap.Response {
	x.t.Helper()
	q := &coap.Request{Peer: p, Method: method, Payload: []byte(body)}
	if path != "" {
		q.Path = strings.Split(path, "/")
	}
	if query != "" {
		q.Query = strings.Split(query, "&")
	}
	if body != "" {
		q.ContentFormat = coap.FormatID(format)
	}
	res := x.ServeCoAP(x.t.Context(), q)
	if res.Sent != nil {
		res.Sent()
	}
	return res
}

// register registers p and returns its location.
func (x *world) register(p coap.Peer, query, links string) string {
	x.t.Helper()
	res := x.serve(p, coap.POST, "rd", query, codec.Link, links)
	if res.Code != coap.Created || len(res.LocationPath) != 2 || len(res.LocationPath[1]) > 32 {
		x.t.Fatalf("Register %s = %s %q %q", query, res.Code, res.LocationPath, res.Payload)
	}
	return strings.Join(res.LocationPath, "/")
}

func (x *world) registration() server.Registration {
	x.t.Helper()
	reg, err := x.Registration("alpha")
	if err != nil {
		x.t.Fatal(err)
	}
	return reg
}

func path(text string) lwm2m.Path {
	p, err := lwm2m.ParsePath(text)
	if err != nil {
		panic(err)
	}
	return p
}

func entry(text string, v lwm2m.Value) lwm2m.Entry { return lwm2m.Entry{Path: path(text), Value: v} }

func deviceID(name string) fleet.ID { return fleet.ID(name) }
