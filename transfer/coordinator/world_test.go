package coordinator_test

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/transfer/coordinator/coordtest"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// world is two providers and their devices, joined in memory.
type world struct {
	t           testing.TB
	factory     *est.CA
	alpha, beta *provider
	devices     []*device
	installed   []transfer.Installed
	mandate     []byte    // of a service user; nil: self
	earliest    time.Time // of the window; zero: now
	submitted   func()    // called when a transfer was submitted; operators then try again
}

const testGrace = 60 * time.Second

// newWorld makes Alpha with n devices, and Beta. Nothing runs before start.
func newWorld(tb testing.TB, n int) *world {
	tb.Helper()
	w := &world{t: tb, installed: []transfer.Installed{{
		Digest: transfer.NewCertHash(transfer.HashOf([]byte("manifest"))), Sequence: 2,
	}}}
	w.factory = esttest.NewFactory(tb, time.Now)
	w.alpha, w.beta = newProvider(tb, w, "Alpha"), newProvider(tb, w, "Beta")
	for i := range n {
		w.devices = append(w.devices, newDevice(tb, w, w.alpha, fmt.Sprintf("urn:dev:os:32473-%04d", i)))
	}
	w.alpha.open(tb)
	w.beta.open(tb)
	w.alpha.pin(tb, w.beta)
	w.beta.pin(tb, w.alpha)
	return w
}

// start runs everything until the test ends.
func (w *world) start(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	for _, d := range w.devices {
		d.done = make(chan struct{})
		go d.run(ctx)
	}
	w.alpha.start()
	w.beta.start()
	tb.Cleanup(func() {
		cancel()
		for _, d := range w.devices {
			<-d.done
		}
		w.alpha.stop()
		w.beta.stop()
	})
}

// by returns the provider that a URI of its domain belongs to.
func (w *world) by(uri string) *provider {
	if strings.Contains(uri, "alpha") {
		return w.alpha
	}
	return w.beta
}

func (w *world) unreachableError() error { return coordinator.ErrUnreachable }

func (w *world) refusedError(err error) error {
	return fmt.Errorf("%w: %w", coordinator.ErrRefused, err)
}

// A provider is a coordinator with all that it needs, in memory.
type provider struct {
	name   string
	world  *world
	ca     *est.CA
	rights *esttest.Store
	store  *coordtest.Store
	fleet  *fleetStore
	signer transfer.Signer
	tls    []byte
	domain coordinator.Domain
	change func(*coordinator.Options)

	mu     sync.Mutex
	c      *coordinator.Coordinator
	cancel context.CancelFunc
	ended  chan error
	away   bool                       // no partner and no device reaches it
	closed bool                       // no device reaches it
	noDM   bool                       // no device can register
	lose   map[coordinator.Action]int // calls to it that are performed and not answered
	deaf   map[string]int             // operations on devices performed and not answered, by name
	cut    *cutStore
	calls  []coordinator.Call // received
	ids    int
}

func newProvider(tb testing.TB, w *world, name string) *provider {
	tb.Helper()
	p := &provider{
		name: name, world: w, rights: &esttest.Store{}, store: &coordtest.Store{}, fleet: &fleetStore{},
		lose: map[coordinator.Action]int{}, deaf: map[string]int{},
	}
	p.ca = esttest.NewCA(tb, name, p.rights, time.Now)
	check(tb, p.ca.TrustFactoryCA(tb.Context(), w.factory.Root().Raw))
	key := esttest.Key(tb)
	issued, err := p.ca.IssueSigner(tb.Context(), est.KindTransferSigner, name+" transfer", key.Public())
	check(tb, err)
	p.signer = transfer.Signer{Key: key, Certificate: issued.DER}
	issued, err = p.ca.IssuePeer(tb.Context(), name, strings.ToLower(name)+".example", esttest.Key(tb).Public())
	check(tb, err)
	p.tls = issued.DER
	host := "coaps://" + strings.ToLower(name) + ".example"
	p.domain = coordinator.Domain{
		ServerURI: host, EnrollURI: host, UpdateURI: host + "/update", Grace: testGrace,
		Account: transfer.Account{SSID: 101, Lifetime: 300},
		Anchors: []transfer.OfferCertificate{
			{Certificate: p.ca.Certificate().Raw, Purposes: transfer.Enrol | transfer.DM | transfer.Update},
			{Certificate: p.signer.Certificate, Purposes: transfer.TransferSigner},
		},
	}
	return p
}

