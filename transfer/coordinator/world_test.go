package coordinator_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
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
	installed   []transfer.Installed // by all, at first
	software    software
	mandate     []byte    // of a service user; nil: self
	owner       []byte    // whose mandates devices demand that are made; nil: nobody
	earliest    time.Time // of the window; zero: now
	attest      bool      // demanded by the self mandate
	verifier    string    // demanded by Alpha
	gamma       *provider // a third one; nil: none
	// gates are set by Beta before it approves; nil: as they are
	gates  *coordinator.Gates
	faults atomic.Pointer[faults]                                         // nil: none
	filter func(name string, perform func() error) (mine bool, err error) // of operations on devices; nil: none
	// moving are the devices that handOver hands over; nil: all.
	moving []*device
	// submitted is called when a transfer was submitted; operators then try again.
	submitted func()
}

const testGrace = 60 * time.Second

// newWorld makes Alpha with n devices, and Beta; both have CAs of another kind if more
// says so. Nothing runs before start.
func newWorld(tb testing.TB, n int, more ...func(*est.Options)) *world {
	tb.Helper()
	w := &world{t: tb, installed: []transfer.Installed{{
		Digest: transfer.NewCertHash(transfer.HashOf([]byte("manifest"))), Sequence: 2,
	}}}
	w.software.runs, w.software.known = map[string][]transfer.Installed{}, map[string][]transfer.Installed{}
	w.factory = esttest.NewFactory(tb, time.Now)
	w.alpha, w.beta = newProvider(tb, w, "Alpha", more...), newProvider(tb, w, "Beta", more...)
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
	switch {
	case strings.Contains(uri, "alpha"):
		return w.alpha
	case strings.Contains(uri, "gamma"):
		return w.gamma
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

	mu      sync.Mutex
	c       *coordinator.Coordinator
	cancel  context.CancelFunc
	ended   chan error
	away    bool                       // no partner and no device reaches it
	closed  bool                       // no device reaches it
	noDM    bool                       // no device can register,
	places  int                        // but for so many
	lose    map[coordinator.Action]int // calls to it that are performed and not answered
	deaf    map[string]int             // operations on devices performed and not answered, by name
	cut     *cutStore
	calls   []coordinator.Call // received
	attest  *attestation
	updates *updateServer
	ids     int
}

func newProvider(tb testing.TB, w *world, name string, more ...func(*est.Options)) *provider {
	tb.Helper()
	p := &provider{
		name: name, world: w, rights: &esttest.Store{}, store: &coordtest.Store{}, fleet: &fleetStore{},
		lose: map[coordinator.Action]int{}, deaf: map[string]int{},
	}
	p.ca = esttest.NewCA(tb, name, p.rights, time.Now, more...)
	check(tb, p.ca.TrustFactoryCA(tb.Context(), w.factory.Root().Raw))
	key := esttest.Key(tb)
	issued, err := p.ca.IssueSigner(tb.Context(), est.KindTransferSigner, name+" transfer", key.Public())
	check(tb, err)
	p.signer = transfer.Signer{Key: key, Certificate: issued.DER}
	issued, err = p.ca.IssuePeer(tb.Context(), name, strings.ToLower(name)+".example", esttest.Key(tb).Public())
	check(tb, err)
	p.tls = issued.DER
	host := "coaps://" + strings.ToLower(name) + ".example"
	p.attest, p.updates = newAttestation(tb, p), &updateServer{asked: map[est.Hash]bool{}, given: map[est.Hash]bool{}}
	p.domain = coordinator.Domain{
		RAURI:     host + "/ra",
		ServerURI: host, EnrollURI: host, UpdateURI: host + "/update", Grace: testGrace,
		Account: transfer.Account{SSID: 101, Lifetime: 300},
		Anchors: []transfer.OfferCertificate{
			{Certificate: p.ca.Certificate().Raw, Purposes: transfer.Enrol | transfer.DM | transfer.Update | transfer.RA},
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
		Manifests: p.manifests,
		Attesters: p.attest, Verifier: p.attest.signer.Certificate, Verdicts: p.attest.verifier,
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

// admits reports whether a device can register.
func (p *provider) admits(isNew bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.noDM || p.places == 0 {
		return !p.noDM
	}
	if isNew {
		p.places--
	}
	return true
}

func (p *provider) setAway(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

// loseNext loses the answer to the next call of that action to p.
func (p *provider) loseNext(a coordinator.Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose[a] = 1
}

// unheard are the operations of p whose answers are still to be lost.
func (p *provider) unheard() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.deaf)
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
