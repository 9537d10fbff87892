package client_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// schema describes the objects of the tests: Device, Firmware Update and a
// sensor, as far as they are used.
type schema map[[2]uint16]lwm2m.ResourceInfo

func (s schema) Resource(object, resource uint16) (lwm2m.ResourceInfo, bool) {
	info, ok := s[[2]uint16{object, resource}]
	return info, ok
}

const (
	r  = lwm2m.OpRead
	w  = lwm2m.OpWrite
	rw = lwm2m.OpRead | lwm2m.OpWrite
	e  = lwm2m.OpExecute
)

var testSchema = schema{
	{0, 0}:       {Kind: lwm2m.KindString},
	{1, 0}:       {Kind: lwm2m.KindInteger, Operations: r},
	{1, 1}:       {Kind: lwm2m.KindInteger, Operations: rw},
	{1, 2}:       {Kind: lwm2m.KindInteger, Operations: rw},
	{1, 8}:       {Operations: e, Mandatory: true},
	{1, 23}:      {Kind: lwm2m.KindBoolean, Operations: rw},
	{3, 0}:       {Kind: lwm2m.KindString, Operations: r},
	{3, 4}:       {Operations: e, Mandatory: true},
	{3, 6}:       {Kind: lwm2m.KindInteger, Operations: r, Multiple: true},
	{3, 9}:       {Kind: lwm2m.KindInteger, Operations: r},
	{3, 14}:      {Kind: lwm2m.KindString, Operations: rw},
	{3, 15}:      {Kind: lwm2m.KindString, Operations: rw},
	{5, 0}:       {Kind: lwm2m.KindOpaque, Operations: w},
	{5, 3}:       {Kind: lwm2m.KindInteger, Operations: r},
	{1024, 0}:    {Kind: lwm2m.KindInteger, Operations: rw, Multiple: true},
	{1024, 1}:    {Kind: lwm2m.KindString, Operations: rw, Mandatory: true},
	{1024, 2}:    {Kind: lwm2m.KindOpaque, Operations: rw},
	{3303, 5700}: {Kind: lwm2m.KindFloat, Operations: r},
	{3303, 5701}: {Kind: lwm2m.KindString, Operations: r},
	{3303, 5500}: {Kind: lwm2m.KindBoolean, Operations: r},
}

func path(text string) lwm2m.Path {
	p, err := lwm2m.ParsePath(text)
	if err != nil {
		panic(err)
	}
	return p
}

func entry(text string, v lwm2m.Value) lwm2m.Entry { return lwm2m.Entry{Path: path(text), Value: v} }

// A server is the far side: it answers /rd and /dp and keeps what came.
type server struct {
	mu       sync.Mutex
	requests []*coap.Request
	answer   func(*coap.Request) *coap.Response // nil: as a server should
}

func (s *server) ServeCoAP(_ context.Context, q *coap.Request) *coap.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, q)
	if s.answer != nil {
		return s.answer(q)
	}
	switch {
	case q.Method == coap.POST && slices.Equal(q.Path, []string{"rd"}):
		return &coap.Response{Code: coap.Created, LocationPath: []string{"rd", "a1"}}
	case q.Method == coap.DELETE:
		return &coap.Response{Code: coap.Deleted}
	default:
		return &coap.Response{Code: coap.Changed}
	}
}

// taken returns the requests that came and forgets them.
func (s *server) taken() []*coap.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

func (s *server) setAnswer(answer func(*coap.Request) *coap.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// A world is a device and a server joined by a pipe, with everything running.
type world struct {
	t        *testing.T
	c        *client.Client
	server   *server
	engine   *coap.Engine // the server's
	device   *coap.Engine
	toServer coap.Peer // by which the device sees the server
	toDevice coap.Peer
	executed []string
	created  bool // instances of 1024 may be made

	base, firmware, sensor, list *client.Table
	packages                     [][]byte
}

// newWorld starts all of it; call it inside a synctest bubble.
func newWorld(t *testing.T, o client.Options) *world {
	t.Helper()
	x := &world{t: t, server: &server{}, created: true}
	x.tables()
	x.device = coap.New(coap.Options{Handler: coap.HandlerFunc(func(ctx context.Context, q *coap.Request) *coap.Response {
		return x.c.ServeCoAP(ctx, q)
	})})
	x.engine = coap.New(coap.Options{Handler: x.server})
	x.toServer, x.toDevice = coap.Join(x.device, x.engine, coap.Medium{
		B: coap.Identity{Role: coap.RoleServer, Name: "alpha"},
	})
	o.Endpoint, o.Schema, o.Engine = "urn:dev:ops:1", testSchema, x.device
	o.Objects = append(o.Objects, x.base, x.firmware, x.sensor, x.list)
	var err error
	if x.c, err = client.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, run := range []func(context.Context) error{x.device.Run, x.engine.Run, x.c.Run} {
		group.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
		})
	}
	t.Cleanup(func() { cancel(); group.Wait() })
	return x
}

