package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"steward/cmd/internal/sim"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/objects"
)

// A life is the device from one start to the next.
type life struct {
	d         *Device
	engine    *coap.Engine
	cl        *client.Client
	behind    map[string]*client.Client
	bootstrap bool // ask for accounts first
	fetches   chan fetch

	mu       sync.Mutex
	links    map[coap.Peer]*Link
	accounts map[coap.Peer]chan<- verdict // told when the association is to end
	failures map[uint16]int               // in a row, by short server id
	refused  map[coap.Peer]int            // refreshes that failed
	shorts   map[coap.Peer]uint16         // servers, of accounts
	after    []func()                     // to be done when an answer has left
}

// A verdict says why an association ends.
type verdict struct {
	err      error
	disabled bool
}

var errEnded = errors.New("the server ended the association")

// boot starts the device.
func (d *Device) boot(why order) (*life, error) {
	l := &life{
		d: d, links: map[coap.Peer]*Link{}, accounts: map[coap.Peer]chan<- verdict{},
		failures: map[uint16]int{}, refused: map[coap.Peer]int{}, behind: map[string]*client.Client{},
		shorts: map[coap.Peer]uint16{}, fetches: make(chan fetch, maxFetches),
	}
	l.engine = coap.New(coap.Options{Handler: l, Log: d.o.Log})
	o := client.Options{
		Endpoint: d.o.Endpoint, Version: d.o.Version, Lifetime: d.o.Lifetime, Queue: d.o.Queue, Binding: d.o.binding(),
		Root: d.o.Root, Format: d.o.Format, Objects: d.objects, Schema: d.schema, Engine: l.engine,
		Retry: d.o.Retry, Failed: l.failed, Consistent: d.consistent, Log: d.o.Log,
	}
	var err error
	if l.cl, err = client.New(o); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	for prefix, all := range d.behind {
		o.Root, o.Objects = prefix, all
		if l.behind[prefix], err = client.New(o); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrOptions, err)
		}
	}
	l.bootstrap = why == orderBootstrap || len(d.accounts()) == 0
	d.mu.Lock()
	d.at = l
	d.mu.Unlock()
	return l, nil
}

// now returns the life under way.
func (d *Device) now() *life {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

// run lives until ctx ends or the device restarts.
func (l *life) run(ctx context.Context) order {
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { _ = l.engine.Run(ctx) }) // it ends with ctx and has no other error
	work.Go(func() { _ = l.cl.Run(ctx) })     // likewise
	for _, c := range l.behind {
		work.Go(func() { _ = c.Run(ctx) })
	}
	l.d.event(sim.Event{Kind: sim.Started})
	work.Go(func() { l.serve(ctx) })
	work.Go(func() { l.tick(ctx) })
	work.Go(func() { l.download(ctx) })
	var reboot <-chan time.Time
	if l.d.o.RebootEvery > 0 {
		timer := time.NewTimer(l.d.o.RebootEvery)
		defer timer.Stop()
		reboot = timer.C
	}
	select {
	case <-ctx.Done():
		return orderStart
	case o := <-l.d.orders:
		return o
	case <-reboot:
		return orderReboot
	}
}

// serve gets accounts where there are none, and keeps a registration at each.
func (l *life) serve(ctx context.Context) {
	for n := 0; l.bootstrap; n++ {
		err := l.ask(ctx)
		if err == nil {
			break
		}
		l.d.event(sim.Event{Kind: sim.Retrying, Detail: "bootstrap", Error: err.Error()})
		if !l.pause(ctx, n) {
			return
		}
	}
	var work sync.WaitGroup
	for _, a := range l.d.accounts() {
		work.Go(func() { l.keep(ctx, a) })
	}
	work.Wait()
}

// pause waits before the attempt after the n-th.
func (l *life) pause(ctx context.Context, n int) bool {
	return wait(ctx, l.d.o.Retry<<min(n, maxDoublings))
}

// keep is registered at one server until ctx ends.
func (l *life) keep(ctx context.Context, a Account) {
	for n := 0; ctx.Err() == nil; {
		v, registered := l.attend(ctx, a)
		switch {
		case ctx.Err() != nil:
			return
		case v.disabled:
			d := a.disable(l.d)
			l.d.event(sim.Event{Kind: Disabled, Server: a.URI, Detail: d.String()})
			wait(ctx, d)
			continue
		case registered:
			n = 0
		}
		n++
		l.d.event(sim.Event{Kind: sim.Retrying, Server: a.URI, Error: v.err.Error()})
		if l.count(a.ShortServer, n) {
			l.d.give(orderBootstrap)
		}
		l.pause(ctx, n-1)
	}
}

