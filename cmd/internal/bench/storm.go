package bench

import (
	"context"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"steward/lwm2m/coap"
)

// stormSockets is from how many addresses handshakes break in at once: the server
// leads one an address.
const stormSockets = 256

// storm lets the devices talk, first alone, then beside the handshakes of others
// and ClientHellos of invented senders. The whole generator steps back behind the
// server; latencies are still those that the generator sees, its own waits
// included.
func (r *run) storm(ctx context.Context) error {
	r.result.Devices = r.o.Devices
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	addr := r.gen.server
	others, err := newGenerator(r.fleet.rest(r.o.Devices), addr, stormSockets)
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
	do := expect(post, coap.NotFound)
	quiet := r.gen.talk(ctx, r.timed(), do)
	r.result.QuietP50, r.result.QuietP99 = quiet.percentile(0.5), quiet.percentile(0.99)
	before, err := r.server.usage(true)
	if err != nil {
		return err
	}
	var stormed outcome
	o, used, err := r.account(ctx, func() outcome {
		var breaking errgroup.Group
		over := make(chan struct{})
		breaking.Go(func() error {
			stormed = load(ctx, bounds{devices: r.o.Storming, inFlight: stormSockets}, others.handshake)
			return nil
		})
		breaking.Go(func() error { return r.spoof(ctx, addr, hello) })
		go func() { err = breaking.Wait(); close(over) }()
		talking := r.timed()
		talking.over = over
		return r.gen.talk(ctx, talking, do)
	})
	if err != nil {
		return err
	}
	r.result.take(o)
	r.handshakesSeen(used)
	r.result.Stormed, r.result.StormFailed, r.result.StormSeconds = stormed.done, stormed.lost, stormed.took.Seconds()
	after, err := r.server.usage(true)
	r.result.RSSEmpty, r.result.RSSFull = before.RSS, after.RSS
	return err
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