// open makes the coordinator anew, over what is stored.
func (p *provider) open(tb testing.TB) {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.openLocked(tb)
}

func (p *provider) openLocked(tb testing.TB) {
	tb.Helper()
	var store coordinator.Store = p.store
	if p.cut != nil {
		store = p.cut
	}
	o := coordinator.Options{
		Name: p.name, Store: store, CA: p.ca, Devices: devices{p}, Sessions: devices{p}, Fleet: p.fleet,
		Peers: peers{p}, Audit: p.store, Signer: p.signer, Domain: p.domain, TLS: p.tls,
		PeerURI: "https://" + strings.ToLower(p.name) + ".example:8443", NewID: p.newID,
		Manifests: func(context.Context, fleet.ID) (out []transfer.ManifestRef, _ error) {
			for _, i := range p.world.installed {
				out = append(out, transfer.ManifestRef{Digest: i.Digest, Sequence: i.Sequence})
			}
			return out, nil
		},
		Poll: time.Second, MaxPoll: 20 * time.Second, ArmWait: time.Minute,
	}
	if p.change != nil {
		p.change(&o)
	}
	var err error
	p.c, err = coordinator.New(o)
	check(tb, err)
}

func (p *provider) newID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids++
	return fmt.Sprintf("%s%04d", p.name, p.ids)
}

// start runs the coordinator.
func (p *provider) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.ended = cancel, make(chan error, 1)
	go func(c *coordinator.Coordinator, ended chan error) { ended <- c.Run(ctx) }(p.c, p.ended)
}

// stop ends it, as a crash does as far as the store is concerned.
func (p *provider) stop() {
	p.mu.Lock()
	cancel, ended := p.cancel, p.ended
	p.mu.Unlock()
	if cancel != nil {
		cancel()
		<-ended
	}
}

func (p *provider) coordinator() *coordinator.Coordinator {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.c
}

func (p *provider) unreachable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}

// shut reports whether no device gets in.
func (p *provider) shut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away || p.closed
}

func (p *provider) setAway(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

// pin makes o a partner of p, by its identity file.
func (p *provider) pin(tb testing.TB, o *provider) {
	tb.Helper()
	file, err := o.c.Identity()
	check(tb, err)
	_, err = p.c.AddPartner(tb.Context(), file, "", "operator:carol")
	check(tb, err)
}

// partner returns p's record of o.
func (p *provider) partner(tb testing.TB, o *provider) coordinator.Partner {
	tb.Helper()
	all, err := p.store.ListPartners(tb.Context())
	check(tb, err)
	i := slices.IndexFunc(all, func(r coordinator.Partner) bool { return r.Name == o.name })
	if i < 0 {
		tb.Fatalf("%s has not pinned %s", p.name, o.name)
	}
	return all[i]
}

// peers carries calls of one provider to the other, which identifies the caller by
// its TLS key as the listener does.
type peers struct{ from *provider }

func (p peers) Post(ctx context.Context, to coordinator.Partner, call coordinator.Call) ([]byte, error) {
	server, partner, err := p.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	server.mu.Lock()
	lost := server.lose[call.Action] > 0
	server.lose[call.Action]--
	server.calls = append(server.calls, call)
	server.mu.Unlock()
	reply, err := server.coordinator().Receive(ctx, partner, call)
	if lost {
		return nil, coordinator.ErrPartnerAway
	}
	return reply.Body, wire(err)
}

func (p peers) Status(ctx context.Context, to coordinator.Partner, id string) (coordinator.Status, error) {
	server, partner, err := p.reach(ctx, to)
	if err != nil {
		return coordinator.Status{}, err
	}
	s, err := server.coordinator().StatusFor(ctx, partner, id)
	return s, wire(err)
}

func (p peers) reach(ctx context.Context, to coordinator.Partner) (*provider, coordinator.Partner, error) {
	server := p.from.world.by(to.PeerURI)
	if server.unreachable() || p.from.unreachable() {
		return nil, coordinator.Partner{}, coordinator.ErrPartnerAway
	}
	partner, err := server.coordinator().Identify(ctx, coordinator.SPKI(parse(p.from.world.t, p.from.tls)), "192.0.2.1")
	return server, partner, wire(err)
}

// wire is what remains of an error on the way.
func wire(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, coordinator.ErrUnknown), errors.Is(err, coordinator.ErrState),
		errors.Is(err, coordinator.ErrInvalid), errors.Is(err, coordinator.ErrKeyReused):
		return fmt.Errorf("%w: %s", coordinator.ErrDeclined, err.Error())
	default:
		return fmt.Errorf("%w: %s", coordinator.ErrPartnerAway, err.Error())
	}
}

