package sim_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
	"steward/lwm2m/transport"
	"steward/objects"
	"steward/transfer"
)

// A provider is a whole one: CA, EST server, LwM2M server, one coaps endpoint.
type provider struct {
	t      *testing.T
	name   string
	ca     *est.CA
	cert   *tls.Certificate
	signer transfer.Signer // of transfer messages and offers
	suit   transfer.Signer // of manifests
	store  *servertest.Store
	addr   string // once it has listened; "": at a port that stays free while it does not
	// streams adds TLS, plain TCP; their addresses once they have listened.
	streams  bool
	tls, tcp string
	atOnce   int  // requests to a device that wait for answers; 0: one
	patient  bool // nothing is repeated before unhurried has passed

	mu       sync.Mutex
	srv      *server.Server
	payloads map[string][]byte
	served   int      // bytes of payloads by CoAP
	ranges   []string // asked for by HTTP
	events   chan server.Event
	stop     func()
	listener *transport.Listener
	engine   *coap.Engine
	verifier coap.Handler // at /ra; nil: none
	updates  coap.Handler // at /update, for devices that come; nil: none
}

func newProvider(t *testing.T, name string, more ...func(*est.Options)) *provider {
	t.Helper()
	p := &provider{
		t: t, name: name, ca: esttest.NewCA(t, name, &esttest.Store{}, time.Now, more...), store: &servertest.Store{},
		payloads: map[string][]byte{}, events: make(chan server.Event, 4096),
	}
	issue := func(der []byte, key crypto.Signer) *tls.Certificate {
		return &tls.Certificate{Certificate: [][]byte{der, p.ca.Certificate().Raw}, PrivateKey: key}
	}
	key := esttest.Key(t)
	issued, err := p.ca.IssueServer(t.Context(), "127.0.0.1", key.Public())
	if err != nil {
		t.Fatal(err)
	}
	p.cert = issue(issued.DER, key)
	p.signer = p.newSigner(est.KindTransferSigner)
	p.suit = p.newSigner(est.KindSUITSigner)
	p.start()
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *provider) newSigner(kind est.Kind) transfer.Signer {
	p.t.Helper()
	key := esttest.Key(p.t)
	issued, err := p.ca.IssueSigner(p.t.Context(), kind, p.name, key.Public())
	if err != nil {
		p.t.Fatal(err)
	}
	return transfer.Signer{Key: key, Certificate: issued.DER}
}

// start listens, at the same address as before if there was one.
func (p *provider) start() {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	estServer, err := estcoap.NewServer(estcoap.ServerOptions{CA: p.ca, C509: c509Formats})
	if err != nil {
		p.t.Fatal(err)
	}
	flight, ack := 100*time.Millisecond, 500*time.Millisecond
	if p.patient {
		flight, ack = unhurried, unhurried
	}
	var srv *server.Server
	engine := coap.New(coap.Options{
		Params: coap.Params{AckTimeout: ack, NStart: p.atOnce},
		Closed: func(peer coap.Peer) { srv.Closed(peer) },
		Handler: coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
			switch r.Path[0] {
			case "rd", "dp":
				if r.Peer.Identity().Role != coap.RoleOperational && !p.streams {
					return &coap.Response{Code: coap.Forbidden}
				}
				return srv.ServeCoAP(ctx, r)
			case "ra":
				if p.verifier != nil {
					return p.verifier.ServeCoAP(ctx, r)
				}
			case "update":
				if p.updates != nil {
					return p.updates.ServeCoAP(ctx, r)
				}
			case "est":
				return estServer.ServeCoAP(ctx, r)
			}
			return p.payload(r)
		}),
	})
	srv, err = server.New(p.t.Context(), server.Options{
		Store: p.store, Exchanger: engine, Schema: sim.Schema(objects.DefaultIDs),
		Identify: func(_ context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error) {
			if who.Name != string(ep) && (who.Role != coap.RoleNone || !p.streams) {
				return "", server.ErrIdentity
			}
			return fleet.ID(ep), nil
		},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	listener := listen(p.t, p.addr, func(addr string) (*transport.Listener, error) {
		return transport.Listen(transport.ListenOptions{
			Addr: addr, Credentials: credentials{p}, Engine: engine, FlightInterval: flight,
		})
	})
	cancelEvents := srv.Subscribe(func(e server.Event) {
		select {
		case p.events <- e:
		default:
		}
	})
	var running sync.WaitGroup
	for _, l := range p.listenStreams(engine) {
		running.Go(func() { _ = l.Run(ctx) })
	}
	for _, run := range []func(context.Context) error{engine.Run, srv.Run, listener.Run} {
		running.Go(func() { _ = run(ctx) })
	}
	p.mu.Lock()
	p.srv, p.listener, p.engine, p.addr = srv, listener, engine, listener.Addr().String()
	p.mu.Unlock()
	p.stop = sync.OnceFunc(func() {
		cancelEvents()
		cancel()
		running.Wait()
	})
}

// listenStreams listens for TLS and TCP, where that is asked for, at the same
// addresses as before if there were some.
func (p *provider) listenStreams(engine *coap.Engine) (out []*transport.StreamListener) {
	if !p.streams {
		return nil
	}
	for _, s := range []struct {
		addr        *string
		credentials dtls.Credentials
	}{{&p.tls, credentials{p}}, {&p.tcp, nil}} {
		l := listen(p.t, *s.addr, func(addr string) (*transport.StreamListener, error) {
			return transport.ListenStream(transport.StreamOptions{Addr: addr, Credentials: s.credentials, Engine: engine})
		})
		*s.addr = l.Addr().String()
		out = append(out, l)
	}
	return out
}

// listen listens at addr. If that is empty it chooses a port that the system gives to
// nobody who asks for any (RFC 6335 §6): it is free when it is listened at again.
func listen[T any](t *testing.T, addr string, at func(addr string) (T, error)) T {
	t.Helper()
	const first, ports = 21_000, 4000
	for tries := ports; ; tries-- {
		here := addr
		if here == "" {
			here = net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(ports)))
		}
		l, err := at(here)
		if err == nil {
			return l
		}
		if addr != "" || tries == 0 {
			t.Fatal(err)
		}
	}
}

