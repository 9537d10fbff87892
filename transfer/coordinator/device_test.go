package coordinator_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/transfer"
)

// A device is transfer.Device with the loop around it that a program has. Who it
// is registered with can manage it, by the rule table.
type device struct {
	esttest.Device

	world  *world
	memory transfer.DeviceOptions // what it starts from
	mu     sync.Mutex
	tr     *transfer.Device
	at     *provider            // registered there
	asked  *provider            // holds an association with the factory certificate
	off    bool                 // without power
	offIn  transfer.DeviceState // where its power goes for a while, once
	wasOff bool
	poke   chan struct{}
	done   chan struct{}
	next   time.Time         // of the next attempt at an activity
	old    []byte            // operational certificate before the first commit
	ak     *ecdsa.PrivateKey // attestation key
	image  string            // what runs
	stale  bool              // it keeps its key although it attested
	// noClock: it knows no time. naps: it listens for a while after it has spoken, and
	// speaks now and then (queue mode).
	noClock, naps bool
	spoke         time.Time
}

func newKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// newDevice makes a device that is enrolled and registered at home.
func newDevice(tb testing.TB, w *world, home *provider, name string) *device {
	tb.Helper()
	ak, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(tb, err)
	d := &device{
		ak: ak, image: goodImage, Device: esttest.NewDevice(tb, w.factory, name), world: w, poke: make(chan struct{}, 1),
	}
	esttest.Grant(tb, home.ca, w.factory, d.Device)
	_, err = home.ca.OpenRight(tb.Context(), d.Factory, est.Hash{})
	check(tb, err)
	journal := &transfer.MemoryJournal{}
	anchors := []transfer.Anchor{{
		Certificate: w.factory.Root().Raw, Purposes: transfer.Enrol | transfer.Fallback, Domain: transfer.Permanent,
	}}
	if w.owner != nil {
		anchors = append(anchors, transfer.Anchor{
			Certificate: w.owner, Purposes: transfer.MandateSigner, Domain: transfer.Permanent,
		})
	}
	for _, a := range home.domain.Anchors {
		anchors = append(anchors, transfer.Anchor{
			Certificate: a.Certificate, Purposes: a.Purposes, Domain: transfer.Current,
		})
	}
	check(tb, transfer.Provision(journal, transfer.Home{
		ServerURI: home.domain.ServerURI, EnrollURI: home.domain.EnrollURI, Account: home.domain.Account,
	}, anchors))
	d.memory = transfer.DeviceOptions{
		Journal: journal, FactoryKey: d.Key, FactoryCertificate: d.DER, NewKey: newKey,
		Firmware: func() ([]transfer.Installed, bool) { return w.runs(name, false), false },
	}
	d.tr, err = transfer.OpenDevice(d.memory)
	check(tb, err)
	key, err := d.tr.EnrolmentKey()
	check(tb, err)
	issued, err := home.ca.Enrol(tb.Context(), est.Request{Client: d.Client(), CSR: esttest.CSR(tb, key, name)})
	check(tb, err)
	check(tb, d.tr.SetOperational(issued.DER))
	d.old, d.at = issued.DER, home
	check(tb, home.fleet.Put(tb.Context(), fleet.Device{
		ID: d.id(home), Factory: fleet.Factory(d.Factory), Endpoint: lwm2m.Endpoint(name), Ownership: fleet.Owned,
	}, "test", ""))
	return d
}

// id is the device's id at a provider, also before the provider knows it.
func (d *device) id(p *provider) fleet.ID {
	if known, err := p.fleet.ByFactory(context.Background(), fleet.Factory(d.Factory)); err == nil {
		return known.ID
	}
	return fleet.ID(p.name + "-" + d.Endpoint)
}

const turn = 2 * time.Second // how often a device looks around

// run is the loop of the device's program, one turn after another, or when poked.
func (d *device) run(ctx context.Context) {
	defer close(d.done)
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.mu.Lock()
			if !d.off {
				_ = d.tr.Tick(turn, d.now())
			}
			d.mu.Unlock()
		case <-d.poke:
		case <-ctx.Done():
			return
		}
		d.turn(ctx)
		d.stay()
	}
}

// now is the time that the device knows.
func (d *device) now() time.Time {
	if d.noClock {
		return time.Time{}
	}
	return time.Now()
}

// Of devices that nap: how long they listen, and how often they speak.
const (
	listens = 10 * time.Second
	speaks  = 2 * time.Minute
)

// asleep reports whether nobody reaches the device now. The caller holds mu.
func (d *device) asleep() bool { return d.naps && time.Since(d.spoke) > listens }

// offFor takes the device's power away for a while.
func (d *device) offFor(t time.Duration) {
	d.mu.Lock()
	d.off = true
	d.mu.Unlock()
	go func() {
		select {
		case <-time.After(t):
		case <-d.done: // the test may have failed in between
		}
		d.mu.Lock()
		d.off = false
		d.mu.Unlock()
	}()
}

// powerless reports whether the device has no power.
func (d *device) powerless() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.off
}

