package rollout

import (
	"context"

	"steward/lwm2m"
	"steward/objects"
)

// The paths of the only Firmware Update instance.
var (
	firmware    = lwm2m.NewPath(objects.FirmwareID, 0)
	packagePath = firmware.Child(objects.FirmwarePackage)
	uriPath     = firmware.Child(objects.FirmwareURI)
	updatePath  = firmware.Child(objects.FirmwareUpdate)
	devicePath  = lwm2m.NewPath(objects.DeviceID, 0)
	versionPath = devicePath.Child(objects.DeviceFirmware)
)

// A FirmwareObject is the Deliverer of LwM2M Firmware Update (object 5).
type FirmwareObject struct {
	Devices Devices
	Store   Releases
	// URI returns where devices fetch the envelope of a release.
	URI func(release string) string
}

// Check implements Deliverer. Object 5 tells nothing that a manifest could be
// compared with.
func (FirmwareObject) Check(context.Context, Order) ([]string, error) { return nil, nil }

// Status implements Deliverer.
func (f FirmwareObject) Status(ctx context.Context, o Order) (Status, error) {
	entries, err := f.Devices.Read(ctx, o.Device, firmware)
	if err != nil {
		return Status{}, err
	}
	fw, err := objects.DecodeFirmware(firmware, entries)
	return Status{State: fw.State, Result: int(fw.Result)}, err
}

// Prepare implements Deliverer. An empty URI resets the machine (Firmware Update,
// Core 1.2.2 §E.6.1).
func (f FirmwareObject) Prepare(ctx context.Context, o Order, s Status) error {
	for _, id := range []uint16{objects.FirmwareStateID, objects.FirmwareResultID} {
		if err := f.Devices.Observe(ctx, o.Device, firmware.Child(id)); err != nil {
			return err
		}
	}
	if s.State == objects.FirmwareIdle && s.Result == int(objects.FirmwareInitial) {
		return nil
	}
	return f.Devices.Write(ctx, o.Device, uriPath, lwm2m.String(""))
}

// Deliver implements Deliverer.
func (f FirmwareObject) Deliver(ctx context.Context, o Order) error {
	if o.Delivery == Pull {
		return f.Devices.Write(ctx, o.Device, uriPath, lwm2m.String(f.URI(o.Release.ID)))
	}
	content, err := f.Store.Content(ctx, o.Release.ID)
	if err != nil {
		return err
	}
	return f.Devices.Write(ctx, o.Device, packagePath, lwm2m.Opaque(content.Push))
}

// Execute implements Deliverer.
func (f FirmwareObject) Execute(ctx context.Context, o Order) error {
	return f.Devices.Execute(ctx, o.Device, updatePath)
}

// Version implements Deliverer.
func (f FirmwareObject) Version(ctx context.Context, o Order) (string, error) {
	entries, err := f.Devices.Read(ctx, o.Device, versionPath)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Path == versionPath {
			return e.Value.Text(), nil
		}
	}
	return "", nil
}
