package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"steward/objects"
	"steward/web"
)

// observe asks for notifications of the battery level and waits until each
// device has sent one.
func (d *demo) observe(ctx context.Context) error {
	devices, err := d.alpha.online(ctx)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/%d/0/%d", objects.DeviceID, objects.DeviceBatteryLevel)
	first := make(map[string]string, len(devices)) // value by device that has not notified
	var mu sync.Mutex
	err = each(ctx, slices.Collect(maps.Values(devices)), func(ctx context.Context, dev web.Device) error {
		err := d.alpha.api.Post(ctx, "/devices/"+dev.ID+"/operations",
			map[string]string{"op": string(web.OpObserve), "path": path}, nil)
		value := d.value(ctx, dev.ID, path)
		mu.Lock()
		defer mu.Unlock()
		first[dev.ID] = value
		return err
	})
	if err != nil {
		return err
	}
	return waitFor(ctx, d.limit(), func(ctx context.Context) (bool, error) {
		for id := range first {
			if v := d.value(ctx, id, path); v != "" && v != first[id] {
				delete(first, id)
			}
		}
		d.show.progress(len(devices) - len(first))
		return len(first) == 0, nil
	})
}

// value returns what Alpha heard last of a resource, with the time: "" if nothing.
func (d *demo) value(ctx context.Context, id, path string) string {
	var out json.RawMessage
	if err := d.alpha.api.Get(ctx, "/devices/"+id+"/lwm2m"+path, &out); err != nil {
		return ""
	}
	return string(out)
}

// atOnce is how many devices the demonstration asks a provider about at a time.
const atOnce = 8

// each calls do for all of list, some at a time, and returns the first error.
func each[T any](ctx context.Context, list []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, one := range list {
		group.Go(func() error { return do(ctx, one) })
	}
	return group.Wait()
}