// stay registers a device again that has lost its association.
func (d *device) stay() {
	d.mu.Lock()
	s, home, lost := d.tr.Status().State, d.tr.Home(), d.at == nil && !d.off
	if d.naps && time.Since(d.spoke) > speaks {
		lost = !d.off
	}
	d.mu.Unlock()
	if !lost || !s.AtRest() && s != transfer.Ready && s != transfer.Done {
		return
	}
	if !d.register(d.world.by(home.ServerURI)) && s == transfer.Done {
		d.failed()
	}
}

func (d *device) turn(ctx context.Context) {
	for {
		d.mu.Lock()
		if s := d.tr.Status().State; s == d.offIn && s != "" {
			d.offIn, d.wasOff = "", true
			d.mu.Unlock()
			d.offFor(3 * testGrace)
			d.mu.Lock()
		}
		off := d.off
		e, ok := d.tr.Next()
		d.mu.Unlock()
		if !ok || off || ctx.Err() != nil {
			return
		}
		if e.Waits {
			if time.Now().Before(d.next) {
				return
			}
			if !d.attempt(ctx, e) {
				s, _ := d.state()
				d.next = time.Now().Add(transfer.Retry{First: time.Second, Max: time.Minute}.Delay(s.Attempts, 0))
				return
			}
			d.next = time.Time{}
			continue
		}
		d.perform(e)
		d.mu.Lock()
		err := d.tr.Done(e.Do)
		d.mu.Unlock()
		if err != nil {
			d.world.t.Errorf("%s: Done(%s) = %v", d.Endpoint, e.Do, err)
			return
		}
	}
}

// perform does what takes no time.
func (d *device) perform(e transfer.Effect) {
	switch e.Do {
	case transfer.DoDeregister, transfer.DoWipeTransport:
		d.mu.Lock()
		d.at, d.asked = nil, nil
		d.mu.Unlock()
	case transfer.DoServe:
		d.register(d.world.by(e.Home.ServerURI))
	case transfer.DoReport:
		d.contact(d.world.by(e.Home.ServerURI), transfer.Hash{})
	default:
	}
}

// contact is a request with the factory certificate, which leaves an association.
func (d *device) contact(p *provider, spki transfer.Hash) {
	d.mu.Lock()
	d.asked, d.spoke = p, time.Now()
	d.mu.Unlock()
	p.coordinator().FactoryContact(fleet.Factory(d.Factory), spki)
}

// attempt tries the current activity. It returns false to wait.
func (d *device) attempt(ctx context.Context, e transfer.Effect) bool {
	p := d.world.by(e.URI)
	if p.shut() {
		d.failed()
		return false
	}
	switch e.Do {
	case transfer.DoEnrol:
		return d.enrol(ctx, p, e)
	case transfer.DoRegister:
		if e.Renew && !d.stale && !d.renew(ctx, p) || !d.register(p) {
			d.failed()
			return false
		}
		d.mu.Lock()
		err := d.tr.Registered()
		d.mu.Unlock()
		check(d.world.t, err)
		p.coordinator().Registered(d.id(p))
		return true
	case transfer.DoAttest:
		return d.attest(ctx, p)
	case transfer.DoUpdate:
		return d.update(ctx, p)
	default:
		d.world.t.Errorf("activity %s is not expected", e.Do)
		return false
	}
}

func (d *device) failed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	check(d.world.t, d.tr.Failed())
}

func (d *device) enrol(ctx context.Context, p *provider, e transfer.Effect) bool {
	csr, err := est.NewCSR(e.Key, d.Endpoint)
	check(d.world.t, err)
	spki, err := transfer.SPKIHash(e.Key.Public())
	check(d.world.t, err)
	fault := d.world.faults.Load().at(p, "enrols")
	if fault == faultRequest || fault == faultHeld {
		d.failed()
		return false
	}
	issued, err := p.ca.Enrol(ctx, est.Request{Client: d.Client(), CSR: csr})
	switch fault {
	case faultAnswer:
		d.failed()
		return false
	case faultTwice:
		issued, err = p.ca.Enrol(ctx, est.Request{Client: d.Client(), CSR: csr})
	case faultOff:
		d.offFor(3 * testGrace)
	}
	if err != nil {
		d.contact(p, spki)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case errors.Is(err, est.ErrForbidden), errors.Is(err, est.ErrWrongKey):
		const forbidden = 4<<5 | 3
		check(d.world.t, d.tr.Refused(forbidden))
		return false
	case err != nil:
		check(d.world.t, d.tr.Failed())
		return false
	}
	check(d.world.t, d.tr.Enrolled(issued.DER))
	p.coordinator().Enrolled(fleet.Factory(d.Factory))
	return true
}

