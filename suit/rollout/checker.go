package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
)

// maxRead bounds the manifests whose requirements are remembered.
const maxRead = 256

// A checker says before anything is sent whether a device can accept a release: the
// manifest is the policy, and what the device tells of itself the facts.
type checker struct {
	o *CourierOptions

	mu   sync.Mutex
	read map[string]Requirements // by release and delivery, at most maxRead
}

// Check implements Deliverer.
func (c *Courier) Check(ctx context.Context, o Order) ([]string, error) {
	q, err := c.requirements(ctx, o.Release.ID, o.Delivery)
	if err != nil {
		return nil, err
	}
	at, err := c.place(ctx, o)
	if err != nil {
		return nil, err
	}
	if at.base.Len() == 0 {
		return []string{"the device has no object for updates"}, nil
	}
	f, err := c.facts(ctx, o.Device, at)
	if err != nil {
		return nil, err
	}
	return q.Refusals(&f, o.Delivery, c.o.URI(o.Release.ID, f.Protocols)), nil
}

// requirements returns those of a release, read once.
func (c *checker) requirements(ctx context.Context, release string, d Delivery) (Requirements, error) {
	key := release + "/" + string(d)
	c.mu.Lock()
	q, ok := c.read[key]
	c.mu.Unlock()
	if ok {
		return q, nil
	}
	content, err := c.o.Releases.Content(ctx, release)
	if err != nil {
		return q, err
	}
	envelope := content.Push
	if d == Pull {
		envelope = content.Pull
	}
	if envelope == nil {
		return q, fmt.Errorf("%w: it cannot be delivered by %s", ErrRelease, d)
	}
	if q, err = RequirementsOf(envelope); err != nil {
		return q, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.read) >= maxRead {
		clear(c.read)
	}
	c.read[key] = q
	return q, nil
}

// facts asks the device. What it does not answer is not known.
func (c *checker) facts(ctx context.Context, id fleet.ID, at place) (f Facts, err error) {
	f.Components = at.names
	for _, add := range []func(context.Context, fleet.ID, *Facts) error{c.identity, c.installed, c.memory} {
		if err := add(ctx, id, &f); err != nil {
			return f, err
		}
	}
	return f, c.means(ctx, id, at, &f)
}

// means are the ways by which the device takes packages.
func (c *checker) means(ctx context.Context, id fleet.ID, at place, f *Facts) error {
	entries, err := c.ask(ctx, id, at.base)
	if err != nil || entries == nil {
		return err
	}
	fw, err := objects.DecodeFirmware(at.base, withoutNames(at.base, entries))
	if err != nil {
		return nil //nolint:nilerr // the update itself will tell what is wrong with the object
	}
	f.Delivery = &fw.Delivery
	for _, instance := range slices.Sorted(maps.Keys(fw.Protocols)) {
		f.Protocols = append(f.Protocols, fw.Protocols[instance])
	}
	return nil
}

// identity is what the device says in object Device Metadata or, if it has none, what
// the last release that it got here was made for.
func (c *checker) identity(ctx context.Context, id fleet.ID, f *Facts) error {
	base := lwm2m.NewPath(objects.MetadataID, 0)
	if has, err := c.has(ctx, id, objects.MetadataID); err != nil || !has {
		return err
	}
	entries, err := c.ask(ctx, id, base)
	if err != nil {
		return err
	}
	m, err := objects.DecodeMetadata(base, entries)
	if err == nil {
		f.Vendor, f.Class, f.Device = identifier(m.Vendor), identifier(m.Class), identifier(m.Device)
	}
	return nil
}

// installed is the highest sequence number known, and the class that it was for.
func (c *checker) installed(ctx context.Context, id fleet.ID, f *Facts) error {
	all, err := c.o.Installed(ctx, id)
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Sequence < f.Sequence {
			continue
		}
		f.Sequence, f.Installed = i.Sequence, "installed by another provider"
		if i.Release == "" {
			continue
		}
		f.Installed = "installed by us"
		if r, err := c.o.Releases.Release(ctx, i.Release); err == nil && f.Class == nil {
			f.Vendor, f.Class = identifier(r.Vendor), identifier(r.Class)
		}
	}
	return nil
}

// memory is what /3/0/10 says is free.
func (c *checker) memory(ctx context.Context, id fleet.ID, f *Facts) error {
	path := lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceMemoryFree)
	entries, err := c.ask(ctx, id, path)
	for _, e := range entries {
		if n, ok := e.Value.Int(); ok && e.Path == path && n > 0 {
			f.Free = uint64(n) << 10 // KiB
		}
	}
	return err
}

// ask reads what a device may have or not: its refusal is no error.
func (c *checker) ask(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	entries, err := c.o.Devices.Read(ctx, id, p)
	if errors.Is(err, ErrRefused) {
		return nil, nil
	}
	return entries, err
}

func (c *checker) has(ctx context.Context, id fleet.ID, object uint16) (bool, error) {
	instances, err := c.o.Devices.Instances(ctx, id, object)
	return len(instances) > 0, err
}
