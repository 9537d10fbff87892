package app

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/suit/rollout"
)

// updateActor stands in audit rows for what roll-outs want observed.
const updateActor = "system"

// updateDevices is what roll-outs need of devices (rollout.Devices).
type updateDevices struct{ server *server.Server }

// Read implements rollout.Devices.
func (d updateDevices) Read(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	entries, err := d.server.Read(ctx, id, p)
	return entries, updateError(err)
}

// Write implements rollout.Devices.
func (d updateDevices) Write(ctx context.Context, id fleet.ID, p lwm2m.Path, v lwm2m.Value) error {
	return updateError(d.server.Write(ctx, id, p, []lwm2m.Entry{{Path: p, Value: v}}, server.Replace))
}

// Execute implements rollout.Devices.
func (d updateDevices) Execute(ctx context.Context, id fleet.ID, p lwm2m.Path) error {
	return updateError(d.server.Execute(ctx, id, p, ""))
}

// Observe implements rollout.Devices.
func (d updateDevices) Observe(ctx context.Context, id fleet.ID, p lwm2m.Path) error {
	return updateError(d.server.Observe(ctx, id, p, updateActor))
}

// updateError sorts an error of the server for the roll-out: the device's own
// word, or silence.
func updateError(err error) error {
	switch {
	case err == nil:
		return nil
	case answered(err):
		return fmt.Errorf("%w: %w", rollout.ErrRefused, err)
	default:
		return fmt.Errorf("%w: %w", rollout.ErrUnreachable, err)
	}
}

// answered reports whether an error is the device's own word: a refusal, or an
// answer that is no use. All else is silence, and worth another try.
func answered(err error) bool {
	var answer *server.ResponseError
	return errors.As(err, &answer) || errors.Is(err, server.ErrAnswer) || errors.Is(err, server.ErrUnsupported) ||
		errors.Is(err, server.ErrNotObserved)
}