// count notes the failures at a server, and reports whether every server has
// failed so often that the device is to bootstrap.
func (l *life) count(short uint16, failures int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures[short] = failures
	for _, a := range l.d.accounts() {
		if l.failures[a.ShortServer] < maxFailures {
			return false
		}
	}
	return l.d.o.Bootstrap != ""
}

// attend connects, registers, and returns when that is over.
func (l *life) attend(ctx context.Context, a Account) (v verdict, registered bool) {
	k, err := l.connect(ctx, a)
	if err != nil {
		return verdict{err: err}, false
	}
	defer l.hangUp(k)
	ended := make(chan verdict, 1)
	l.mu.Lock()
	l.accounts[k.Peer], l.shorts[k.Peer] = ended, a.ShortServer
	l.mu.Unlock()
	l.cl.Attach(k.Peer, client.Account{Server: a.ShortServer})
	if err := l.cl.Register(ctx, k.Peer); err != nil {
		return verdict{err: err}, false
	}
	l.count(a.ShortServer, 0)
	l.d.event(sim.Event{Kind: sim.Registered, Server: a.URI})
	select {
	case <-ctx.Done():
		return verdict{err: ctx.Err()}, true
	case <-k.Done:
		return verdict{err: errEnded}, true
	case v = <-ended:
	}
	if v.disabled && l.cl.Deregister(ctx, k.Peer) == nil {
		l.d.event(sim.Event{Kind: Deregistered, Server: a.URI})
	}
	return v, true
}

func (l *life) connect(ctx context.Context, a Account) (*Link, error) {
	if a.certificate = l.d.certificate(a); a.certificate != nil {
		return l.dial(ctx, a)
	}
	k, err := l.dial(ctx, a)
	if err != nil || a.Mode != objects.ModeEST {
		return k, err
	}
	defer l.hangUp(k)
	if a.certificate, err = l.enrol(ctx, k, a); err != nil {
		return nil, err
	}
	return l.dial(ctx, a)
}

func (l *life) dial(ctx context.Context, a Account) (*Link, error) {
	k, err := l.d.o.Dial(ctx, l.engine, a)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.links[k.Peer] = k
	return k, nil
}

func (l *life) hangUp(k *Link) {
	l.mu.Lock()
	delete(l.links, k.Peer)
	delete(l.accounts, k.Peer)
	delete(l.refused, k.Peer)
	delete(l.shorts, k.Peer)
	l.mu.Unlock()
	l.cl.Detach(k.Peer)
	for _, c := range l.behind {
		c.Detach(k.Peer)
	}
	k.Close()
}

// end tells the keeper of p's account that the association is to end.
func (l *life) end(p coap.Peer, v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ended := l.accounts[p]; ended != nil {
		select {
		case ended <- v:
		default: // it ends already
		}
	}
}

// failed ends an association that could not be refreshed three times: until then
// the client tries again by itself, and what it stores for the server is kept.
func (l *life) failed(p coap.Peer, err error) {
	l.mu.Lock()
	l.refused[p]++
	n := l.refused[p]
	l.mu.Unlock()
	if n >= maxFailures {
		l.end(p, verdict{err: err})
	}
}

// ask bootstraps (§6.1.7).
func (l *life) ask(ctx context.Context) error {
	a, ok := l.d.bootstrapAccount()
	if !ok {
		return fmt.Errorf("%w: no bootstrap account", ErrOptions)
	}
	k, err := l.dial(ctx, a)
	if err != nil {
		return err
	}
	defer l.hangUp(k)
	bootstrap := l.cl.Bootstrap
	if l.d.o.Pack {
		bootstrap = l.cl.BootstrapPack
	}
	if err := bootstrap(ctx, k.Peer, l.d.o.Format); err != nil {
		return err
	}
	if err := l.enrolAll(ctx, k); err != nil {
		return fmt.Errorf("enrolment after bootstrap: %w", err)
	}
	l.bootstrap = false
	l.d.event(sim.Event{Kind: Bootstrapped, Server: a.URI, Detail: fmt.Sprint(len(l.d.accounts())) + " accounts"})
	return nil
}
