package sim

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"steward/cmd/internal/sim/nvm"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/transfer"
)

// ErrPowerCut is what Run returns after Options.PowerCut said so.
var ErrPowerCut = nvm.ErrPowerCut

// A life is a device from one start to the next.
type life struct {
	d  *Device
	o  *Options
	nv *nvm.File

	engine  *coap.Engine
	cl      *client.Client
	links   *links
	fw      *firmware
	battery *battery
	account *serverObject
	reports *client.Table

	wake  chan struct{}
	fault atomic.Pointer[error] // of the memory; ends this life
	held  atomic.Int64          // answers that must leave before effects are performed
	work  sync.WaitGroup

	mu        sync.Mutex // guards all below; the journal is written under it
	tr        *transfer.Device
	state     transfer.DeviceState
	changed   chan struct{} // closed when the state changes
	restart   bool
	reporting bool          // a report is on its way
	absence   time.Duration // how much longer the restart takes than Options.Reboot
	renewal   renewing
	own       factoryIdentity
	rekeying  rekeying

	// Of the main loop alone.
	ticked   time.Time // powered time is counted up to here
	retryAt  time.Time // of what the device tries now
	failures uint64    // in a row
	pingAt   time.Time
	reportAt time.Time // the end of the jitter before FALLBACK
	told     bool      // the DONE receipt was acknowledged
	renewed  time.Time // the last renewal in this life
	refused  int       // by the LwM2M server, in a row
	turnBack bool      // show the certificate before, which has served
	rekeyAt  time.Time // of the next try of a re-key
	rekeyed  uint64    // tries of it that failed, in a row
}

// run lives until ctx ends (false) or the device restarts (true).
func (l *life) run(ctx context.Context) (again bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		l.links.closeAll(l.cl)
		cancel()
		l.work.Wait()
		if closed := l.nv.Close(); err == nil {
			err = closed
		}
	}()
	l.work.Go(func() { _ = l.engine.Run(ctx) }) // it ends with ctx and has no other error
	l.work.Go(func() { _ = l.cl.Run(ctx) })     // likewise
	l.d.event(l.about(Event{Kind: Started}))
	l.fw.resume(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, l.failure()
		case <-l.wake:
		case <-l.links.managementDone():
			l.links.condemn(nil)
			l.d.event(Event{Kind: Disconnected})
			// A server that restarts has lost all its devices at once.
			l.retryAt = time.Now().Add(time.Duration(dice() * float64(l.o.RetryFirst) / 4))
		case <-timer.C:
		}
		next := l.step(ctx)
		if err := l.failure(); err != nil {
			return false, err
		}
		if l.restarting() {
			return ctx.Err() == nil, nil
		}
		timer.Reset(max(time.Until(next), 0))
	}
}

// failure returns the error of the memory, if there was one.
func (l *life) failure() error {
	if err := l.fault.Load(); err != nil {
		return *err
	}
	return nil
}

func (l *life) restarting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.restart && l.held.Load() == 0
}

// reboot restarts the device once the answers under way have left.
func (l *life) reboot() {
	l.mu.Lock()
	l.restart = true
	l.mu.Unlock()
	l.poke()
}

// poke makes the main loop look again.
func (l *life) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// with calls f with the transfer's machine, alone, and tells of what changed.
func (l *life) with(f func(tr *transfer.Device) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.state
	err := f(l.tr)
	s := l.tr.Status()
	if s.State != before {
		l.state = s.State
		close(l.changed)
		l.changed = make(chan struct{})
		l.tell(before, s)
	}
	return err
}

// put writes to the memory, outside the transfer's journal.
func (l *life) put(changes map[string][]byte) error {
	if len(changes) == 0 {
		return nil
	}
	return l.written(l.nv.Write(changes))
}

// compact takes what was deleted or replaced off the medium.
func (l *life) compact() error { return l.written(l.nv.Compact()) }

func (l *life) written(err error) error {
	if err != nil {
		l.fault.CompareAndSwap(nil, &err)
		l.poke()
	}
	return err
}

// step does all that is due and returns when to look again at the latest.
func (l *life) step(ctx context.Context) time.Time {
	l.tick()
	l.fw.begin(ctx)
	waiting := l.effects(ctx)
	if l.held.Load() > 0 || l.restarting() || ctx.Err() != nil {
		return time.Now().Add(holdLimit)
	}
	now := time.Now()
	if !now.Before(l.retryAt) {
		l.act(ctx, waiting)
	}
	l.reportSoon(ctx)
	return l.idle(ctx)
}

// tick counts powered time while a transfer is under way.
func (l *life) tick() {
	now := time.Now()
	elapsed := now.Sub(l.ticked)
	if elapsed < l.tickEvery() {
		return
	}
	l.ticked = now
	_ = l.with(func(tr *transfer.Device) error { return tr.Tick(elapsed, l.o.now()) }) // broken, or nothing
}

// readyTicks is how much more coarsely READY is timed: its end is a date.
const readyTicks = 5

func (l *life) tickEvery() time.Duration {
	if s := l.current(); s == transfer.Ready || s.AtRest() {
		return readyTicks * l.o.Tick
	}
	return l.o.Tick
}

func (l *life) current() transfer.DeviceState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// idle does what a quiet device does now and then, and returns when to look again.
func (l *life) idle(ctx context.Context) time.Time {
	now := time.Now()
	next := l.battery.step(now)
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if !l.current().AtRest() {
		sooner(l.ticked.Add(l.tickEvery()))
	}
	if l.retryAt.After(now) {
		sooner(l.retryAt)
	}
	if l.rekeys() {
		sooner(later(l.rekeyAt, l.retryAt))
	}
	if at := l.ages(l.inUse()); !at.IsZero() && l.current().AtRest() {
		sooner(later(at, l.retryAt))
	}
	if at := l.keepAlive(ctx, now); !at.IsZero() {
		sooner(at)
	}
	if at := l.d.meters.saveSometimes(now); !at.IsZero() {
		sooner(at)
	}
	return next
}
