// Package trial is a simulated device for tests of LwM2M servers: it speaks all
// versions and formats, bootstraps, sleeps, loses datagrams, changes its address,
// and misbehaves, as its options say. Unlike those of package sim it has nothing
// of its own to protect: its objects are tables in memory.
package trial

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"steward/cmd/internal/sim"
	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/objects"
)

// ErrOptions reports Options that New refuses.
var ErrOptions = errors.New("unusable options")

// Events of trial devices beside those of package sim.
const (
	Bootstrapped sim.Kind = "bootstrapped"
	Disabled     sim.Kind = "disabled"     // by /1/x/4; Detail says for how long
	Asleep       sim.Kind = "asleep"       // a datagram came while the radio was off
	Readdressed  sim.Kind = "readdressed"  // the address has changed; Detail is the new one
	Sent         sim.Kind = "sent"         // a Send with history was accepted
	Deregistered sim.Kind = "deregistered" // at the server's order
)

// Options say what the device is and how it behaves; each is a flag of "steward
// device". Zero means the default named.
type Options struct {
	Endpoint lwm2m.Endpoint // required
	Version  lwm2m.Version  // 1.2
	Format   uint16         // of answers without Accept, and of Send; the version's best
	Lifetime time.Duration  // 300 s
	Root     string         // alternate path, without slash at either end; none
	Objects  []string       // "6", "10/1.1"; 3 is always there
	Behind   []string       // prefixes of end devices behind this gateway; none

	Servers   []string // coap or coaps URIs to register with at first; short ids 1, 2 …
	Bootstrap string   // URI of a bootstrap server; none
	Identity  string   // of the pre-shared key
	Key       []byte   // for coaps URIs of Servers and Bootstrap
	RawKey    *RawKey  // for coaps URIs of both, instead of Key
	Factory   *Factory // for security mode 4, and for coaps URIs without either

	Every       time.Duration // between changes of values; 30 s
	Pack        bool          // asks for everything at once at its bootstrap (LwM2M 1.2)
	SendEvery   time.Duration // between reports by Send, with all changes since; none
	Queue       bool          // queue mode: the radio is off after Awake without traffic
	Awake       time.Duration // 93 s (MAX_TRANSMIT_WAIT)
	Loss        float64       // share of datagrams lost, each way
	Duplicate   float64       // share of datagrams sent twice
	NAT         time.Duration // between changes of the address; none
	RebootEvery time.Duration // none
	Slow        time.Duration // before each answer; none
	Faults      []Fault       // one of them in each answer
	FaultTime   time.Duration // how much later late answers are; 60 s
	Retry       time.Duration // before what failed is repeated, doubled up to 64 times; 5 s

	// Dial opens an association; nil: over the network.
	Dial func(ctx context.Context, e *coap.Engine, a Account) (*Link, error)
	// Events is told what happens; it must not block. Nil: nobody is.
	Events func(sim.Event)
	Log    *slog.Logger // nil: none
}

// A Factory is the device's certificate, for enrolment.
type Factory struct {
	Key   crypto.Signer
	Chain [][]byte // DER, the device's own first
	CAs   [][]byte // DER; servers stand under one of them unless an account says otherwise
}

// Defaults.
const (
	defaultLifetime  = 300 * time.Second
	defaultEvery     = 30 * time.Second
	defaultFaultTime = time.Minute
	defaultRetry     = 5 * time.Second
	maxDoublings     = 6
	maxFailures      = 3 // in a row at every server, then the device bootstraps anew
)

// A Device is one trial device. What servers have written lasts as long as it.
type Device struct {
	o      Options
	schema lwm2m.Schema
	air    *air

	security, server, device *client.Table
	objects                  []client.Object
	values                   []*ticking
	behind                   map[string][]client.Object
	orders                   chan order

	mu       sync.Mutex
	at       *life                       // running; nil: none
	enrolled map[uint16]*tls.Certificate // by EST after bootstrap, by short server id
}

// New returns a Device, or ErrOptions.
func New(o Options) (*Device, error) {
	o.defaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	d := &Device{o: o, schema: Schema(), orders: make(chan order, 1)}
	d.air = &air{loss: o.Loss, duplicate: o.Duplicate, random: rand.Float64, event: d.event}
	if o.Queue {
		d.air.radio.Awake = o.Awake
	}
	if d.o.Dial == nil {
		d.o.Dial = dialer{&d.o, d.air}.dial
	}
	if slices.Contains(o.Faults, FaultTwice) {
		d.air.duplicate = 1
	}
	if err := d.tables(); err != nil {
		return nil, err
	}
	return d, nil
}

