package ets_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/bootstrap/boottest"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
	"steward/objects/registry"
)

// A world is the server's stack over a medium in memory, in a bubble of time.
type world struct {
	*server.Server
	t      *testing.T
	engine *coap.Engine
	store  *servertest.Store
	boot   *bootstrap.Server
	traces *boottest.Store
	update coap.Handler // below /update; nil: none
	est    coap.Handler // below /est; nil: none

	mu     sync.Mutex
	events []server.Event
	config bootstrap.Configuration // for devices that bootstrap
}

// newWorld starts the servers.
func newWorld(t *testing.T) *world {
	t.Helper()
	x := &world{t: t, store: &servertest.Store{}, traces: &boottest.Store{}}
	x.engine = coap.New(coap.Options{
		Handler: coap.HandlerFunc(x.serve), Closed: func(p coap.Peer) { x.Closed(p) },
		Quick: func(r *coap.Request) bool { return x.Quick(r) },
	})
	var err error
	x.Server, err = server.New(t.Context(), server.Options{
		Store: x.store, Exchanger: x.engine, Schema: registry.Default(), Identify: identify,
	})
	if err != nil {
		t.Fatal(err)
	}
	x.boot, err = bootstrap.New(bootstrap.Options{
		Store: x.traces, Exchanger: x.engine, Schema: registry.Default(), Identify: identifyBootstrap,
		Configure: func(context.Context, fleet.ID) (bootstrap.Configuration, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			return x.config, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Subscribe(func(e server.Event) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.events = append(x.events, e)
	}))
	start(t, x.engine.Run, x.Run, x.boot.Run)
	return x
}

// gives says what devices that bootstrap are to hold.
func (x *world) gives(objects []bootstrap.Instance, accounts ...bootstrap.Account) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.config = bootstrap.Configuration{Accounts: accounts, Objects: objects}
}

// start runs runners until the test ends.
func start(t *testing.T, runners ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, run := range runners {
		group.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); group.Wait() })
}

func (x *world) serve(ctx context.Context, r *coap.Request) *coap.Response {
	if len(r.Path) > 0 && (r.Path[0] == "bs" || r.Path[0] == "bspack") {
		return x.boot.ServeCoAP(ctx, r)
	}
	if len(r.Path) > 0 && r.Path[0] == "update" && x.update != nil {
		return x.update.ServeCoAP(ctx, r)
	}
	if len(r.Path) > 0 && r.Path[0] == "est" && x.est != nil {
		return x.est.ServeCoAP(ctx, r)
	}
	return x.ServeCoAP(ctx, r)
}

// identify lets every device in under the name that it proved, if it proved one.
func identify(_ context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error) {
	if who.Name != "" && who.Name != string(ep) {
		return "", server.ErrIdentity
	}
	return fleet.ID(ep), nil
}

func identifyBootstrap(_ context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error) {
	if who.Name != "" && who.Name != string(ep) {
		return "", bootstrap.ErrIdentity
	}
	return fleet.ID(ep), nil
}

// A link is how the server sees a device.
type link struct {
	d    *device
	who  coap.Identity
	mu   sync.Mutex
	addr netip.AddrPort
}

func (l *link) Send(datagram []byte) error { l.d.arrive(datagram); return nil }
func (l *link) Identity() coap.Identity    { return l.who }
func (l *link) String() string             { return "device" }
func (l *link) Addr() netip.AddrPort {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addr
}

// device joins a device that proved to have a name, "" for none.
func (x *world) device(name string) *device {
	d := newDevice(x.t, nil)
	x.join(d, name, "192.0.2.1:5683")
	return d
}

// join gives a device a new association.
func (x *world) join(d *device, name, address string) {
	l := &link{d: d, addr: netip.MustParseAddrPort(address)}
	if name != "" {
		l.who = coap.Identity{Role: coap.RolePSK, Name: name}
	}
	d.mu.Lock()
	d.send = func(b []byte) { x.engine.Receive(l, b) }
	d.mu.Unlock()
}

// registration returns that of alpha.
func (x *world) registration() server.Registration {
	x.t.Helper()
	r, err := x.Registration("alpha")
	if err != nil {
		x.t.Fatal(err)
	}
	return r
}

// gone fails the test if alpha is registered.
func (x *world) gone() {
	x.t.Helper()
	if r, err := x.Registration("alpha"); err == nil {
		x.t.Errorf("still registered: %+v", r)
	}
}

// happened returns the events of a kind so far.
func (x *world) happened(kind server.Happening) (out []server.Event) {
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// value returns the last known value as text, "" without.
func (x *world) value(p string) string {
	x.t.Helper()
	time.Sleep(2 * time.Second) // of the bubble: values of notifications are stored late
	synctest.Wait()
	v, ok := x.store.Value("alpha", path(p))
	if !ok {
		return ""
	}
	return v.Plain()
}

func (x *world) must(what string, err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatalf("%s: %v", what, err)
	}
}

// read reads and returns "path=value" of each entry.
func (x *world) read(p string) []string {
	x.t.Helper()
	entries, err := x.Read(x.t.Context(), "alpha", path(p))
	x.must("Read "+p, err)
	return texts(entries)
}

func texts(entries []lwm2m.Entry) []string {
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.Path.String()+"="+e.Value.Plain())
	}
	slices.Sort(out)
	return out
}

// write replaces one resource.
func (x *world) write(p string, v lwm2m.Value) {
	x.t.Helper()
	x.must("Write "+p, x.Write(x.t.Context(), "alpha", path(p), []lwm2m.Entry{entry(p, v)}, server.Replace))
}

func path(text string) lwm2m.Path {
	p, err := lwm2m.ParseNode(text)
	if err != nil {
		panic(err)
	}
	return p
}

func entry(p string, v lwm2m.Value) lwm2m.Entry { return lwm2m.Entry{Path: path(p), Value: v} }

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
