// Package sim is simulated devices: each a complete LwM2M client with sockets of
// its own, factory key and certificate, truststore, enrolment over EST-coaps,
// SUIT processor and the device's side of the trust transfer, whose state
// survives a crash at any instant.
//
// A Device lives in a handful of goroutines and is idle between its timers, so
// that a thousand fit into one process; a Fleet runs many.
package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"steward/cmd/internal/bundle"
	"steward/est/estcoap"
	"steward/lwm2m"
	"steward/objects"
	"steward/objects/registry"
	"steward/transfer"
)

// Errors of devices.
var (
	// ErrOptions reports Options that New refuses.
	ErrOptions = errors.New("unusable options")
	// ErrServer reports a server that the truststore does not vouch for.
	ErrServer = errors.New("server not trusted")
	// ErrNotImplemented reports a part of the protocol that is not built.
	ErrNotImplemented = errors.New("not implemented")
)

// Options configure devices; each field is a flag of "steward device". Zero
// means the default named.
type Options struct {
	// StateDir holds, for each device, its journal, its counters and what is kept
	// aside. Required.
	StateDir string

	AckTimeout       time.Duration // of CoAP; 2 s (RFC 7252 §4.8)
	HandshakeTimeout time.Duration // of DTLS; 20 s
	FlightInterval   time.Duration // first retransmission of DTLS; 1 s
	RetryFirst       time.Duration // before what failed is repeated; 30 s
	RetryMax         time.Duration // longest such time; 1 h
	KeepAlive        time.Duration // CoAP ping while registered, in queue mode an Update; none
	Awake            time.Duration // in queue mode the radio stays on after traffic; 93 s
	Battery          time.Duration // between changes of the battery level; 30 s
	Tick             time.Duration // granularity of powered time in a transfer; 1 s
	Reboot           time.Duration // how long a restart takes; none
	RenewBefore      time.Duration // the certificate's end; a fifth of its life
	BlockSize        int           // of block-wise transfers; 1024
	LocalAddr        netip.Addr    // to send from; the system's choice
	Transport        Transport     // to the LwM2M server; TransportUDP
	StreamPort       int           // of TCP and TLS; that of the URI, plain 5683
	Loss             float64       // share of datagrams lost, each way; none

	CertsOnly bool // ask the EST server for PKCS #7 (281), not a certificate (287)
	// C509 has the device enrol and renew in C509 by these Content-Formats; it rebuilds
	// the DER of what it gets. The zero value: it speaks PKCS#10.
	C509           estcoap.C509Formats
	NativeRequests bool // sign requests in C509 natively, type 2

	Queue       bool // queue mode: the radio is off after Awake without traffic
	NoCID       bool // negotiate no DTLS connection identifier
	NoClock     bool // behave as a device that does not know the time
	NoSync      bool // leave journal writes to the operating system (load tests)
	KeepOldKeys bool // copy keys to a file before they are wiped (demonstrations)

	// Tamper has the device run other images than it was given; its evidence, made by
	// software that was left alone, says so.
	Tamper bool

	// RenewalFault makes renewals fail, the first RenewalFaults of them, 0 for all.
	RenewalFault  RenewalFault
	RenewalFaults int

	// Misbehave makes the device misbehave in updates; the zero value: never.
	Misbehave Misbehaviour

	// Events is told what happens; it must not block. Nil: nobody is.
	Events func(Event)
	// Log receives what goes wrong; nil: nobody.
	Log *slog.Logger
	// PowerCut is asked before each write of the journal; true cuts the power, and
	// Run returns ErrPowerCut. Nil: never.
	PowerCut func() bool
}

// A Kind is what an Event tells.
type Kind string

// The kinds of events.
const (
	Started      Kind = "started"
	Enrolled     Kind = "enrolled"
	Renewed      Kind = "renewed"
	Rekeyed      Kind = "rekeyed" // has a factory key of its own
	Registered   Kind = "registered"
	Disconnected Kind = "disconnected"
	Reconnected  Kind = "reconnected" // and took its registration along
	Retrying     Kind = "retrying"    // Error says why, Detail what
	Staged       Kind = "staged"      // an anchor was created
	Refused      Kind = "refused"     // a TransferMessage; Error says why
	Ready        Kind = "ready"
	Committed    Kind = "committed"
	Wiped        Kind = "wiped"
	Attested     Kind = "attested"  // the verifier has the evidence; Detail is its verdict
	Enrolling    Kind = "enrolling" // at the new provider
	Done         Kind = "done"      // registered at the new provider
	Finalised    Kind = "finalised"
	FallingBack  Kind = "falling_back"
	FellBack     Kind = "fell_back"
	Expired      Kind = "expired"
	Downloading  Kind = "downloading"
	Downloaded   Kind = "downloaded"
	Installing   Kind = "installing"
	Updated      Kind = "updated" // Version runs
	UpdateFailed Kind = "update_failed"
	Reported     Kind = "reported" // what came of an update: the server has it
	Rebooted     Kind = "rebooted"
	Misbehaving  Kind = "misbehaving" // on purpose; Detail says how
	Stopped      Kind = "stopped"
)

