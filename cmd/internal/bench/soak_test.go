package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

const (
	// soakDevices handshake, register and so on in every round of a soak.
	soakDevices = 400
	// soakFlood is how many ClientHellos of invented senders come in each.
	soakFlood = 20_000
	// remembered is what the messages of all peers and their answers take at most, in
	// bytes; they expire after some minutes, or when all peers are gone.
	remembered = 32 << 20
	// soakRounds is what it takes to tell a trend.
	soakRounds = 6
)

// TestSoak lets devices do again and again all that makes a server remember
// something: handshake, register, be observed, notify, update, de-register and
// expire, among floods of ClientHellos. When all of it is over, a round leaves
// nothing: what the server keeps is the same in the last rounds as in the first.
func TestSoak(t *testing.T) {
	text := os.Getenv("STEWARD_SOAK")
	if text == "" {
		t.Skip("needs STEWARD_SOAK, how long to go on: make soak")
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	r := newSoak(t)
	var objects, heap, rss, goroutines []float64
	begin := time.Now()
	for round := 0; round <= soakRounds || time.Since(begin) < length; round++ {
		if err := r.soak(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		u, err := r.quiet(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d, %4.0f s: %d objects, heap %.2f MB, RSS %.1f MB, %d goroutines, %d associations",
			round, time.Since(begin).Seconds(), u.Objects, megabytes(u.Heap), megabytes(u.RSS), u.Goroutines, u.Associations)
		if round == 0 {
			continue // tables grow to their size
		}
		objects = append(objects, float64(u.Objects))
		heap, rss = append(heap, float64(u.Heap)), append(rss, float64(u.RSS))
		goroutines = append(goroutines, float64(u.Goroutines))
	}
	for _, m := range []struct {
		name   string
		values []float64
		growth float64 // allowed
		table  float64 // of fixed size, which may be full or have been given back
	}{
		{"objects", objects, 1.1, 4096}, // a message remembered is no object, but its chunk is
		{"heap", heap, 1.1, remembered},
		{"RSS", rss, 1.2, remembered},      // the kernel's view, with what the collector holds in reserve
		{"goroutines", goroutines, 1.5, 0}, // those that may work again live for a while
	} {
		third := len(m.values) / 3
		// The least of each: what is under way for a moment is no growth.
		ratio := (slices.Min(m.values[len(m.values)-third:]) - m.table) / slices.Min(m.values[:third])
		t.Logf("%s: the last %d of %d rounds have %.3f × that of the first", m.name, third, len(m.values), ratio)
		if ratio > m.growth {
			t.Errorf("%s grows: %.3f × that of the beginning, want at most %v", m.name, ratio, m.growth)
		}
	}
}

// newSoak prepares a server and its devices.
func newSoak(t *testing.T) *run {
	t.Helper()
	o, err := Options{Work: Observe, Devices: soakDevices, Observations: 1, Spoofed: soakFlood}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{o: o, dir: t.TempDir(), result: &Result{}}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// soak is one round.
func (r *run) soak(ctx context.Context) error {
	hello, err := captureHello(ctx, r.fleet.client(0))
	if err != nil {
		return err
	}
	if err := r.spoof(ctx, r.gen.server, hello); err != nil {
		return err
	}
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	for i := range r.gen.devices {
		r.gen.devices[i].unwatch()
	}
	if err := r.enlist(ctx, r.o.Devices); err != nil {
		return err
	}
	if err := r.watched(ctx); err != nil {
		return err
	}
	timed := r.timed()
	timed.duration = time.Second
	for k, part := range []struct {
		b bounds
		x exchange
	}{
		{timed, expect(notify(0), coap.Empty)},
		{timed, expect(post, coap.NotFound)},
		{r.once(), expect(update, coap.Changed)},
		{r.once(), expect(deregister, coap.Deleted)},
		{r.once(), brief()},
	} {
		if o := r.gen.talk(ctx, part.b, part.x); o.lost+o.refused > 0 || o.done == 0 {
			return fmt.Errorf("%w: part %d: %d done, %d lost, %d refused", ErrServer, k, o.done, o.lost, o.refused)
		}
	}
	if err := r.expired(ctx); err != nil {
		return err
	}
	for i := range r.gen.devices {
		if err := r.gen.devices[i].goodbye(); err != nil {
			return err
		}
	}
	return nil
}

// deregister is a De-register (Core 1.2.2 §6.2.3).
func deregister(d *device, id uint16) (coap.Message, error) {
	m, err := update(d, id)
	m.Code = coap.DELETE
	return m, err
}

// brief is the exchange that registers a device for a second.
func brief() exchange {
	x := enlisting()
	x.build = func(d *device, id uint16) (coap.Message, error) { return registerFor(d, id, "lt=1") }
	return x
}

// expired waits until the server has forgotten all registrations. One that it has
// not is refreshed by the question.
func (r *run) expired(ctx context.Context) error {
	const most = 10
	for range most {
		pause(ctx, 3*time.Second)
		o := r.gen.talk(ctx, r.once(), expect(update, coap.NotFound))
		if o.refused+o.lost == 0 {
			return ctx.Err()
		}
	}
	return errNotExpired
}

var errNotExpired = errors.New("registrations do not expire")

// unwatch forgets what the server observed.
func (d *device) unwatch() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watched = [maxPaths]watched{}
}

// goodbye ends the association of a device in order (RFC 5246 §7.2.1).
func (d *device) goodbye() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const warning = 1
	out, err := d.session.Seal(nil, dtls.Alert, []byte{warning, alertCloseNotify})
	if err != nil {
		return err
	}
	d.connected = false
	return d.socket.send(out)
}

// quiet waits until the server leads no handshake, which a flood may have begun,
// and has no association.
func (r *run) quiet(ctx context.Context) (usage, error) {
	for {
		u, err := r.server.usage(true)
		if err != nil || u.Pending == 0 && u.Associations == 0 || !pause(ctx, ackTimeout/4) {
			return u, err
		}
	}
}