// renew takes a fresh key before the device registers.
func (d *device) renew(ctx context.Context, p *provider) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, err := d.tr.FreshKey()
	check(d.world.t, err)
	csr, err := est.NewCSR(key, d.Endpoint)
	check(d.world.t, err)
	_, der, _ := d.tr.Operational()
	client := est.Client{
		Role: est.RoleOperational, Certificate: est.Hash(transfer.HashOf(der)), Factory: d.Factory, Name: d.Endpoint,
	}
	issued, err := p.ca.Reenrol(ctx, est.Request{Client: client, CSR: csr})
	if err != nil {
		return false
	}
	check(d.world.t, d.tr.Renewed(issued.DER))
	return true
}

// register is what the LwM2M server decides: our own inventory, by the certificate.
func (d *device) register(p *provider) bool {
	if p.shut() {
		return false
	}
	d.mu.Lock()
	_, der, ok := d.tr.Operational()
	d.mu.Unlock()
	if !ok || p.ca.Live(context.Background(), est.Hash(transfer.HashOf(der)), time.Now()) != nil {
		return false
	}
	known, err := p.fleet.ByFactory(context.Background(), fleet.Factory(d.Factory))
	if err != nil || known.Ownership == fleet.Left {
		return false
	}
	d.mu.Lock()
	admitted := p.admits(d.at != p)
	if admitted {
		d.at, d.spoke = p, time.Now()
	}
	d.mu.Unlock()
	if !admitted {
		return false
	}
	p.coordinator().Registered(known.ID)
	return true
}

// state returns the state and who serves the device.
func (d *device) state() (transfer.Status, *provider) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tr.Status(), d.at
}

// operate is an operation of a provider's server, if the device lets it.
func (d *device) operate(p *provider, op transfer.Operation, path lwm2m.Path, fn func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off || d.asleep() || d.at != p && (op != transfer.OpRead || d.asked != p) {
		return p.world.unreachableError()
	}
	state := d.tr.Status().State
	party := transfer.CurrentDM
	switch state {
	case transfer.Done, transfer.Register:
		party = transfer.NewDM
	case transfer.InFall:
		party = transfer.FallbackDM
	default:
	}
	place := transfer.PlaceOf(path, transfer.ObjectIDs{
		Truststore: objects.DefaultIDs.Truststore, Enrolment: objects.DefaultIDs.Enrolment,
		Transfer: objects.DefaultIDs.Transfer,
	})
	if !transfer.Permitted(state, party, op, place) {
		return p.world.refusedError(fmt.Errorf("%s %s in %s", op, path, state))
	}
	if err := fn(); err != nil {
		return p.world.refusedError(err)
	}
	select {
	case d.poke <- struct{}{}:
	default:
	}
	return nil
}

// read is the values of path.
func (d *device) read(path lwm2m.Path) (out []lwm2m.Entry) {
	var all []lwm2m.Entry
	switch path.Object() {
	case objects.DefaultIDs.Truststore:
		for _, a := range d.tr.Truststore() {
			thumbprint := a.Thumbprint()
			all = append(all, objects.Truststore{
				Anchor: objects.Anchor{Certificate: a.Certificate, Purposes: uint64(a.Purposes)},
				Domain: uint8(a.Domain), Thumbprint: thumbprint[:],
			}.Entries(lwm2m.NewPath(path.Object(), a.Instance))...)
		}
	case objects.DefaultIDs.Transfer:
		s := d.tr.Status()
		object := objects.Transfer{State: s.State.Number(), Error: s.Error, Epoch: s.Epoch, Receipt: s.Receipt}
		if !s.Message.IsZero() {
			object.MessageHash = s.Message[:]
		}
		all = object.Entries(lwm2m.NewPath(path.Object(), 0))
	}
	for _, e := range all {
		if path.Contains(e.Path) {
			out = append(out, e)
		}
	}
	return out
}

func (d *device) write(path lwm2m.Path, v lwm2m.Value) error {
	if path.Object() == objects.DefaultIDs.Truststore {
		n, _ := v.Uint()
		return d.tr.WritePurposes(path.ID(1), transfer.Purposes(n))
	}
	if path.ID(2) == objects.TransferMandate {
		return d.tr.WriteMandate(v.Bytes())
	}
	return d.tr.WriteMessage(v.Bytes(), d.now())
}

func (d *device) execute(path lwm2m.Path, args string) error {
	order, err := transfer.ParseOrder(args)
	if err != nil {
		return err
	}
	switch path.ID(2) {
	case objects.TransferCommit:
		return d.tr.Commit(order, d.now())
	case objects.TransferAbort:
		return d.tr.Abort(order)
	case objects.TransferFinalise:
		return d.tr.Finalise(order)
	default:
		return d.tr.Return(order)
	}
}

func (d *device) create(entries []lwm2m.Entry) error {
	a, err := objects.DecodeAnchor(entries[0].Path.Prefix(2), entries)
	if err != nil {
		return err
	}
	_, err = d.tr.CreateAnchor(-1, a.Certificate, transfer.Purposes(a.Purposes))
	return err
}

func parse(tb testing.TB, der []byte) *x509.Certificate {
	tb.Helper()
	c, err := x509.ParseCertificate(der)
	check(tb, err)
	return c
}