func (o *Options) defaults() {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&o.Lifetime, defaultLifetime)
	set(&o.Every, defaultEvery)
	set(&o.Awake, sim.DefaultAwake)
	set(&o.FaultTime, defaultFaultTime)
	set(&o.Retry, defaultRetry)
	if o.Version == "" {
		o.Version = lwm2m.Version12
	}
	if o.Events == nil {
		o.Events = func(sim.Event) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func (o *Options) check() error {
	if o.Endpoint == "" {
		return fmt.Errorf("%w: no endpoint name", ErrOptions)
	}
	if len(o.Servers) == 0 && o.Bootstrap == "" {
		return fmt.Errorf("%w: no server", ErrOptions)
	}
	for _, uri := range append([]string{o.Bootstrap}, o.Servers...) {
		if err := o.checkURI(uri); uri != "" && err != nil {
			return err
		}
	}
	if o.RawKey != nil {
		if err := o.RawKey.encode(); err != nil {
			return err
		}
	}
	if o.Pack && (o.Bootstrap == "" || o.Version != lwm2m.Version12) {
		return fmt.Errorf("%w: a Bootstrap-Pack needs a bootstrap server, and LwM2M 1.2", ErrOptions)
	}
	if o.Loss < 0 || o.Loss >= 1 || o.Duplicate < 0 || o.Duplicate > 1 {
		return fmt.Errorf("%w: a share is from 0 to 1", ErrOptions)
	}
	return nil
}

// schemes are those of URIs that a device can reach.
var schemes = []string{"coap", "coaps", "coap+tcp", "coaps+tcp"}

func (o *Options) checkURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" {
		return fmt.Errorf("%w: %q is no coap or coaps URI", ErrOptions, uri)
	}
	if stream(u) && (o.Version == lwm2m.Version10 || o.Queue || o.NAT > 0 || o.Loss > 0 || o.Duplicate > 0) {
		return fmt.Errorf("%w: %s: TCP is of LwM2M 1.1, and loses and sleeps by itself", ErrOptions, uri)
	}
	if secured(u) && len(o.Key) == 0 && o.RawKey == nil && o.Factory == nil {
		return fmt.Errorf("%w: %s needs a key or a bundle", ErrOptions, uri)
	}
	return nil
}

func stream(u *url.URL) bool  { return strings.HasSuffix(u.Scheme, "+tcp") }
func secured(u *url.URL) bool { return strings.HasPrefix(u.Scheme, "coaps") }

// binding is what the device registers by: of UDP and TCP, what its URIs name.
func (o *Options) binding() string {
	var udp, tcp string
	for _, uri := range append([]string{o.Bootstrap}, o.Servers...) {
		switch u, err := url.Parse(uri); {
		case err != nil || uri == "":
		case stream(u):
			tcp = "T"
		default:
			udp = "U"
		}
	}
	return udp + tcp
}

// account is how the device is known at a URI before any bootstrap.
func (o *Options) account(uri string, bootstrap bool, short uint16) objects.Security {
	a := objects.Security{URI: uri, Bootstrap: bootstrap, ShortServer: short, Mode: objects.ModeNoSec}
	switch u, _ := url.Parse(uri); { // checked
	case !secured(u):
	case len(o.Key) > 0:
		a.Mode, a.Identity, a.SecretKey = objects.ModePSK, []byte(o.Identity), o.Key
	case o.RawKey != nil:
		a.Mode, a.ServerKey = objects.ModeRawKey, o.RawKey.Server
		a.Identity, a.SecretKey = o.RawKey.public, o.RawKey.private
	default:
		a.Mode = objects.ModeCertificate
	}
	return a
}

// Run lives the device's life until ctx ends, through all its restarts.
func (d *Device) Run(ctx context.Context) error {
	defer d.event(sim.Event{Kind: sim.Stopped})
	again := orderStart
	for {
		l, err := d.boot(again)
		if err != nil {
			return err
		}
		if again = l.run(ctx); ctx.Err() != nil {
			return nil
		}
		if again == orderReboot {
			d.event(sim.Event{Kind: sim.Rebooted})
		}
	}
}

// event completes e and tells it.
func (d *Device) event(e sim.Event) {
	e.Device, e.At = string(d.o.Endpoint), time.Now().UTC()
	d.o.Events(e)
}

// An order ends a life.
type order int

const (
	orderStart order = iota
	orderReboot
	orderBootstrap
)

// give gives an order; a second one before the first was taken is lost.
func (d *Device) give(o order) {
	select {
	case d.orders <- o:
	default:
	}
}
