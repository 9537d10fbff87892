package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// stormSockets is from how many addresses handshakes break in at once at most: the
// server leads one an address.
const stormSockets = 5000

// storm lets the devices talk, first alone, then beside the handshakes of others
// and ClientHellos of invented senders. The whole generator steps back behind the
// server, whose own latencies count; those that the generator sees have its waits
// in them.
func (r *run) storm(ctx context.Context) error {
	r.result.Devices = r.o.Devices
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	others, err := newGenerator(r.fleet.rest(r.o.Devices), r.gen.server, stormSockets)
	if err != nil {
		return err
	}
	defer others.close() //nolint:errcheck // nothing of it is lost
	hello, err := captureHello(ctx, r.fleet.client(0))
	if err != nil {
		return err
	}
	if err := stepBack(); err != nil {
		return err
	}
	do := r.posting()
	var quiet outcome
	before, err := r.stamped(func() { quiet = r.gen.talk(ctx, r.timed(), do) })
	if err != nil {
		return err
	}
	r.result.QuietP50, r.result.QuietP99 = quiet.percentile(0.5), quiet.percentile(0.99)
	r.result.ServerQuietP50, r.result.ServerQuietP99 = before.P50, before.P99
	empty, err := r.server.usage(true)
	if err != nil {
		return err
	}
	var used usage
	var o outcome
	var failed error
	during, err := r.stamped(func() {
		o, used, failed = r.account(ctx, func() outcome { return r.breakIn(ctx, others, hello, do) })
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	r.result.ServerP50, r.result.ServerP99 = during.P50, during.P99
	r.result.take(o)
	r.handshakesSeen(used)
	after, err := r.server.usage(true)
	r.result.RSSEmpty, r.result.RSSFull = empty.RSS, after.RSS
	return err
}

// breakIn lets the devices talk as long as others break in.
func (r *run) breakIn(ctx context.Context, others *generator, hello []byte, do exchange) outcome {
	var breaking errgroup.Group
	over := make(chan struct{})
	breaking.Go(func() error {
		b := bounds{devices: r.o.Storming, inFlight: stormSockets}
		stormed := load(ctx, b, others.handshake)
		r.result.Stormed, r.result.StormFailed, r.result.StormSeconds = stormed.done, stormed.lost, stormed.took.Seconds()
		return nil
	})
	breaking.Go(func() error { return r.spoof(ctx, r.gen.server, hello) })
	var err error
	go func() { err = breaking.Wait(); close(over) }()
	talking := r.timed()
	talking.over = over
	o := r.gen.talk(ctx, talking, do)
	<-over
	if err != nil {
		r.result.Note = fmt.Sprintf("spoofing ended: %v", err)
	}
	return o
}

// stepBack gives every thread of this process the lowest priority. Threads to
// come take it over.
func stepBack() error {
	const nicest = 19
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, nicest); err != nil && !errors.Is(err, unix.ESRCH) {
			return os.NewSyscallError("setpriority", err)
		}
	}
	return nil
}
