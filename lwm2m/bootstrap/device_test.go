package bootstrap_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// A device is the client's side of a bootstrap, as little as it takes: instances
// whose bodies it keeps as they came.
type device struct {
	mu        sync.Mutex
	version   string            // of Discover; "": Discover is refused
	instances map[string]string // "/0/1" → what was written, or "ssid=…" to begin with
	log       []string          // "PUT /0/1"
	finishes  []coap.Code       // answers to Finish, in order; 2.04 after them
	refuse    map[string]coap.Code
	readable  map[string][]byte // SenML JSON of objects
	lost      string            // the request that gets no answer
	hang      string            // the request that waits for the end of ctx
}

// bootstrapAccount is what a device comes with.
func newDevice(version string) *device {
	return &device{
		version: version, instances: map[string]string{"/0/0": "", "/3/0": ""}, refuse: map[string]coap.Code{},
		readable: map[string][]byte{},
	}
}

func (d *device) Do(ctx context.Context, _ coap.Peer, r *coap.Request) (*coap.Response, error) {
	path := "/" + strings.Join(r.Path, "/")
	what := methodName(r.Method) + " " + path
	d.mu.Lock()
	d.log = append(d.log, what)
	hang := d.hang == what
	d.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost == what {
		return nil, coap.ErrTimeout
	}
	if code, ok := d.refuse[what+fmt.Sprint(formatOf(r))]; ok {
		return &coap.Response{Code: code}, nil
	}
	if code, ok := d.refuse[what]; ok {
		return &coap.Response{Code: code, Payload: []byte("no\xff thanks")}, nil
	}
	switch r.Method { //nolint:exhaustive // the methods of a bootstrap
	case coap.DELETE:
		maps.DeleteFunc(d.instances, func(p, _ string) bool { return p == path || strings.HasPrefix(p, path+"/") })
		return &coap.Response{Code: coap.Deleted}, nil
	case coap.PUT:
		d.instances[path] = string(r.Payload)
		return &coap.Response{Code: coap.Changed}, nil
	case coap.POST:
		if len(d.finishes) > 0 {
			code := d.finishes[0]
			d.finishes = d.finishes[1:]
			return &coap.Response{Code: code}, nil
		}
		return &coap.Response{Code: coap.Changed}, nil
	}
	return d.get(path), nil
}

func (d *device) get(path string) *coap.Response {
	if body, ok := d.readable[path]; ok {
		return &coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(110), Payload: body}
	}
	if path != "/" || d.version == "" {
		return &coap.Response{Code: coap.MethodNotAllowed}
	}
	links := []string{"</>;lwm2m=" + d.version}
	for _, p := range slices.Sorted(maps.Keys(d.instances)) {
		link := "<" + p + ">"
		if ssid, ok := strings.CutPrefix(d.instances[p], "ssid="); ok {
			link += ";ssid=" + ssid
		}
		links = append(links, link)
	}
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(40), Payload: []byte(strings.Join(links, ",")),
	}
}

func (d *device) requests() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.log, ", ")
}

func formatOf(r *coap.Request) uint16 {
	f, _ := r.ContentFormat.ID()
	return f
}

func methodName(c coap.Code) string {
	switch c { //nolint:exhaustive // the methods of a bootstrap
	case coap.GET:
		return "GET"
	case coap.PUT:
		return "PUT"
	case coap.POST:
		return "POST"
	case coap.DELETE:
		return "DELETE"
	}
	return c.String()
}

// A peer is an association that is only a name.
type peer struct{ who coap.Identity }

func (peer) Send([]byte) error         { return nil }
func (p peer) Identity() coap.Identity { return p.who }
func (peer) Addr() netip.AddrPort      { return netip.MustParseAddrPort("192.0.2.1:5683") }
func (p peer) String() string          { return p.who.Name }

// schema is what the tests know of objects 0, 1 and 2.
type schema map[[2]uint16]lwm2m.ResourceInfo

func (s schema) Resource(object, resource uint16) (lwm2m.ResourceInfo, bool) {
	info, ok := s[[2]uint16{object, resource}]
	return info, ok
}

var testSchema = schema{
	{0, 0}:  {Kind: lwm2m.KindString},
	{0, 1}:  {Kind: lwm2m.KindBoolean},
	{0, 2}:  {Kind: lwm2m.KindInteger},
	{0, 10}: {Kind: lwm2m.KindInteger},
	{1, 0}:  {Kind: lwm2m.KindInteger},
	{1, 1}:  {Kind: lwm2m.KindInteger},
	{1, 7}:  {Kind: lwm2m.KindString},
	{2, 3}:  {Kind: lwm2m.KindInteger},
}