// An Event is something that happened to a device, as a line of JSON tells it.
type Event struct {
	Device   string    `json:"device"`
	Kind     Kind      `json:"event"`
	At       time.Time `json:"at"`
	Server   string    `json:"server,omitempty"` // host and port
	State    string    `json:"state,omitempty"`  // of the transfer
	Epoch    uint32    `json:"epoch,omitempty"`
	Version  string    `json:"version,omitempty"` // of the firmware
	Sequence uint64    `json:"sequence,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// A Device is one simulated device.
type Device struct {
	o      Options
	b      *bundle.Bundle
	schema lwm2m.Schema
	meters *counters
	ether  *ether

	once  sync.Once
	ready chan struct{} // closed when it first registered, or failed to
}

// New returns the device of a bundle. It returns ErrOptions, or
// bundle.ErrBundle.
func New(b *bundle.Bundle, o Options) (*Device, error) {
	return newDevice(b, o, Schema(b.IDs()))
}

// Schema returns the registry with the three objects under ids, and Advanced
// Firmware Update.
func Schema(ids objects.IDs) lwm2m.Schema {
	return registry.Default().With(append(objects.Definitions(ids), objects.AdvancedFirmwareDefinition())...)
}

func newDevice(b *bundle.Bundle, o Options, schema lwm2m.Schema) (*Device, error) {
	if err := b.Complete(); err != nil {
		return nil, err
	}
	if b.Provider == nil {
		return nil, fmt.Errorf("%w: %s belongs to no provider", ErrOptions, b.Endpoint)
	}
	if o.StateDir == "" {
		return nil, fmt.Errorf("%w: no state directory", ErrOptions)
	}
	if err := o.Transport.check(o.StreamPort); err != nil {
		return nil, err
	}
	if err := o.checkRadio(); err != nil {
		return nil, err
	}
	if err := o.RenewalFault.check(); err != nil {
		return nil, err
	}
	d := &Device{o: o.withDefaults(), b: b, schema: schema, ready: make(chan struct{})}
	d.ether = newEther(&d.o)
	d.meters = openCounters(d.o.countersFile(b))
	d.meters.name(b.IDs())
	return d, nil
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&o.AckTimeout, 2*time.Second)
	set(&o.Awake, DefaultAwake)
	set(&o.Battery, 30*time.Second)
	set(&o.Tick, time.Second)
	set(&o.RetryFirst, 30*time.Second)
	set(&o.RetryMax, max(time.Hour, o.RetryFirst))
	set(&o.Misbehave.For, defaultFaultTime)
	if o.BlockSize == 0 {
		o.BlockSize = 1024
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o *Options) retry() transfer.Retry { return transfer.Retry{First: o.RetryFirst, Max: o.RetryMax} }

// now is what the device believes the time is; zero without a clock.
func (o *Options) now() time.Time {
	if o.NoClock {
		return time.Time{}
	}
	return time.Now()
}

// file returns the path of a device's file with the given ending.
func (o *Options) file(b *bundle.Bundle, ending string) string {
	return filepath.Join(o.StateDir, strings.TrimSuffix(b.Name(), bundle.Suffix)+ending)
}

func (o *Options) stateFile(b *bundle.Bundle) string    { return o.file(b, ".state") }
func (o *Options) countersFile(b *bundle.Bundle) string { return o.file(b, ".counters.json") }
func (o *Options) oldKeysFile(b *bundle.Bundle) string  { return o.file(b, ".oldkey.pem") }

// Endpoint returns the device's name.
func (d *Device) Endpoint() string { return d.b.Endpoint }

// Ready is closed when the device has registered for the first time in this run,
// or has first failed to.
func (d *Device) Ready() <-chan struct{} { return d.ready }

func (d *Device) started() { d.once.Do(func() { close(d.ready) }) }

// Run lives the device's life until ctx ends, through all its restarts, and
// returns nil then; the journal is consistent at every instant. It returns the
// error of a journal that cannot be read or written.
func (d *Device) Run(ctx context.Context) error {
	defer d.started()
	defer d.meters.save()
	for {
		l, err := d.boot()
		if err != nil {
			return fmt.Errorf("%s: %w", d.b.Endpoint, err)
		}
		again, err := l.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", d.b.Endpoint, err)
		}
		if !again {
			d.event(Event{Kind: Stopped})
			return nil
		}
		d.event(Event{Kind: Rebooted})
		if !wait(ctx, d.o.Reboot+l.absence) { // the life is over: nobody changes it
			return nil
		}
	}
}

// event completes e and tells it.
func (d *Device) event(e Event) {
	e.Device, e.At = d.b.Endpoint, time.Now().UTC()
	d.o.Events(e)
}

// wait waits and reports whether ctx is still good.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// dice returns a number in [0, 1) for jitter.
func dice() float64 { return rand.Float64() } //nolint:gosec // spreads load, hides nothing

// patience is how long an answer may take that a server is to give at once:
// MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2). A server that acknowledged a request before it
// was killed never answers; the device makes another association then.
func (o *Options) patience() time.Duration { return 46*o.AckTimeout + o.AckTimeout/2 }
