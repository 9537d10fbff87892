package bench

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/lwm2m/coap"
)

// An exchange is an operation of one message and its answer.
type exchange struct {
	build builder
	// good reports whether the answer is the expected one. The device is locked.
	good func(d *device, r reply) bool
}

// expect is the exchange whose answer has a code.
func expect(build builder, code coap.Code) exchange {
	return exchange{build, func(_ *device, r reply) bool { return r.code == code && !r.reset }}
}

// enlisting is the exchange that registers a device and keeps its location.
func enlisting() exchange {
	return exchange{register, func(d *device, r reply) bool {
		if r.reset || r.code != coap.Created {
			return false
		}
		d.location = r.location
		return true
	}}
}

// A lane is the part of a load that goes through one socket. All of it happens in
// the goroutine that reads the socket: with an answer the next operation begins,
// and leaves in one system call with others.
type lane struct {
	s     *socket
	x     exchange
	b     bounds
	ended func() bool // the load is to end

	begun   time.Time
	first   int // number of the socket's first device
	step    int // from one of its devices to the next
	next    int
	flights []flight
	open    int       // flights under way
	ready   []*flight // answered
	looked  time.Time // for those that wait too long
	started bool
	o       outcome
	done    chan struct{}
}

// A flight is an operation under way, or the place for one.
type flight struct {
	lane       *lane
	device     *device // nil: none is under way
	begun, due time.Time
	sends      int
	message    []byte
	reply      reply
}

// laneTick is how often a lane looks for what waits too long.
const laneTick = 20 * time.Millisecond

// talk lets devices do the exchange, as many at once as b says and one of a device
// at a time. Each socket in use has at least one under way.
func (g *generator) talk(ctx context.Context, b bounds, x exchange) outcome {
	begin := time.Now()
	ended := func() bool { return ctx.Err() != nil || b.duration > 0 && b.ended(begin) }
	sockets := min(len(g.sockets), b.devices)
	lanes := make([]*lane, 0, sockets)
	var all errgroup.Group
	all.SetLimit(min(sockets, b.inFlight))
	for k, s := range g.sockets[:sockets] {
		share := b.inFlight / sockets
		if k < b.inFlight%sockets {
			share++
		}
		own := (b.devices-k-1)/len(g.sockets) + 1
		l := &lane{
			s: s, x: x, b: b, ended: ended, begun: begin, first: k, step: len(g.sockets), next: k,
			flights: make([]flight, min(max(share, 1), own)), done: make(chan struct{}),
		}
		lanes = append(lanes, l)
		all.Go(func() error {
			l.run()
			return nil
		})
	}
	_ = all.Wait() // lanes return none
	var o outcome
	for _, l := range lanes {
		o.add(l.o)
	}
	o.took = time.Since(begin)
	return o
}

// run hands the lane to its socket's reader and waits until it has ended.
func (l *lane) run() {
	l.s.lane.Store(l)
	_ = l.s.conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader; a closed one has ended
	select {
	case <-l.done:
	case <-l.s.g.closed:
	}
}

// advance is called by the reader after each batch, and late when none came.
func (l *lane) advance(now time.Time, late bool) {
	if !l.started {
		l.started = true
		for i := range l.flights {
			l.flights[i].lane = l
			l.begin(&l.flights[i], now)
		}
	}
	for _, f := range l.ready {
		l.finish(f, now)
		l.begin(f, now)
	}
	l.ready = l.ready[:0]
	if late || now.Sub(l.looked) > laneTick {
		l.looked = now
		l.repeat(now)
		_ = l.s.conn.SetReadDeadline(now.Add(2 * laneTick)) // fails on a closed socket, whose reader ends
	}
	if l.open == 0 {
		l.s.lane.Store(nil)
		_ = l.s.conn.SetReadDeadline(time.Time{})
		close(l.done)
	}
}

// pick returns the next device; nil: none is left, or time is up.
func (l *lane) pick() *device {
	if l.ended() {
		return nil
	}
	if l.next >= l.b.devices && l.b.duration > 0 {
		l.next = l.first
	}
	if l.next >= l.b.devices {
		return nil
	}
	d := &l.s.g.devices[l.next]
	l.next += l.step
	return d
}

// begin sends the next operation in f's place, if there is one.
func (l *lane) begin(f *flight, now time.Time) {
	f.device = nil
	for d := l.pick(); d != nil; d = l.pick() {
		d.mu.Lock()
		if d.wait != nil { // it is slow: another turn is not due
			d.mu.Unlock()
			continue
		}
		var err error
		f.message, err = d.begin(l.x.build, f.message, f)
		d.mu.Unlock()
		if err != nil {
			l.o.lost++
			continue
		}
		f.device, f.begun, f.due, f.sends = d, now, now.Add(ackTimeout), 1
		l.open++
		return
	}
}

// answered implements waiter.
func (f *flight) answered(r reply) {
	f.reply = r
	f.lane.ready = append(f.lane.ready, f)
}

// finish counts an answered operation.
func (l *lane) finish(f *flight, now time.Time) {
	l.open--
	l.o.done++
	f.device.mu.Lock()
	ok := l.x.good(f.device, f.reply)
	f.device.mu.Unlock()
	if !ok {
		l.o.refused++
	}
	l.o.latencies = append(l.o.latencies, now.Sub(f.begun))
}

// repeat sends again what was not answered in time, or gives it up.
func (l *lane) repeat(now time.Time) {
	for i := range l.flights {
		f := &l.flights[i]
		if f.device == nil || now.Before(f.due) {
			continue
		}
		f.device.mu.Lock()
		again := f.sends < l.s.g.patience && f.device.send(f.message) == nil
		if !again {
			f.device.wait = nil
		}
		f.device.mu.Unlock()
		if again {
			l.o.repeats++
			f.due = now.Add(ackTimeout << f.sends)
			f.sends++
			continue
		}
		l.open--
		l.o.lost++
		l.begin(f, now)
	}
}