func (p *provider) payload(r *coap.Request) *coap.Response {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, ok := p.payloads[r.Path[len(r.Path)-1]]
	if !ok {
		return &coap.Response{Code: coap.NotFound}
	}
	part := body[min(r.Offset, len(body)):min(r.Offset+r.Limit, len(body))]
	p.served += len(part)
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(42), ETag: []byte{1}, Total: len(body), Payload: part,
	}
}

func (p *provider) uri() string { return "coaps://" + p.addr }

// credentials are the endpoint's.
type credentials struct{ p *provider }

func (c credentials) Certificate(string) (*tls.Certificate, error) { return c.p.cert, nil }

func (c credentials) PSK([]byte) ([]byte, error) { return nil, dtls.ErrUnknownIdentity }

func (c credentials) Identify(chain [][]byte, _ []byte) (coap.Identity, error) {
	client, err := c.p.ca.Identify(context.Background(), chain)
	if err != nil {
		return coap.Identity{}, err
	}
	return coap.Identity{Role: coap.Role(client.Role), Name: client.Name, Certificate: client.Certificate}, nil
}

// anchors are what devices of the provider trust, with the purposes of label 8.
func (p *provider) anchors() []anchor {
	return []anchor{
		{p.ca.Certificate().Raw, transfer.Enrol | transfer.DM | transfer.Update | transfer.Bootstrap | transfer.RA},
		{p.signer.Certificate, transfer.TransferSigner},
		{p.suit.Certificate, transfer.SUITSigner},
	}
}

type anchor struct {
	der      []byte
	purposes transfer.Purposes
}

// settings are what a factory puts into a device delivered to the provider.
func (p *provider) settings() *bundle.Provider {
	b := &bundle.Provider{Name: p.name, ServerURI: p.uri(), EnrollURI: p.uri(), SSID: 1, Lifetime: 60}
	for _, a := range p.anchors() {
		b.Anchors = append(b.Anchors, bundle.NewAnchor(a.der, a.purposes))
	}
	return b
}

// factory is a permanent CA.
type factory struct {
	t  *testing.T
	ca *est.CA
}

func newFactory(t *testing.T) *factory {
	t.Helper()
	return &factory{t, esttest.NewFactory(t, time.Now)}
}

// device makes a device delivered to p, and registers it there.
func (f *factory) device(endpoint string, p *provider) *bundle.Bundle {
	f.t.Helper()
	made := esttest.NewDevice(f.t, f.ca, endpoint)
	key, err := bundle.EncodeKey(made.Key)
	if err != nil {
		f.t.Fatal(err)
	}
	b := &bundle.Bundle{
		Version: bundle.Version, Endpoint: endpoint, Provider: p.settings(),
		Factory: bundle.Factory{Key: key, Chain: []string{bundle.EncodeCertificate(made.DER)}},
		Anchors: []bundle.Anchor{bundle.NewAnchor(f.ca.Root().Raw, transfer.Enrol|transfer.Fallback)},
		Hardware: bundle.Hardware{
			Manufacturer: "Example", Model: "Sensor", Serial: endpoint, Vendor: vendor.String(), Class: class.String(),
		},
		Firmware: bundle.Firmware{Version: "1.0.0", Sequence: 1},
	}
	if err := b.Complete(); err != nil {
		f.t.Fatal(err)
	}
	if err := b.NewAttestation(); err != nil {
		f.t.Fatal(err)
	}
	f.grant(p, b)
	if _, err := p.ca.OpenRight(f.t.Context(), f.hash(b), est.Hash{}); err != nil {
		f.t.Fatal(err)
	}
	return b
}

