package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"steward/objects"
)

// deferred is the result of a device that puts an update off.
const deferred = int(objects.FirmwareDeferred)

// recheck is how often a device is asked whether it has power now.
const recheck = 15 * time.Minute

// ready says why a device must wait before it downloads or installs, and until
// when; "" if it need not. It asks the device only if the plan has a window or a
// condition.
func (t *turn) ready(ctx context.Context, windows []Window, what string) (wait string, until time.Time, err error) {
	needs := t.c.Plan.Needs
	if len(windows) == 0 && needs == (Conditions{}) {
		return "", time.Time{}, nil
	}
	d, err := t.device(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	if told := zoneOf(d); told != "" {
		t.j.Zone = told
	}
	zone := t.c.Plan.Windows.zone(t.j.Zone)
	if open := opens(windows, zone, t.now); open.After(t.now) {
		names := make([]string, 0, len(windows))
		for _, w := range windows {
			names = append(names, w.String())
		}
		return fmt.Sprintf("waits for its %s window (%s by its own clock), which opens at %s", what,
			strings.Join(names, "; "), open.In(zone).Format(time.RFC3339)), open, nil
	}
	if why := needs.lacks(d); why != "" {
		return "waits: " + why, t.now.Add(recheck), nil
	}
	return "", time.Time{}, nil
}

// device reads object Device. One that cannot be decoded tells nothing.
func (t *turn) device(ctx context.Context) (objects.Device, error) {
	entries, err := t.r.o.Devices.Read(ctx, t.j.Device, devicePath)
	if err != nil && !errors.Is(err, ErrRefused) {
		return objects.Device{}, err
	}
	t.heard()
	d, err := objects.DecodeDevice(devicePath, entries)
	if err != nil {
		return objects.Device{}, nil //nolint:nilerr // what it does not tell it is not held to
	}
	return d, nil
}

// zoneOf returns where the device says that it is, as an offset or a name.
func zoneOf(d objects.Device) string {
	for _, name := range []string{d.UTCOffset, d.Timezone} {
		if _, err := location(name); name != "" && err == nil {
			return name
		}
	}
	return ""
}

// The sources of power of /3/0/6 that do not run down (Core 1.2.2 §E.4).
var external = map[int64]bool{0: true, 4: true, 5: true, 6: true} // DC, Ethernet, USB, mains

// lacks says what the device has not enough of, "" for nothing.
func (n Conditions) lacks(d objects.Device) string {
	powered := false
	for _, source := range d.PowerSources {
		powered = powered || external[source]
	}
	switch {
	case powered:
		return ""
	case n.External && len(d.PowerSources) > 0:
		return "the device is not powered from outside"
	case n.Battery > 0 && d.BatteryLevel != nil && *d.BatteryLevel < int64(n.Battery):
		return fmt.Sprintf("the battery has %d %%, it needs %d %%", *d.BatteryLevel, n.Battery)
	}
	return ""
}
