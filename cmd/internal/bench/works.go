package bench

import (
	"context"
	"time"

	"steward/lwm2m/coap"
)

// messages measures a load of messages between two measures of the floor.
func (r *run) messages(ctx context.Context, do func() outcome) error {
	var f floor
	if err := f.measure(ctx, r, r.o.Duration/2); err != nil {
		return err
	}
	o, used, err := r.account(ctx, do)
	if err != nil {
		return err
	}
	if err := f.measure(ctx, r, r.o.Duration/2); err != nil {
		return err
	}
	r.result.Devices = r.o.Devices
	r.result.take(o)
	r.result.cost(used.CPU, f.perOp())
	r.handshakesSeen(used)
	return nil
}

// handshakesSeen notes the handshakes that the server counted, if it tells.
func (r *run) handshakesSeen(used usage) {
	if _, ours := r.server.(*child); ours {
		n := int(used.Handshakes) //nolint:gosec // G115: a count
		r.result.NewHandshakes = &n
	}
}

// once is a load of one operation a device.
func (r *run) once() bounds { return bounds{devices: r.o.Devices, inFlight: r.o.InFlight} }

// timed is a load of the duration asked for.
func (r *run) timed() bounds {
	return bounds{devices: r.o.Devices, inFlight: r.o.InFlight, duration: r.o.Duration}
}

// posting is a small request for what is not there: the answer is made without a
// database.
func (r *run) posting() exchange {
	x := expect(post, coap.NotFound)
	if t := r.o.Target; t != nil && t.AnyAnswer {
		x.good = func(_ *device, answer reply) bool { return !answer.reset }
	}
	return x
}

// warm keeps first times out of the measured part: tables grow, code is loaded.
const warm = 200 * time.Millisecond

func (r *run) requests(ctx context.Context) error {
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	do := r.posting()
	b := r.timed()
	b.duration = min(warm, r.o.Duration)
	r.gen.talk(ctx, b, do)
	return r.messages(ctx, func() outcome { return r.gen.talk(ctx, r.timed(), do) })
}

func (r *run) handshakes(ctx context.Context) error {
	var f floor
	if err := f.crypto(r); err != nil {
		return err
	}
	b := r.timed()
	b.inFlight = min(b.inFlight, len(r.gen.sockets))
	b.duration = min(warm, r.o.Duration)
	load(ctx, b, r.gen.handshake)
	b.duration = r.o.Duration
	o, used, err := r.account(ctx, func() outcome { return load(ctx, b, r.gen.handshake) })
	if err != nil {
		return err
	}
	if err := f.crypto(r); err != nil {
		return err
	}
	r.result.Devices = r.o.Devices
	r.result.take(o)
	r.result.cost(used.CPU, f.perOp())
	r.handshakesSeen(used)
	return nil
}

func (r *run) register(ctx context.Context) error {
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	return r.messages(ctx, func() outcome { return r.gen.talk(ctx, r.once(), enlisting()) })
}

func (r *run) update(ctx context.Context) error {
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	if err := r.enlist(ctx, r.o.Devices); err != nil {
		return err
	}
	return r.messages(ctx, func() outcome { return r.gen.talk(ctx, r.once(), expect(update, coap.Changed)) })
}

func (r *run) observe(ctx context.Context) error {
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	if err := r.enlist(ctx, r.o.Devices); err != nil {
		return err
	}
	if err := r.watched(ctx); err != nil {
		return err
	}
	do := expect(notify(0), coap.Empty)
	return r.messages(ctx, func() outcome { return r.gen.talk(ctx, r.timed(), do) })
}

// watched waits until the server observes all that it is to observe.
func (r *run) watched(ctx context.Context) error {
	const step, most = 50 * time.Millisecond, 600
	for range most {
		missing := 0
		for i := range r.gen.devices {
			d := &r.gen.devices[i]
			d.mu.Lock()
			for k := range r.o.Observations {
				if !d.watched[k].on {
					missing++
				}
			}
			d.mu.Unlock()
		}
		if missing == 0 {
			return nil
		}
		if !pause(ctx, step) {
			return ctx.Err()
		}
	}
	return errNotObserved
}

func (r *run) idle(ctx context.Context) error {
	empty, err := r.server.usage(true)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	if r.o.Registered {
		if err := r.enlist(ctx, r.o.Devices); err != nil {
			return err
		}
		if err := r.watched(ctx); err != nil {
			return err
		}
	}
	if err := r.rest(ctx); err != nil {
		return err
	}
	full, err := r.server.usage(true)
	if err != nil {
		return err
	}
	if c, ours := r.server.(*child); ours && r.o.Profile != "" {
		var none bool
		if err := c.ask(&none, commandHeap, r.o.Profile); err != nil {
			return err
		}
	}
	r.result.Devices, r.result.Seconds = r.o.Devices, time.Since(begin).Seconds()
	r.result.RSSEmpty, r.result.RSSFull = empty.RSS, full.RSS
	r.result.RSSPerDevice = (float64(full.RSS) - float64(empty.RSS)) / float64(r.o.Devices)
	full.Handshakes -= empty.Handshakes
	r.handshakesSeen(full)
	return nil
}