// devices is a provider's access to the devices that are registered with it.
type devices struct{ p *provider }

func (x devices) find(id fleet.ID) (*device, error) {
	if x.p.unreachable() {
		return nil, coordinator.ErrUnreachable
	}
	for _, d := range x.p.world.devices {
		if d.id(x.p) == id {
			return d, nil
		}
	}
	return nil, coordinator.ErrUnreachable
}

// do performs an operation and loses the answer if that is asked for.
func (x devices) do(id fleet.ID, op transfer.Operation, p lwm2m.Path, fn func(*device) error) error {
	d, err := x.find(id)
	if err != nil {
		return err
	}
	err = d.operate(x.p, op, p, func() error { return fn(d) })
	name := fmt.Sprintf("%s %d", op, p.Object())
	if p.Len() > 2 {
		name += fmt.Sprintf("/%d", p.ID(2))
	}
	x.p.mu.Lock()
	defer x.p.mu.Unlock()
	if x.p.deaf[name] > 0 {
		x.p.deaf[name]--
		return coordinator.ErrUnreachable
	}
	return err
}

func (x devices) Read(_ context.Context, id fleet.ID, p lwm2m.Path) (out []lwm2m.Entry, err error) {
	err = x.do(id, transfer.OpRead, p, func(d *device) error { out = d.read(p); return nil })
	return out, err
}

func (x devices) Write(_ context.Context, id fleet.ID, p lwm2m.Path, v lwm2m.Value) error {
	return x.do(id, transfer.OpWrite, p, func(d *device) error { return d.write(p, v) })
}

func (x devices) Create(_ context.Context, id fleet.ID, object uint16, entries []lwm2m.Entry) error {
	return x.do(id, transfer.OpCreate, lwm2m.NewPath(object), func(d *device) error { return d.create(entries) })
}

func (x devices) Execute(_ context.Context, id fleet.ID, p lwm2m.Path, args string) error {
	return x.do(id, transfer.OpExecute, p, func(d *device) error { return d.execute(p, args) })
}

func (x devices) Observe(_ context.Context, id fleet.ID, p lwm2m.Path) error {
	return x.do(id, transfer.OpRead, p, func(*device) error { return nil })
}

func (x devices) Delete(_ context.Context, id fleet.ID, p lwm2m.Path) error {
	return x.do(id, transfer.OpDelete, p, func(d *device) error { return d.tr.DeleteAnchor(p.ID(1)) })
}

func (x devices) ReadFactory(_ context.Context, f fleet.Factory, p lwm2m.Path) (out []lwm2m.Entry, err error) {
	for _, d := range x.p.world.devices {
		if fleet.Factory(d.Factory) == f {
			err = d.operate(x.p, transfer.OpRead, p, func() error { out = d.read(p); return nil })
			return out, err
		}
	}
	return nil, coordinator.ErrUnreachable
}

func (x devices) Dismiss(_ context.Context, id fleet.ID, _ string) error {
	for _, d := range x.p.world.devices {
		d.mu.Lock()
		if d.at == x.p && d.id(x.p) == id {
			d.at = nil
		}
		d.mu.Unlock()
	}
	return nil
}

// fleetStore keeps devices in memory.
type fleetStore struct {
	mu sync.Mutex
	m  map[fleet.ID]fleet.Device
}

func (s *fleetStore) find(is func(fleet.Device) bool) (fleet.Device, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.m)) {
		if is(s.m[id]) {
			return s.m[id], nil
		}
	}
	return fleet.Device{}, fleet.ErrUnknown
}

func (s *fleetStore) Device(_ context.Context, id fleet.ID) (fleet.Device, error) {
	return s.find(func(d fleet.Device) bool { return d.ID == id })
}

func (s *fleetStore) ByFactory(_ context.Context, f fleet.Factory) (fleet.Device, error) {
	return s.find(func(d fleet.Device) bool { return d.Factory == f })
}

func (s *fleetStore) ByEndpoint(_ context.Context, e lwm2m.Endpoint) (fleet.Device, error) {
	return s.find(func(d fleet.Device) bool { return d.Endpoint == e })
}

func (s *fleetStore) Put(_ context.Context, d fleet.Device, _, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[fleet.ID]fleet.Device{}
	}
	s.m[d.ID] = d
	return nil
}