// grant lists the factory at p and gives the device a closed right there.
func (f *factory) grant(p *provider, b *bundle.Bundle) {
	f.t.Helper()
	if err := p.ca.TrustFactoryCA(f.t.Context(), f.ca.Root().Raw); err != nil {
		f.t.Fatal(err)
	}
	if _, err := p.ca.GrantRight(f.t.Context(), est.Grant{FactoryDER: f.certificate(b).Raw}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *factory) certificate(b *bundle.Bundle) *x509.Certificate {
	f.t.Helper()
	_, chain, err := b.FactoryIdentity()
	if err != nil {
		f.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(chain[0])
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (f *factory) hash(b *bundle.Bundle) est.Hash {
	return est.Hash(transfer.HashOf(f.certificate(b).Raw))
}

// run is a device that runs.
type run struct {
	t      *testing.T
	events chan sim.Event
	cancel context.CancelFunc
	done   chan error
}

// options are scaled for tests.
func options(dir string) sim.Options {
	return sim.Options{
		StateDir: dir, AckTimeout: 500 * time.Millisecond, HandshakeTimeout: 5 * time.Second,
		FlightInterval: 100 * time.Millisecond, RetryFirst: 50 * time.Millisecond, RetryMax: 400 * time.Millisecond,
		Battery: 200 * time.Millisecond, Tick: 50 * time.Millisecond, NoSync: true,
	}
}

// start runs a device until the test ends or stop is called.
func start(t *testing.T, b *bundle.Bundle, o sim.Options) *run {
	t.Helper()
	r := &run{t: t, events: make(chan sim.Event, 4096), done: make(chan error, 1)}
	o.Events = func(e sim.Event) {
		select {
		case r.events <- e:
		default:
		}
	}
	d, err := sim.New(b, o)
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	go func() { r.done <- d.Run(ctx) }()
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// stop ends the run, as a crash does: nothing is told to anybody.
func (r *run) stop() error {
	r.cancel()
	err := <-r.done
	r.done <- err
	return err
}

const patience = time.Minute // of a slow machine under the race detector

// await returns the next event of a kind; those before it are dropped.
func (r *run) await(kind sim.Kind) sim.Event {
	r.t.Helper()
	var seen []sim.Kind
	last := ""
	timeout := time.After(patience)
	for {
		select {
		case e := <-r.events:
			if e.Kind == kind {
				return e
			}
			seen = append(seen, e.Kind)
			if e.Error != "" {
				last = e.Error
			}
		case err := <-r.done:
			r.done <- err
			r.t.Fatalf("device ended (%v) before %q; saw %v, last error %q", err, kind, seen, last)
		case <-timeout:
			r.t.Fatalf("no event %q; saw %v, last error %q", kind, seen, last)
		}
	}
}

// await returns the next event of the server of a kind, of path unless that is the root.
func (p *provider) await(kind server.Happening, path lwm2m.Path) server.Event {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-p.events:
			if e.Kind == kind && (path.Len() == 0 || e.Path == path) {
				return e
			}
		case <-timeout:
			p.t.Fatalf("%s: no event %q %v", p.name, kind, path)
		}
	}
}

// read reads one resource, again while the device is between associations.
func (p *provider) read(id fleet.ID, path lwm2m.Path) lwm2m.Value {
	p.t.Helper()
	entries := p.readAll(id, path)
	for _, e := range entries {
		if e.Path == path {
			return e.Value
		}
	}
	p.t.Fatalf("%s: read %v = %v", p.name, path, entries)
	return lwm2m.Value{}
}

func (p *provider) readAll(id fleet.ID, path lwm2m.Path) []lwm2m.Entry {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		entries, err := p.srv.Read(p.t.Context(), id, path)
		if err == nil {
			return entries
		}
		away := errors.Is(err, server.ErrUnreachable) || errors.Is(err, server.ErrNotRegistered) ||
			errors.Is(err, server.ErrEnded) ||
			unknownYet(err) || errors.Is(err, coap.ErrClosed) || errors.Is(err, coap.ErrTimeout)
		if !away || time.Now().After(deadline) {
			p.t.Fatalf("%s: read %v: %v", p.name, path, err)
		}
		p.pause()
	}
}

// unknownYet reports the answer of a device that has just come back and does not yet
// know whose association it is.
func unknownYet(err error) bool {
	answer, ok := errors.AsType[*server.ResponseError](err)
	return ok && answer.Code == coap.Unauthorized
}

// pause lets others run.
func (p *provider) pause() {
	select {
	case <-time.After(10 * time.Millisecond):
	case <-p.t.Context().Done():
	}
}

func (p *provider) write(path lwm2m.Path, v lwm2m.Value) error {
	return p.srv.Write(p.t.Context(), endpoint, path, []lwm2m.Entry{{Path: path, Value: v}}, server.Replace)
}