func (x *world) tables() {
	x.base = client.NewTable(client.TableOptions{
		ID: 3, Version: "1.2", Schema: testSchema, Resources: []uint16{4, 15},
		Values: []lwm2m.Entry{
			entry("/3/0/0", lwm2m.String("Steward")),
			entry("/3/0/6/0", lwm2m.Integer(1)),
			entry("/3/0/6/1", lwm2m.Integer(5)),
			entry("/3/0/9", lwm2m.Integer(100)),
			entry("/3/0/14", lwm2m.String("+02:00")),
		},
		OnExecute: func(_ context.Context, _ client.Session, p lwm2m.Path, args string) error {
			if args == "9" {
				return errors.New("broken")
			}
			x.executed = append(x.executed, p.String()+" "+args)
			return nil
		},
	})
	x.firmware = client.NewTable(client.TableOptions{
		ID: 5, Version: "1.1", Schema: testSchema, Resources: []uint16{0},
		Values: []lwm2m.Entry{entry("/5/0/3", lwm2m.Integer(0))},
		OnWrite: func(_ context.Context, _ client.Session, _ lwm2m.Path, entries []lwm2m.Entry) error {
			x.packages = append(x.packages, entries[0].Value.Bytes())
			return nil
		},
	})
	x.sensor = client.NewTable(client.TableOptions{
		ID: 3303, Version: "1.1", Schema: testSchema,
		Values: []lwm2m.Entry{
			entry("/3303/0/5700", lwm2m.Float(20)),
			entry("/3303/0/5701", lwm2m.String("Cel")),
			entry("/3303/0/5500", lwm2m.Boolean(false)),
		},
	})
	x.list = client.NewTable(client.TableOptions{
		ID: 1024, Schema: testSchema, Resources: []uint16{0, 1, 2},
		OnCreate: func(_ context.Context, _ client.Session, _ lwm2m.Path, in []lwm2m.Entry) ([]lwm2m.Entry, error) {
			if !x.created {
				return nil, client.ErrUnauthorized
			}
			return in, nil
		},
		OnDelete: func(context.Context, client.Session, lwm2m.Path) error { return nil },
	})
}

func (x *world) register() {
	x.t.Helper()
	if err := x.c.Register(x.t.Context(), x.toServer); err != nil {
		x.t.Fatalf("Register = %v", err)
	}
	x.server.taken()
}

// do sends a request to the device; ids of formats below zero are absent.
func (x *world) do(method coap.Code, p string, format, accept int, body string, query ...string) *coap.Response {
	x.t.Helper()
	q := &coap.Request{Method: method, Payload: []byte(body), Query: query, Path: path(p).Segments()}
	if format >= 0 {
		q.ContentFormat = coap.FormatID(uint16(format))
	}
	if accept >= 0 {
		q.Accept = coap.FormatID(uint16(accept))
	}
	resp, err := x.engine.Do(x.t.Context(), x.toDevice, q)
	if err != nil {
		x.t.Fatalf("%s %s: %v", method, p, err)
	}
	return resp
}

// decoded returns the entries of a response as text.
func decoded(t *testing.T, p string, resp *coap.Response) []string {
	t.Helper()
	id, ok := resp.ContentFormat.ID()
	if !ok {
		t.Fatalf("%s: answer %s without format", p, resp.Code)
	}
	entries, err := codec.Decode(id, path(p), resp.Payload, testSchema)
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Path.String()+"="+e.Value.String())
	}
	slices.Sort(out)
	return out
}

func TestNewRefuses(t *testing.T) {
	engine := coap.New(coap.Options{})
	table := client.NewTable(client.TableOptions{ID: 3})
	tests := []struct {
		name string
		o    client.Options
	}{
		{"no engine", client.Options{Endpoint: "a"}},
		{"version", client.Options{Endpoint: "a", Engine: engine, Version: "2.0"}},
		{"endpoint", client.Options{Endpoint: "a\x00", Engine: engine}},
		{"no endpoint in 1.0", client.Options{Engine: engine, Version: lwm2m.Version10}},
		{"lifetime", client.Options{Endpoint: "a", Engine: engine, Lifetime: time.Millisecond}},
		{"object twice", client.Options{Endpoint: "a", Engine: engine, Objects: []client.Object{table, table}}},
	}
	for _, tt := range tests {
		if _, err := client.New(tt.o); !errors.Is(err, client.ErrOptions) {
			t.Errorf("%s: New = %v, want ErrOptions", tt.name, err)
		}
	}
}
