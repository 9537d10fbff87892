// Package bench measures servers: load from one process, a server in another, the
// server's CPU time from the kernel's own account of its process, and in the same
// run the floor beneath it, which no server can pass: raw UDP echo for messages,
// the bare cryptography of a handshake for handshakes.
//
// Load leaves from addresses of 127.0.0.0/8 alone, through few sockets, and is
// bounded in number and time.
package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"time"
)

// Errors of a run.
var (
	// ErrOptions reports Options that Run refuses.
	ErrOptions = errors.New("unusable options")
	// ErrNotImplemented stands in the note of a result that shows that the server
	// does not do what the workload measures.
	ErrNotImplemented = errors.New("not implemented")
	// ErrServer reports a server that does not do what the workload needs.
	ErrServer = errors.New("server did not serve")
)

// A Work is a workload.
type Work string

// The workloads.
const (
	Requests   Work = "requests"   // small confirmable POSTs over established associations
	Handshakes Work = "handshakes" // full handshakes
	Register   Work = "register"   // each device registers once
	Update     Work = "update"     // each registered device updates once
	Observe    Work = "observe"    // confirmable notifications of observed resources
	Idle       Work = "idle"       // memory of devices that say nothing
	Restart    Work = "restart"    // the server restarts under its associations
	Storm      Work = "storm"      // many handshakes beside devices that talk
	Push       Work = "push"       // an image of 1 MiB to all devices at once
)

// Works returns the workloads in the order of their documentation.
func Works() []Work {
	return []Work{Requests, Handshakes, Register, Update, Observe, Idle, Restart, Storm, Push}
}

// Options configure a run. Zero means the default named.
type Options struct {
	Work     Work
	Devices  int           // 1000; of push 100
	InFlight int           // operations under way at once; 100
	Duration time.Duration // of the measured part of requests, handshakes, observe and storm; 5 s
	Sockets  int           // of the generator; 16

	// Registered and Observations make idle devices registered ones.
	Registered   bool
	Observations int // 0 to 3
	// Kill ends the server by SIGKILL before it restarts, not in order.
	Kill bool
	// Storming is how many handshakes break in on a storm; 1000.
	Storming int
	// Spoofed is how many ClientHellos of invented senders come with them.
	Spoofed int

	// Target is a server that runs already; nil starts one.
	Target *Target
	// Dir is where the data directory is made, and removed at the end; "": the
	// system's place for temporary files.
	Dir string
	// Profile is the file of a CPU profile of the server's measured part, or of a
	// heap profile of idle devices; "": none.
	Profile string
	// Progress receives lines for people; nil: nobody.
	Progress io.Writer
}

// A Target is a server that somebody else started. Devices prove themselves by a
// pre-shared key, whose identity is the endpoint name, or all by one certificate.
type Target struct {
	URI         string // coaps, with an address of the loopback network
	PSK         []byte
	Certificate *tls.Certificate
	PID         int // of its process on this machine, for its CPU time and memory; 0: unknown
	// AnyAnswer takes every answer to a request for a path that is none of LwM2M's;
	// else it must be 4.04.
	AnyAnswer bool
}

// Limits of a run: it must not be mistaken for an attack, nor become one.
const (
	maxDevices  = 200_000
	maxInFlight = 4096
	maxDuration = 5 * time.Minute
	maxSockets  = 256
	maxStorming = 20_000
	maxSpoofed  = 1_000_000
	maxPaths    = 3
)

