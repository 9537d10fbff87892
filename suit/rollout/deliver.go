package rollout

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/objects"
)

// Reach is what a Courier needs of devices.
type Reach interface {
	Devices
	// Instances returns the instances of an object that the device registered; none
	// if it has none. It returns ErrUnreachable if the device is not registered.
	Instances(ctx context.Context, id fleet.ID, object uint16) ([]uint16, error)
}

// CourierOptions configure a Courier. Fields without a default are required.
type CourierOptions struct {
	Releases Releases
	Payloads *Payloads
	Budgets  *Budgets
	Devices  Reach
	// Installed returns the manifests that a device is known to run.
	Installed func(ctx context.Context, id fleet.ID) ([]Installed, error)
	// Told returns what the device itself reported of a release, in words; "" if
	// nothing. may says that a report may still be on its way. Nil: nobody collects
	// reports.
	Told func(ctx context.Context, o Order, may bool) (string, error)
	// URI returns where a device that fetches by those protocols (nil: not known)
	// finds the envelope of a release. Devices are never told any other URI.
	URI func(release string, by []objects.FirmwareProtocol) string
	// Stall is how long a push may go without a block that the device acknowledges;
	// 3 min, which is more than CoAP repeats itself.
	Stall time.Duration
	// PushBytes bounds the envelopes that are being pushed, all together; 64 MiB.
	PushBytes int64
}

// A Courier leads devices through updates by Firmware Update (object 5) or Advanced
// Firmware Update (33629). It implements Deliverer. Safe for concurrent use.
type Courier struct {
	checker

	room *semaphore.Weighted // of PushBytes
}

var _ Deliverer = (*Courier)(nil)

const (
	defaultStall     = 3 * time.Minute
	defaultPushBytes = 64 << 20
)

// NewCourier returns a Courier.
func NewCourier(o CourierOptions) (*Courier, error) {
	if o.Releases == nil || o.Payloads == nil || o.Budgets == nil || o.Devices == nil || o.Installed == nil ||
		o.URI == nil {
		return nil, errors.New("rollout: Releases, Payloads, Budgets, Devices, Installed and URI are required")
	}
	if o.Told == nil {
		o.Told = func(context.Context, Order, bool) (string, error) { return "", nil }
	}
	if o.Stall == 0 {
		o.Stall = defaultStall
	}
	if o.PushBytes == 0 {
		o.PushBytes = defaultPushBytes
	}
	return &Courier{
		checker: checker{o: &o, read: map[string]Requirements{}}, room: semaphore.NewWeighted(o.PushBytes),
	}, nil
}

// askTimeout bounds everything but a push, which has Stall.
const askTimeout = 3 * time.Minute

// Status implements Deliverer.
func (c *Courier) Status(ctx context.Context, o Order) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	at, err := c.place(ctx, o)
	if err != nil {
		return Status{}, err
	}
	entries, err := c.o.Devices.Read(ctx, o.Device, at.base)
	if err != nil {
		return Status{}, err
	}
	fw, err := objects.DecodeFirmware(at.base, withoutNames(at.base, entries))
	if err != nil {
		return Status{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	s := Status{State: fw.State, Result: int(fw.Result)}
	if fw.Result <= objects.FirmwareSuccess || fw.Result == objects.FirmwareDeferred {
		return s, nil
	}
	may, err := c.has(ctx, o.Device, objects.AppDataID)
	if err != nil {
		return s, err
	}
	s.Reason, err = c.o.Told(ctx, o, may)
	return s, err
}

// Prepare implements Deliverer: an empty URI resets what an earlier update left
// (LwM2M Firmware Update §E.6.1).
func (c *Courier) Prepare(ctx context.Context, o Order, s Status) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	at, err := c.place(ctx, o)
	if err != nil {
		return err
	}
	for _, resource := range []uint16{objects.FirmwareStateID, objects.FirmwareResultID} {
		if err := c.o.Devices.Observe(ctx, o.Device, at.base.Child(resource)); err != nil {
			return err
		}
	}
	if s.State == objects.FirmwareIdle && s.Result == int(objects.FirmwareInitial) {
		return nil
	}
	return c.o.Devices.Write(ctx, o.Device, at.base.Child(objects.FirmwareURI), lwm2m.String(""))
}

// Deliver implements Deliverer: it writes the package, or where it is.
func (c *Courier) Deliver(ctx context.Context, o Order) error {
	at, err := c.place(ctx, o)
	if err != nil {
		return err
	}
	if o.Delivery == Push {
		return c.push(ctx, o, at)
	}
	var f Facts
	if err := c.means(ctx, o.Device, at, &f); err != nil {
		return err
	}
	uri := c.o.URI(o.Release.ID, f.Protocols)
	return c.o.Devices.Write(ctx, o.Device, at.base.Child(objects.FirmwareURI), lwm2m.String(uri))
}

// push writes the envelope block by block. It may take hours by a slow link, but no
// longer than Stall without progress.
func (c *Courier) push(ctx context.Context, o Order, at place) error {
	p, err := c.o.Payloads.Open(ctx, o.Release.ID, PartPush)
	if err != nil {
		return err
	}
	weight := min(int64(p.Length), c.o.PushBytes)
	if err := c.room.Acquire(ctx, weight); err != nil {
		return err
	}
	defer c.room.Release(weight)
	envelope := make([]byte, p.Length)
	if _, err := p.Read(ctx, envelope, 0); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var stalled atomic.Bool
	watchdog := time.AfterFunc(c.o.Stall, func() {
		stalled.Store(true)
		cancel()
	})
	defer watchdog.Stop()
	sent := 0
	ctx = coap.WithProgress(ctx, func(acknowledged int) {
		watchdog.Stop()
		c.pace(ctx, o, acknowledged-sent)
		sent = acknowledged
		watchdog.Reset(c.o.Stall)
	})
	err = c.o.Devices.Write(ctx, o.Device, at.base.Child(objects.FirmwarePackage), lwm2m.Opaque(envelope))
	if err != nil && stalled.Load() {
		return fmt.Errorf("%w: no block of the push acknowledged for %s", ErrUnreachable, c.o.Stall)
	}
	return err
}

// pace waits until n bytes may go, or ctx ends.
func (c *Courier) pace(ctx context.Context, o Order, n int) {
	for n > 0 {
		again, ok, err := c.o.Budgets.Take(ctx, o.Campaign, o.BytesPerSecond, n)
		if err != nil || ok || pause(ctx, again) != nil {
			return
		}
	}
}

// Execute implements Deliverer: instances that the device lists as linked are updated
// along.
func (c *Courier) Execute(ctx context.Context, o Order) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	at, err := c.place(ctx, o)
	if err != nil {
		return err
	}
	return c.o.Devices.Execute(ctx, o.Device, at.base.Child(objects.FirmwareUpdate))
}

// Version implements Deliverer.
func (c *Courier) Version(ctx context.Context, o Order) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	at, err := c.place(ctx, o)
	if err != nil {
		return "", err
	}
	entries, err := c.o.Devices.Read(ctx, o.Device, at.version)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Path == at.version {
			return e.Value.Text(), nil
		}
	}
	return "", nil
}
