// Package demo is one device's whole life on one machine, with real processes
// and protocols: a factory, two providers and a fleet of simulated devices,
// which enrol, are updated, and are handed over. It commands the providers by
// their REST APIs only, and reports what their databases, the devices' files and
// fresh handshakes say afterwards.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"steward/cmd/internal/owner"
)

// Options are the flags of "steward demo".
type Options struct {
	Devices int    // how many; 1 to 1000
	Exit    bool   // end when done; else keep serving until ctx ends
	JSON    bool   // print the report as one JSON object on Stdout
	Fault   string // "" or one of Faults
	Attest  bool   // devices attest at Beta before they enrol there
	Rekey   bool   // devices make factory keys of their own, at Alpha and again at Beta
	// UpdateFirst has devices ask Beta's update server before they enrol there.
	UpdateFirst bool
	// Hierarchy is how the CAs stand to each other: one of Hierarchies; "": the first.
	Hierarchy string
	Encoding  string // of certificates in enrolment: one of Encodings; "": the first
	Dir       string // of all data and logs; "": a temporary one, removed after a good end
	Timers    Timers
	Stdout    io.Writer // data
	Stderr    io.Writer // talk
}

// Timers scale the protocols so that a demonstration takes seconds.
type Timers struct {
	AckTimeout time.Duration // CoAP ACK_TIMEOUT
	Grace      time.Duration // from commit to fallback
	Retry      time.Duration // first retry
	Poll       time.Duration // of the providers
	Handshake  time.Duration // what devices give a handshake; 0: eight times AckTimeout
}

// DefaultTimers are the timers of a demonstration.
func DefaultTimers() Timers {
	return Timers{
		AckTimeout: 500 * time.Millisecond, Grace: 10 * time.Second, Retry: 500 * time.Millisecond,
		Poll: 250 * time.Millisecond,
	}
}

// perDevice is how much longer a device may be under way for each other one that is on
// the same machine.
const perDevice = 100 * time.Millisecond

// of returns the timers for so many devices: all share the processors of one machine. A
// grace other than the default was asked for, and stays.
func (t Timers) of(devices int) Timers {
	if t.Grace == DefaultTimers().Grace {
		t.Grace = max(t.Grace, time.Duration(devices)*perDevice)
	}
	return t
}

// MaxDevices bounds a demonstration on one machine.
const MaxDevices = 1000

// Errors of a demonstration.
var (
	// ErrOptions reports Options that cannot be meant.
	ErrOptions = errors.New("unusable options")
	// ErrFailed reports a demonstration whose report is not what was promised.
	ErrFailed = errors.New("the demonstration failed")
)

// A demo is one run.
type demo struct {
	o       Options
	dir     string
	show    *screen
	began   time.Time
	alpha   *provider
	beta    *provider
	fleet   *simulated
	user    *owner.Owner
	factory *process // the permanent CA, if it is served
	fault   fault
	names   []string // endpoints
	session string   // id of the transfer at Alpha

	window struct{ From, Until time.Time } // of the commits

	transferBegan, transferEnded time.Time

	cost *ServerCost // nil: not known
}

// Run runs a demonstration. It returns ErrFailed if the report is not what was
// promised, and prints the report all the same.
func Run(ctx context.Context, o Options) (err error) {
	if o.Devices < 1 || o.Devices > MaxDevices {
		return fmt.Errorf("%w: %d devices, want 1 to %d", ErrOptions, o.Devices, MaxDevices)
	}
	if o.Hierarchy == "" {
		o.Hierarchy = hierarchyOwn
	}
	if !slices.Contains(Hierarchies(), o.Hierarchy) {
		return fmt.Errorf("%w: hierarchy %.40q is not one of %s", ErrOptions, o.Hierarchy, strings.Join(Hierarchies(), ", "))
	}
	if err := errors.Join(o.checkRekey(), o.checkEncoding()); err != nil {
		return err
	}
	fault, err := parseFault(o.Fault)
	if err != nil {
		return err
	}
	o.Timers = fault.timers(o.Timers.of(o.Devices))
	o.Attest = o.Attest || fault.name == faultRAReject
	d := &demo{fault: fault, o: o, dir: o.Dir, show: newScreen(o.Stderr, o.Devices), began: time.Now()}
	if d.dir == "" {
		d.dir, err = os.MkdirTemp("", "steward-demo-")
	} else {
		err = os.MkdirAll(d.dir, 0o700)
	}
	if err != nil {
		return err
	}
	err = d.run(ctx)
	d.stop()
	if err != nil {
		return fmt.Errorf("%w\nlogs are in %s", err, d.dir)
	}
	if o.Dir == "" {
		return os.RemoveAll(d.dir)
	}
	return nil
}

func (d *demo) run(ctx context.Context) error {
	d.show.timers(d.o.Timers)
	for _, step := range d.steps() {
		d.show.phase(step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	d.show.phase("checking: databases, devices' files, fresh handshakes with old keys")
	report, err := d.report(ctx)
	if err != nil {
		return err
	}
	if err := d.print(report); err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%w: %s", ErrFailed, report.Problems[0])
	}
	if d.o.Exit {
		return nil
	}
	return d.linger(ctx)
}

// A step is a part of the demonstration.
type step struct {
	title string
	do    func(context.Context) error
}

func (d *demo) steps() []step {
	steps := []step{
		{"starting the factory's CA and two providers", d.startProviders},
		{"the factory makes devices; Alpha and Beta learn to know each other", d.introduce},
		{"devices enrol at Alpha's CA over EST-coaps and register", d.enrol},
		{"Alpha observes its devices", d.observe},
		{"Alpha updates its devices by signed SUIT manifests", d.update},
	}
	if d.o.Rekey {
		steps = append(steps, step{"the permanent CA certifies factory keys that the devices make", d.rekey})
	}
	steps = append(steps,
		step{"Alpha hands its devices over to Beta", d.transfer},
		step{"Beta updates its devices by a manifest of its own", d.updateAtBeta})
	if d.o.Rekey && d.fault.home == moved {
		steps = append(steps, step{"Beta has its new devices make factory keys once more", d.rekeyAtBeta})
	}
	return steps
}

// print writes the report: one JSON object on stdout, or a table for people.
func (d *demo) print(r *Report) error {
	if d.o.JSON {
		return json.NewEncoder(d.o.Stdout).Encode(r)
	}
	return r.Table(d.o.Stdout)
}

// linger keeps both providers serving until Ctrl-C.
func (d *demo) linger(ctx context.Context) error {
	for _, p := range []*provider{d.alpha, d.beta} {
		link, err := p.signInLink(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(d.o.Stdout, "%s: %s\n  sign in once, within 10 minutes: %s\n", p.name, p.url, link)
		if err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(d.o.Stdout, "Both keep serving. Ctrl-C ends the demonstration."); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// stop ends all processes.
func (d *demo) stop() {
	if d.fleet != nil {
		d.fleet.stop()
	}
	for _, p := range []*provider{d.alpha, d.beta} {
		if p != nil {
			p.stop()
		}
	}
	if d.factory != nil {
		d.factory.stop()
	}
	d.show.end()
}