// handOver drafts and submits a transfer of all devices, and approves it at both
// sides as soon as each may.
func (w *world) handOver(tb testing.TB) string {
	tb.Helper()
	ids := []fleet.ID{}
	for _, d := range w.devices {
		ids = append(ids, d.id(w.alpha))
	}
	draft, err := w.alpha.coordinator().Draft(tb.Context(), coordinator.Draft{
		Partner: w.alpha.partner(tb, w.beta).ID, Devices: ids, Actor: "operator:alice",
		Window: transfer.NewWindow(w.earliest, time.Now().Add(time.Hour)), Mandate: w.mandate,
	})
	check(tb, err)
	_, err = w.alpha.coordinator().Submit(tb.Context(), draft.ID, "operator:alice")
	check(tb, err)
	if w.submitted != nil {
		w.submitted()
	}
	w.approve(tb, w.beta, draft.ID, transfer.BatchInfoAccepted)
	w.approve(tb, w.alpha, draft.ID, transfer.BatchOffered)
	return draft.ID
}

// approve waits until a transfer may be approved and does it.
func (w *world) approve(tb testing.TB, p *provider, id string, at transfer.BatchState) {
	tb.Helper()
	for range 600 {
		got, err := p.store.Transfer(tb.Context(), id)
		if err == nil && len(got.Approvals) > 0 {
			return // the answer to the approval was lost in a crash
		}
		if err == nil && got.State == at {
			if _, err := p.coordinator().Approve(tb.Context(), id, "operator:bob", "as agreed"); err == nil {
				return
			} else if w.submitted == nil {
				tb.Fatal(err)
			}
		}
		time.Sleep(time.Second)
	}
	got, err := p.store.Transfer(tb.Context(), id)
	tb.Fatalf("transfer at %s is %s (%s), %v, want %s", p.name, got.State, got.Reason, err, at)
}

// states returns how many rows of a transfer are in each state at a provider.
func (p *provider) states(tb testing.TB, id string) map[transfer.RowState]int {
	tb.Helper()
	n, err := p.store.Count(tb.Context(), id)
	check(tb, err)
	return n
}

// moved checks that all devices are Beta's, and Alpha's no more.
func (w *world) moved(tb testing.TB, id string) {
	tb.Helper()
	want := map[transfer.RowState]int{transfer.RowRevokedOld: len(w.devices)}
	for _, p := range []*provider{w.alpha, w.beta} {
		if got := p.states(tb, id); !maps.Equal(got, want) {
			tb.Errorf("%s has %v, want %v", p.name, got, want)
			w.explain(tb, p, id)
		}
		if got, _ := p.store.Transfer(tb.Context(), id); got.State != transfer.BatchComplete {
			tb.Errorf("transfer at %s is %s (%s), want COMPLETE", p.name, got.State, got.Reason)
		}
	}
	for _, d := range w.devices {
		s, at := d.state()
		if s.State != transfer.Finalised || at != w.beta {
			tb.Errorf("%s is %s at %v", d.Endpoint, s.State, at)
		}
		w.gone(tb, d, w.alpha)
		if o, _ := w.beta.fleet.ByFactory(tb.Context(), fleet.Factory(d.Factory)); o.Ownership != fleet.Owned {
			tb.Errorf("%s is %s at Beta", d.Endpoint, o.Ownership)
		}
	}
}

// gone checks that neither the old nor the factory key of a device opens anything
// at p (T3).
func (w *world) gone(tb testing.TB, d *device, p *provider) {
	tb.Helper()
	if err := p.ca.Live(tb.Context(), sha256.Sum256(d.old), time.Now()); !errors.Is(err, est.ErrRevoked) &&
		p == w.alpha {
		tb.Errorf("old certificate of %s at %s: %v, want ErrRevoked", d.Endpoint, p.name, err)
	}
	if c, err := p.ca.Identify(tb.Context(), [][]byte{d.DER}); err == nil {
		tb.Errorf("factory certificate of %s is %v at %s", d.Endpoint, c, p.name)
	}
	o, err := p.fleet.ByFactory(tb.Context(), fleet.Factory(d.Factory))
	if o.Ownership != fleet.Left && !errors.Is(err, fleet.ErrUnknown) {
		tb.Errorf("%s is %s at %s", d.Endpoint, o.Ownership, p.name)
	}
}

