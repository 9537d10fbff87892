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

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
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
func newWorld(t testing.TB, n int) *world {
	t.Helper()
	w := &world{t: t, installed: []transfer.Installed{{
		Digest: transfer.NewCertHash(transfer.HashOf([]byte("manifest"))), Sequence: 2,
	}}}
	w.factory = esttest.NewFactory(t, time.Now)
	w.alpha, w.beta = newProvider(t, w, "Alpha"), newProvider(t, w, "Beta")
	for i := range n {
		w.devices = append(w.devices, newDevice(t, w, w.alpha, fmt.Sprintf("urn:dev:os:32473-%04d", i)))
	}
	w.alpha.open(t)
	w.beta.open(t)
	w.alpha.pin(t, w.beta)
	w.beta.pin(t, w.alpha)
	return w
}

// start runs everything until the test ends.
func (w *world) start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	for _, d := range w.devices {
		d.done = make(chan struct{})
		go d.run(ctx)
	}
	w.alpha.start()
	w.beta.start()
	t.Cleanup(func() {
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
	issuer transfer.Signer
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

func newProvider(t testing.TB, w *world, name string) *provider {
	t.Helper()
	p := &provider{
		name: name, world: w, rights: &esttest.Store{}, store: &coordtest.Store{}, fleet: &fleetStore{},
		lose: map[coordinator.Action]int{}, deaf: map[string]int{},
	}
	p.ca = esttest.NewCA(t, name, p.rights, time.Now)
	check(t, p.ca.TrustFactoryCA(t.Context(), w.factory.Root().Raw))
	key := esttest.Key(t)
	issued, err := p.ca.IssueSigner(t.Context(), est.KindTransferSigner, name+" transfer", key.Public())
	check(t, err)
	p.signer = transfer.Signer{Key: key, Certificate: issued.DER}
	issued, err = p.ca.IssuePeer(t.Context(), name, strings.ToLower(name)+".example", esttest.Key(t).Public())
	check(t, err)
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
func (p *provider) open(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.openLocked(t)
}

func (p *provider) openLocked(t testing.TB) {
	t.Helper()
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
	check(t, err)
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
func (p *provider) pin(t testing.TB, o *provider) {
	t.Helper()
	file, err := o.c.Identity()
	check(t, err)
	_, err = p.c.AddPartner(t.Context(), file, "", "operator:carol")
	check(t, err)
}

// partner returns p's record of o.
func (p *provider) partner(t testing.TB, o *provider) coordinator.Partner {
	t.Helper()
	all, err := p.store.ListPartners(t.Context())
	check(t, err)
	i := slices.IndexFunc(all, func(r coordinator.Partner) bool { return r.Name == o.name })
	if i < 0 {
		t.Fatalf("%s has not pinned %s", p.name, o.name)
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
		return fmt.Errorf("%w: %v", coordinator.ErrDeclined, err)
	default:
		return fmt.Errorf("%w: %v", coordinator.ErrPartnerAway, err)
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
func (w *world) handOver(t testing.TB) string {
	t.Helper()
	ids := []fleet.ID{}
	for _, d := range w.devices {
		ids = append(ids, d.id(w.alpha))
	}
	draft, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
		Partner: w.alpha.partner(t, w.beta).ID, Devices: ids, Actor: "operator:alice",
		Window: transfer.NewWindow(w.earliest, time.Now().Add(time.Hour)), Mandate: w.mandate,
	})
	check(t, err)
	_, err = w.alpha.coordinator().Submit(t.Context(), draft.ID, "operator:alice")
	check(t, err)
	if w.submitted != nil {
		w.submitted()
	}
	w.approve(t, w.beta, draft.ID, transfer.BatchInfoAccepted)
	w.approve(t, w.alpha, draft.ID, transfer.BatchOffered)
	return draft.ID
}

// approve waits until a transfer may be approved and does it.
func (w *world) approve(t testing.TB, p *provider, id string, at transfer.BatchState) {
	t.Helper()
	for range 600 {
		got, err := p.store.Transfer(t.Context(), id)
		if err == nil && len(got.Approvals) > 0 {
			return // the answer to the approval was lost in a crash
		}
		if err == nil && got.State == at {
			if _, err := p.coordinator().Approve(t.Context(), id, "operator:bob", "as agreed"); err == nil {
				return
			} else if w.submitted == nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
	}
	got, err := p.store.Transfer(t.Context(), id)
	t.Fatalf("transfer at %s is %s (%s), %v, want %s", p.name, got.State, got.Reason, err, at)
}

// states returns how many rows of a transfer are in each state at a provider.
func (p *provider) states(t testing.TB, id string) map[transfer.RowState]int {
	t.Helper()
	n, err := p.store.Count(t.Context(), id)
	check(t, err)
	return n
}

// moved checks that all devices are Beta's, and Alpha's no more.
func (w *world) moved(t testing.TB, id string) {
	t.Helper()
	want := map[transfer.RowState]int{transfer.RowRevokedOld: len(w.devices)}
	for _, p := range []*provider{w.alpha, w.beta} {
		if got := p.states(t, id); !maps.Equal(got, want) {
			t.Errorf("%s has %v, want %v", p.name, got, want)
			w.explain(t, p, id)
		}
		if got, _ := p.store.Transfer(t.Context(), id); got.State != transfer.BatchComplete {
			t.Errorf("transfer at %s is %s (%s), want COMPLETE", p.name, got.State, got.Reason)
		}
	}
	for _, d := range w.devices {
		s, at := d.state()
		if s.State != transfer.Finalised || at != w.beta {
			t.Errorf("%s is %s at %v", d.Endpoint, s.State, at)
		}
		w.gone(t, d, w.alpha)
		if o, _ := w.beta.fleet.ByFactory(t.Context(), fleet.Factory(d.Factory)); o.Ownership != fleet.Owned {
			t.Errorf("%s is %s at Beta", d.Endpoint, o.Ownership)
		}
	}
}

// gone checks that neither the old nor the factory key of a device opens anything
// at p (T3).
func (w *world) gone(t testing.TB, d *device, p *provider) {
	t.Helper()
	if err := p.ca.Live(t.Context(), est.Hash(sha256.Sum256(d.old)), time.Now()); !errors.Is(err, est.ErrRevoked) &&
		p == w.alpha {
		t.Errorf("old certificate of %s at %s: %v, want ErrRevoked", d.Endpoint, p.name, err)
	}
	if c, err := p.ca.Identify(t.Context(), [][]byte{d.DER}); err == nil {
		t.Errorf("factory certificate of %s is %v at %s", d.Endpoint, c, p.name)
	}
	o, err := p.fleet.ByFactory(t.Context(), fleet.Factory(d.Factory))
	if o.Ownership != fleet.Left && !errors.Is(err, fleet.ErrUnknown) {
		t.Errorf("%s is %s at %s", d.Endpoint, o.Ownership, p.name)
	}
}

// explain logs the rows of a transfer.
func (w *world) explain(t testing.TB, p *provider, id string) {
	t.Helper()
	rows, _ := p.store.ListRows(t.Context(), id, "", 100)
	for _, r := range rows {
		t.Logf("%s %s: %s %v %q tries %d due %v", p.name, r.Endpoint, r.State, r.Pending, r.Reason, r.Tries, r.Due)
	}
}

// fellBack checks that all devices are Alpha's again, with new keys, and that
// nothing opens anything at Beta.
func (w *world) fellBack(t testing.TB, id string) {
	t.Helper()
	want := map[transfer.RowState]int{transfer.RowFellBack: len(w.devices)}
	for _, p := range []*provider{w.alpha, w.beta} {
		if got := p.states(t, id); !maps.Equal(got, want) {
			t.Errorf("%s has %v, want %v", p.name, got, want)
			w.explain(t, p, id)
		}
		if got, _ := p.store.Transfer(t.Context(), id); got.State != transfer.BatchPartial {
			t.Errorf("transfer at %s is %s (%s), want PARTIAL", p.name, got.State, got.Reason)
		}
	}
	for _, d := range w.devices {
		s, at := d.state()
		_, der, ok := d.tr.Operational()
		if s.State != transfer.FellBack || at != w.alpha || !ok || string(der) == string(d.old) {
			t.Errorf("%s is %s at %v", d.Endpoint, s.State, at)
		}
		w.gone(t, d, w.beta)
		if err := w.alpha.ca.Live(t.Context(), est.Hash(sha256.Sum256(d.old)), time.Now()); !errors.Is(err, est.ErrRevoked) {
			t.Errorf("certificate of %s before the transfer: %v, want ErrRevoked", d.Endpoint, err)
		}
		if o, _ := w.alpha.fleet.ByFactory(t.Context(), fleet.Factory(d.Factory)); o.Ownership != fleet.Owned {
			t.Errorf("%s is %s at Alpha", d.Endpoint, o.Ownership)
		}
		live, err := w.beta.ca.List(t.Context(), est.Query{Kind: est.KindOperational, Status: est.StatusValid})
		if err != nil || len(live) > 0 {
			t.Errorf("Beta has %d live certificates, %v", len(live), err)
		}
	}
}

// until waits for a condition.
func until(t testing.TB, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v still not: %s", limit, what)
		}
	}
}

type fleetID = fleet.ID

func people(n int) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return n, nil }
}

func fleetFactory(d *device) fleet.Factory { return fleet.Factory(d.Factory) }

// drive waits until a transfer is over.
func (w *world) drive(t testing.TB, id string) {
	t.Helper()
	until(t, 10*time.Minute, "over at both", func() bool {
		a, _ := w.alpha.store.Transfer(t.Context(), id)
		b, _ := w.beta.store.Transfer(t.Context(), id)
		return a.Over() && b.Over()
	})
}

// A user is a service user with its key and identity file.
type user struct {
	signer transfer.Signer
	file   []byte
}

func newUser(t testing.TB, w *world) user {
	t.Helper()
	key := esttest.Key(t)
	issued, err := w.alpha.ca.IssueSigner(t.Context(), est.KindTransferSigner, "User", key.Public())
	check(t, err)
	file, err := coordinator.SignIdentity(coordinator.Identity{
		Name: "User", Kind: coordinator.ServiceUser,
		Signing: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.DER})),
	}, key)
	check(t, err)
	return user{transfer.Signer{Key: key, Certificate: issued.DER}, file}
}

// mandate orders the move of all devices, signed by somebody.
func (u user) mandate(t testing.TB, w *world, by transfer.Signer) []byte {
	t.Helper()
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
	check(t, err)
	return raw
}
