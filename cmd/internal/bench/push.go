package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/rollout"
)

const (
	// pushed is the number of bytes of the image that each device gets.
	pushed        = 1 << 20
	pushDevices   = 100
	updatable     = ",</5/0>"
	optionBlock1  = 27
	blockBytes    = 1024
	pushRelease   = "01BENCHPUSH"
	pushMoreBit   = 8
	pushVendor    = "bench.example"
	pushClassInfo = "bench"
)

// registerUpdatable is a Register of a device that takes updates.
func registerUpdatable(d *device, id uint16) (coap.Message, error) {
	m, err := register(d, id)
	m.Payload = append(m.Payload, updatable...)
	return m, err
}

// take acknowledges a block of a package, or all of it (RFC 7959 §2.3).
func take(m *coap.Message) (answer coap.Message) {
	answer = coap.Message{Type: coap.ACK, Code: coap.Changed, ID: m.ID, Token: m.Token}
	for _, o := range m.Options {
		if o.ID != optionBlock1 {
			continue
		}
		answer.Options = []coap.Option{o}
		if number(o.Value)&pushMoreBit != 0 {
			answer.Code = coap.Continue
		}
	}
	return answer
}

// A pusher is the server's own way to push a release to a device.
type pusher interface {
	StockRelease(ctx context.Context, r rollout.Release, c rollout.Content) error
	PushRelease(ctx context.Context, id fleet.ID, r rollout.Release) error
}

// pushAll makes a release and lets the server push it to the first devices, all at
// once.
func (c *controller) pushAll(ctx context.Context, argument string) (readings, error) {
	var devices int
	if _, err := fmt.Sscan(argument, &devices); err != nil || c.push == nil {
		return readings{}, fmt.Errorf("%w: push %.40q: %w", errCommand, argument, err)
	}
	r, content, err := image()
	if err != nil {
		return readings{}, err
	}
	if err := c.push.StockRelease(ctx, r, content); err != nil {
		return readings{}, err
	}
	var all errgroup.Group
	var done, failed atomic.Int64
	var first error
	var once sync.Once
	for i := range devices {
		all.Go(func() error {
			if err := c.push.PushRelease(ctx, deviceID(i), r); err != nil {
				failed.Add(1)
				once.Do(func() { first = fmt.Errorf("device %d: %w", i, err) })
				return nil //nolint:nilerr // it is counted
			}
			done.Add(1)
			return nil
		})
	}
	_ = all.Wait() // they are counted
	out := readings{Done: int(done.Load()), Failed: int(failed.Load())}
	if first != nil {
		out.First = first.Error()
	}
	return out, ctx.Err()
}

// image makes a release of random bytes, with them in the envelope.
func image() (rollout.Release, rollout.Content, error) {
	payload := make([]byte, pushed)
	_, _ = rand.Read(payload) // never fails
	vendor := author.VendorID(pushVendor)
	e, err := author.Build(author.Options{
		Vendor: vendor, Class: author.ClassID(vendor, pushClassInfo), Sequence: 1,
		Component: suit.NewComponentID([]byte{0}), Payload: payload, Integrated: true,
	})
	if err != nil {
		return rollout.Release{}, rollout.Content{}, err
	}
	r := rollout.Release{
		ID: pushRelease, Name: "bench", Sequence: 1, Manifest: [2]suit.Digest{e.Digest}, Size: pushed,
		CreatedBy: actor, CreatedAt: time.Now(), State: rollout.ReleaseApproved,
	}
	return r, rollout.Content{Push: e.Encode()}, nil
}

// pushes measures an image that goes to all devices at once, block by block.
func (r *run) pushes(ctx context.Context) error {
	c, ours := r.server.(*child)
	if !ours {
		return fmt.Errorf("%w: only a server of our own can be told to push", ErrOptions)
	}
	if err := r.establish(ctx, r.o.Devices); err != nil {
		return err
	}
	x := enlisting()
	x.build = registerUpdatable
	if o := r.gen.talk(ctx, r.once(), x); o.done != r.o.Devices || o.refused > 0 {
		return fmt.Errorf("%w: %d of %d devices registered", ErrServer, o.done-o.refused, r.o.Devices)
	}
	var f floor
	if err := f.measure(ctx, r, r.o.Duration/2); err != nil { //nolint:mnd // before and after
		return err
	}
	var told readings
	var failed error
	blocks := r.o.Devices * ((pushed + blockBytes - 1) / blockBytes)
	o, used, err := r.account(ctx, func() outcome {
		begin := time.Now()
		failed = c.ask(&told, commandPush, fmt.Sprint(r.o.Devices))
		return outcome{done: blocks, took: time.Since(begin)}
	})
	if err != nil {
		return err
	}
	if failed != nil || told.Failed > 0 {
		return fmt.Errorf("%w: %d pushes failed, %s: %w", ErrServer, told.Failed, told.First, failed)
	}
	if err := f.measure(ctx, r, r.o.Duration/2); err != nil { //nolint:mnd // likewise
		return err
	}
	r.result.Devices = r.o.Devices
	r.result.take(o)
	r.result.cost(used.CPU, f.perOp())
	bytes := float64(r.o.Devices) * pushed
	r.result.BytesPerS = bytes / o.took.Seconds()
	r.result.BytesPerCPUS = bytes / used.CPU.Seconds()
	r.handshakesSeen(used)
	return nil
}