// explain logs the rows of a transfer.
func (w *world) explain(tb testing.TB, p *provider, id string) {
	tb.Helper()
	rows, _ := p.store.ListRows(tb.Context(), id, "", 100)
	for _, r := range rows {
		tb.Logf("%s %s: %s %v %q tries %d due %v", p.name, r.Endpoint, r.State, r.Pending, r.Reason, r.Tries, r.Due)
	}
}

// fellBack checks that all devices are Alpha's again, with new keys, and that
// nothing opens anything at Beta.
func (w *world) fellBack(tb testing.TB, id string) {
	tb.Helper()
	want := map[transfer.RowState]int{transfer.RowFellBack: len(w.devices)}
	for _, p := range []*provider{w.alpha, w.beta} {
		if got := p.states(tb, id); !maps.Equal(got, want) {
			tb.Errorf("%s has %v, want %v", p.name, got, want)
			w.explain(tb, p, id)
		}
		if got, _ := p.store.Transfer(tb.Context(), id); got.State != transfer.BatchPartial {
			tb.Errorf("transfer at %s is %s (%s), want PARTIAL", p.name, got.State, got.Reason)
		}
	}
	for _, d := range w.devices {
		s, at := d.state()
		_, der, ok := d.tr.Operational()
		if s.State != transfer.FellBack || at != w.alpha || !ok || string(der) == string(d.old) {
			tb.Errorf("%s is %s at %v", d.Endpoint, s.State, at)
		}
		w.gone(tb, d, w.beta)
		if err := w.alpha.ca.Live(tb.Context(), sha256.Sum256(d.old), time.Now()); !errors.Is(err, est.ErrRevoked) {
			tb.Errorf("certificate of %s before the transfer: %v, want ErrRevoked", d.Endpoint, err)
		}
		if o, _ := w.alpha.fleet.ByFactory(tb.Context(), fleet.Factory(d.Factory)); o.Ownership != fleet.Owned {
			tb.Errorf("%s is %s at Alpha", d.Endpoint, o.Ownership)
		}
		live, err := w.beta.ca.List(tb.Context(), est.Query{Kind: est.KindOperational, Status: est.StatusValid})
		if err != nil || len(live) > 0 {
			tb.Errorf("Beta has %d live certificates, %v", len(live), err)
		}
	}
}

// until waits for a condition.
func until(tb testing.TB, limit time.Duration, what string, is func() bool) {
	tb.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("after %v still not: %s", limit, what)
		}
	}
}

type fleetID = fleet.ID

func people(n int) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return n, nil }
}

func fleetFactory(d *device) fleet.Factory { return fleet.Factory(d.Factory) }

// drive waits until a transfer is over.
func (w *world) drive(tb testing.TB, id string) {
	tb.Helper()
	until(tb, 10*time.Minute, "over at both", func() bool {
		a, _ := w.alpha.store.Transfer(tb.Context(), id)
		b, _ := w.beta.store.Transfer(tb.Context(), id)
		return a.Over() && b.Over()
	})
}

// A user is a service user with its key and identity file.
type user struct {
	signer transfer.Signer
	file   []byte
}

func newUser(tb testing.TB, w *world) user {
	tb.Helper()
	key := esttest.Key(tb)
	issued, err := w.alpha.ca.IssueSigner(tb.Context(), est.KindTransferSigner, "User", key.Public())
	check(tb, err)
	file, err := coordinator.SignIdentity(coordinator.Identity{
		Name: "User", Kind: coordinator.ServiceUser,
		Signing: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.DER})),
	}, key)
	check(tb, err)
	return user{transfer.Signer{Key: key, Certificate: issued.DER}, file}
}

// mandate orders the move of all devices, signed by somebody.
func (u user) mandate(tb testing.TB, w *world, by transfer.Signer) []byte {
	tb.Helper()
	now := time.Now()
	m := transfer.Mandate{
		Issuer: "User", Expires: transfer.SecondsOf(now.Add(48 * time.Hour)), IssuedAt: transfer.SecondsOf(now),
		ID: []byte("mandate"), MandateTerms: transfer.MandateTerms{
			From: "Alpha", To: "Beta", Window: transfer.NewWindow(now.Add(-time.Hour), now.Add(48*time.Hour)),
		},
	}
	for _, d := range w.devices {
		m.Devices.Factory = append(m.Devices.Factory, transfer.Hash(d.Factory))
	}
	raw, err := m.Sign(by)
	check(tb, err)
	return raw
}
