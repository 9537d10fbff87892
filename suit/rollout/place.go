package rollout

import (
	"context"
	"slices"

	"steward/lwm2m"
	"steward/objects"
)

// A place is the object instance by which a device takes a release: that of
// Firmware Update, or the instance of Advanced Firmware Update that stands for the
// first component of the manifest. The others are updated along: the device lists
// them as linked.
type place struct {
	base    lwm2m.Path // zero: the device has no object for updates
	version lwm2m.Path // where the device tells which version runs
	names   []string   // of the device's components; nil: not known
}

// The place of the only Firmware Update instance.
var plainPlace = place{
	base:    lwm2m.NewPath(objects.FirmwareID, 0),
	version: lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceFirmware),
}

// place returns where a device takes a release. It prefers the object that knows
// components; if no instance is named like the first component, Firmware Update
// takes the whole package. It returns ErrUnreachable.
func (c *checker) place(ctx context.Context, o Order) (place, error) {
	q, err := c.requirements(ctx, o.Release.ID, o.Delivery)
	if err != nil {
		return place{}, err
	}
	plain, err := c.has(ctx, o.Device, objects.FirmwareID)
	if err != nil {
		return place{}, err
	}
	instances, err := c.o.Devices.Instances(ctx, o.Device, objects.AdvancedFirmwareID)
	if err != nil {
		return place{}, err
	}
	var names []string
	var found place
	for _, n := range slices.Sorted(slices.Values(instances)) {
		base := lwm2m.NewPath(objects.AdvancedFirmwareID, n)
		name := ""
		entries, err := c.ask(ctx, o.Device, base.Child(objects.AdvancedComponent))
		if err != nil {
			return place{}, err
		}
		for _, e := range entries {
			name = e.Value.Text()
		}
		names = append(names, name)
		if found.base.Len() == 0 && len(q.Components) > 0 && name == ComponentName(q.Components[0]) {
			found = place{base: base, version: base.Child(objects.AdvancedCurrent)}
		}
	}
	if found.base.Len() == 0 && plain {
		found = plainPlace
	}
	if found.base.Len() == 0 && len(instances) > 0 {
		// No instance is named like the component: the names say why it is refused.
		found.base = lwm2m.NewPath(objects.AdvancedFirmwareID, slices.Min(instances))
	}
	found.names = names
	return found, nil
}

// withoutNames leaves out what Firmware Update gives another meaning: the number of
// a component's name is there whether updates are automatic.
func withoutNames(base lwm2m.Path, entries []lwm2m.Entry) []lwm2m.Entry {
	if base.Object() != objects.AdvancedFirmwareID {
		return entries
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e lwm2m.Entry) bool {
		return e.Path.Len() > 2 && e.Path.ID(2) >= objects.AdvancedComponent
	})
}
