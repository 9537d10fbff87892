package app

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/suit/rollout"
	"steward/transfer/coordinator"
)

// systemActor stands in audit rows for what runners do to devices by themselves.
const systemActor = "system"

// deviceCalls is what runners need of devices. Each runner has errors of its own
// for a device that refuses and for one that is silent.
type deviceCalls struct {
	server                  *server.Server
	refused, silent, asleep error
}

// updateDevices implements rollout.Devices.
type updateDevices struct{ deviceCalls }

func newUpdateDevices(s *server.Server) updateDevices {
	return updateDevices{deviceCalls{s, rollout.ErrRefused, rollout.ErrUnreachable, rollout.ErrAsleep}}
}

// Execute implements rollout.Devices.
func (d updateDevices) Execute(ctx context.Context, id fleet.ID, p lwm2m.Path) error {
	return d.deviceCalls.Execute(ctx, id, p, "")
}

// newTransferDevices returns the coordinator.Devices of s.
func newTransferDevices(s *server.Server) deviceCalls {
	return deviceCalls{s, coordinator.ErrRefused, coordinator.ErrUnreachable, coordinator.ErrAsleep}
}

// Read reads an object, instance or resource.
func (d deviceCalls) Read(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	entries, err := d.server.Read(ctx, id, p)
	return entries, d.sorted(err)
}

// Write replaces one resource.
func (d deviceCalls) Write(ctx context.Context, id fleet.ID, p lwm2m.Path, v lwm2m.Value) error {
	return d.sorted(d.server.Write(ctx, id, p, []lwm2m.Entry{{Path: p, Value: v}}, server.Replace))
}

// Instances returns the instances of an object that the device registered.
func (d deviceCalls) Instances(_ context.Context, id fleet.ID, object uint16) (out []uint16, err error) {
	r, err := d.server.Registration(id)
	if err != nil {
		return nil, d.sorted(err)
	}
	for _, o := range r.Objects {
		if o.Path.Object() == object && o.Path.Len() == 2 {
			out = append(out, o.Path.ID(1))
		}
	}
	return out, nil
}

// Create creates an instance, whose id the device chooses.
func (d deviceCalls) Create(ctx context.Context, id fleet.ID, object uint16, entries []lwm2m.Entry) error {
	_, err := d.server.Create(ctx, id, lwm2m.NewPath(object), -1, entries)
	return d.sorted(err)
}

// Execute executes a resource.
func (d deviceCalls) Execute(ctx context.Context, id fleet.ID, p lwm2m.Path, args string) error {
	return d.sorted(d.server.Execute(ctx, id, p, args))
}

// Observe asks for notifications of p.
func (d deviceCalls) Observe(ctx context.Context, id fleet.ID, p lwm2m.Path) error {
	return d.sorted(d.server.Observe(ctx, id, p, systemActor))
}

// Delete deletes an instance.
func (d deviceCalls) Delete(ctx context.Context, id fleet.ID, p lwm2m.Path) error {
	return d.sorted(d.server.Delete(ctx, id, p))
}

// sorted tells the device's own word, a refusal or an answer that is no use, from
// silence, which is worth another try.
func (d deviceCalls) sorted(err error) error {
	var answer *server.ResponseError
	var sleeps *server.AsleepError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer), errors.Is(err, server.ErrAnswer), errors.Is(err, server.ErrUnsupported),
		errors.Is(err, server.ErrNotObserved):
		return fmt.Errorf("%w: %w", d.refused, err)
	case errors.As(err, &sleeps):
		return fmt.Errorf("%w: %w", d.asleep, err)
	default:
		return fmt.Errorf("%w: %w", d.silent, err)
	}
}