// withDefaults checks o and fills in what is zero.
func (o Options) withDefaults() (Options, error) {
	if !slices.Contains(Works(), o.Work) {
		return o, fmt.Errorf("%w: workload %.20q", ErrOptions, o.Work)
	}
	if o.Work == Push && o.Devices == 0 {
		o.Devices = pushDevices
	}
	for _, l := range []struct {
		name              string
		value             *int
		zero, least, most int
	}{
		{"devices", &o.Devices, 1000, 1, maxDevices},
		{"in-flight", &o.InFlight, 100, 1, maxInFlight},
		{"sockets", &o.Sockets, 16, 1, maxSockets},
		{"observations", &o.Observations, 0, 0, maxPaths},
		{"storming", &o.Storming, 1000, 1, maxStorming},
		{"spoofed", &o.Spoofed, 0, 0, maxSpoofed},
	} {
		if *l.value == 0 {
			*l.value = l.zero
		}
		if *l.value < l.least || *l.value > l.most {
			return o, fmt.Errorf("%w: %s %d, want %d to %d", ErrOptions, l.name, *l.value, l.least, l.most)
		}
	}
	if o.Duration == 0 {
		o.Duration = 5 * time.Second
	}
	if o.Duration < 0 || o.Duration > maxDuration {
		return o, fmt.Errorf("%w: duration %v, want up to %v", ErrOptions, o.Duration, maxDuration)
	}
	if o.Work == Observe && o.Observations == 0 {
		o.Observations = 1
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	return o, o.checkTarget()
}

// checkTarget refuses what cannot be measured at a server of others.
func (o Options) checkTarget() error {
	t := o.Target
	if t == nil {
		return nil
	}
	if _, err := t.addr(); err != nil {
		return err
	}
	switch {
	case (len(t.PSK) > 0) == (t.Certificate != nil):
		return fmt.Errorf("%w: devices of another server need either a PSK or a certificate", ErrOptions)
	case o.Profile != "":
		return fmt.Errorf("%w: only a server of our own can be profiled", ErrOptions)
	case o.Work == Observe || o.Work == Idle && o.Observations > 0:
		return fmt.Errorf("%w: at another server nobody asks for observations", ErrOptions)
	case o.Work == Push:
		return fmt.Errorf("%w: only a server of our own can be told to push", ErrOptions)
	case o.Work == Restart:
		return fmt.Errorf("%w: only a server of our own can be restarted", ErrOptions)
	case t.Certificate != nil && o.Work != Requests && o.Work != Handshakes:
		return fmt.Errorf("%w: one certificate is one device", ErrOptions)
	}
	return nil
}

// addr returns where the target listens. Load stays on this machine.
func (t *Target) addr() (netip.AddrPort, error) {
	u, err := url.Parse(t.URI)
	if err != nil || u.Scheme != "coaps" {
		return netip.AddrPort{}, fmt.Errorf("%w: server %.80q is no coaps URI", ErrOptions, t.URI)
	}
	host := u.Host
	if u.Port() == "" {
		host += ":5684"
	}
	addr, err := netip.ParseAddrPort(host)
	if err != nil || !addr.Addr().Is4() || !addr.Addr().IsLoopback() {
		return addr, fmt.Errorf("%w: server %.80q has no address of 127.0.0.0/8", ErrOptions, t.URI)
	}
	return addr, nil
}

// Run does one workload. It returns ErrOptions or ErrServer, or what kept it from
// measuring.
func Run(ctx context.Context, o Options) (*Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "steward-bench-")
	if err != nil {
		return nil, err
	}
	r := &run{o: o, dir: dir, result: &Result{Work: o.Work}}
	err = r.measure(ctx)
	return r.result, errors.Join(err, r.close(), os.RemoveAll(dir))
}

// A run is one workload under way.
type run struct {
	o      Options
	dir    string
	fleet  *identities
	server server
	echo   *child
	gen    *generator
	result *Result
}

func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.o.Progress, format+"\n", args...) // talk
}

// measure prepares both sides, then does the work.
func (r *run) measure(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	return map[Work]func(*run, context.Context) error{
		Requests: (*run).requests, Handshakes: (*run).handshakes, Register: (*run).register, Update: (*run).update,
		Observe: (*run).observe, Idle: (*run).idle, Restart: (*run).restart, Storm: (*run).storm, Push: (*run).pushes,
	}[r.o.Work](r, ctx)
}

// prepare makes the devices, starts the processes and binds the sockets.
func (r *run) prepare(ctx context.Context) (err error) {
	var addr netip.AddrPort
	if r.o.Target != nil {
		r.fleet = foreignIdentities(r.o.Target, r.o.fleet())
		if addr, err = r.o.Target.addr(); err != nil {
			return err
		}
		r.server = stranger{r.o.Target.PID}
	} else {
		r.say("making %d devices …", r.o.fleet())
		if r.fleet, err = makeIdentities(ctx, r.dir, r.o.fleet(), r.o.wanted()); err != nil {
			return err
		}
		c, err := startServer(ctx, r.dir, "127.0.0.1:0", r.o.serverArguments()...)
		if err != nil {
			return err
		}
		r.server = c
		if addr, err = (&Target{URI: c.greeting}).addr(); err != nil {
			return err
		}
	}
	if r.echo, err = startEcho(ctx, r.dir); err != nil {
		return err
	}
	r.gen, err = newGenerator(r.fleet.upTo(r.o.Devices), addr, r.o.Sockets)
	return err
}

// serverArguments are what the server is told beside its place.
func (o Options) serverArguments() []string {
	if o.Work == Storm {
		return []string{"--stamps"}
	}
	return nil
}

// fleet is the number of devices, those that storm included.
func (o Options) fleet() int {
	if o.Work == Storm {
		return o.Devices + o.Storming
	}
	return o.Devices
}

// wanted is the number of observations that the server makes of each device.
func (o Options) wanted() int {
	if o.Work == Observe || o.Work == Idle && o.Registered {
		return o.Observations
	}
	return 0
}

func (r *run) close() error {
	var errs []error
	if r.gen != nil {
		errs = append(errs, r.gen.close())
	}
	if c, ok := r.server.(*child); ok {
		errs = append(errs, c.stop())
	}
	if r.echo != nil {
		errs = append(errs, r.echo.stop())
	}
	return errors.Join(errs...)
}
