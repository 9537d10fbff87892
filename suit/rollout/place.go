package rollout

import (
	"context"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
)

// A Place is the object instance by which a device takes a release: that of
// Firmware Update, or the instance of Advanced Firmware Update that stands for the
// first component of the manifest. The others are updated along: the device lists
// them as linked.
type Place struct {
	Base    lwm2m.Path // zero: the device has no object for updates
	Version lwm2m.Path // where the device tells which version runs
	Names   []string   // of the device's components; nil: not known
}

// The place of the only Firmware Update instance.
var plainPlace = Place{
	Base:    lwm2m.NewPath(objects.FirmwareID, 0),
	Version: lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceFirmware),
}

// Place returns where a device takes a release. It prefers the object that knows
// components; if no instance is named like the first component, Firmware Update
// takes the whole package. It returns ErrUnreachable.
func (c *Checker) Place(ctx context.Context, id fleet.ID, r Release, d Delivery) (Place, error) {
	q, err := c.requirements(ctx, r.ID, d)
	if err != nil {
		return Place{}, err
	}
	plain, err := c.has(ctx, id, objects.FirmwareID)
	if err != nil {
		return Place{}, err
	}
	instances, err := c.o.Devices.Instances(ctx, id, objects.AdvancedFirmwareID)
	if err != nil {
		return Place{}, err
	}
	var names []string
	var found Place
	for _, n := range slices.Sorted(slices.Values(instances)) {
		base := lwm2m.NewPath(objects.AdvancedFirmwareID, n)
		name := ""
		entries, err := c.ask(ctx, id, base.Child(objects.AdvancedComponent))
		if err != nil {
			return Place{}, err
		}
		for _, e := range entries {
			name = e.Value.Text()
		}
		names = append(names, name)
		if found.Base.Len() == 0 && len(q.Components) > 0 && name == ComponentName(q.Components[0]) {
			found = Place{Base: base, Version: base.Child(objects.AdvancedCurrent)}
		}
	}
	if found.Base.Len() == 0 && plain {
		found = plainPlace
	}
	if found.Base.Len() == 0 && len(instances) > 0 {
		// No instance is named like the component: the names say why it is refused.
		found.Base = lwm2m.NewPath(objects.AdvancedFirmwareID, slices.Min(instances))
	}
	found.Names = names
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
