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

// A Prober asks a device what it is.
type Prober interface {
	// Read reads an object instance. It returns ErrUnreachable or ErrRefused.
	Read(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error)
	// Instances returns the instances of an object that the device registered; none
	// if it has none. It returns ErrUnreachable if the device is not registered.
	Instances(ctx context.Context, id fleet.ID, object uint16) ([]uint16, error)
}

// CheckerOptions configure a Checker. All fields are required.
type CheckerOptions struct {
	Releases Releases
	Devices  Prober
	// Installed returns the manifests that a device is known to run.
	Installed func(ctx context.Context, id fleet.ID) ([]Installed, error)
	// URI returns where devices fetch the envelope of a release.
	URI func(release string) string
}

// A Checker says before anything is sent whether a device can accept a release: the
// manifest is the policy, and what the device tells of itself the facts. Safe for
// concurrent use.
type Checker struct {
	o CheckerOptions

	mu   sync.Mutex
	read map[string]Requirements // by release and delivery, at most maxRead
}

// maxRead bounds the manifests whose requirements are remembered.
const maxRead = 256

// NewChecker returns a Checker.
func NewChecker(o CheckerOptions) (*Checker, error) {
	if o.Releases == nil || o.Devices == nil || o.Installed == nil || o.URI == nil {
		return nil, errors.New("rollout: Releases, Devices, Installed and URI are required")
	}
	return &Checker{o: o, read: map[string]Requirements{}}, nil
}

// Check returns in words why a device cannot accept a release by a delivery; none if
// nothing that is known speaks against it. It returns ErrUnreachable if the device
// cannot be asked now.
func (c *Checker) Check(ctx context.Context, id fleet.ID, r Release, d Delivery) ([]string, error) {
	q, err := c.requirements(ctx, r.ID, d)
	if err != nil {
		return nil, err
	}
	place, err := c.Place(ctx, id, r, d)
	if err != nil {
		return nil, err
	}
	if place.Base.Len() == 0 {
		return []string{"the device has no object for updates"}, nil
	}
	f, err := c.facts(ctx, id, place)
	if err != nil {
		return nil, err
	}
	return q.Refusals(&f, d, c.o.URI(r.ID)), nil
}

// requirements returns those of a release, read once.
func (c *Checker) requirements(ctx context.Context, release string, d Delivery) (Requirements, error) {
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
func (c *Checker) facts(ctx context.Context, id fleet.ID, place Place) (f Facts, err error) {
	f.Components = place.Names
	for _, add := range []func(context.Context, fleet.ID, *Facts) error{c.identity, c.installed, c.memory} {
		if err := add(ctx, id, &f); err != nil {
			return f, err
		}
	}
	entries, err := c.ask(ctx, id, place.Base)
	if err != nil || entries == nil {
		return f, err
	}
	fw, err := objects.DecodeFirmware(place.Base, withoutNames(place.Base, entries))
	if err != nil {
		return f, nil //nolint:nilerr // the update itself will tell what is wrong with the object
	}
	f.Delivery = &fw.Delivery
	for _, instance := range slices.Sorted(maps.Keys(fw.Protocols)) {
		f.Protocols = append(f.Protocols, fw.Protocols[instance])
	}
	return f, nil
}

// identity is what the device says in object Device Metadata or, if it has none, what
// the last release that it got here was made for.
func (c *Checker) identity(ctx context.Context, id fleet.ID, f *Facts) error {
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
func (c *Checker) installed(ctx context.Context, id fleet.ID, f *Facts) error {
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
func (c *Checker) memory(ctx context.Context, id fleet.ID, f *Facts) error {
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
func (c *Checker) ask(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	entries, err := c.o.Devices.Read(ctx, id, p)
	if errors.Is(err, ErrRefused) {
		return nil, nil
	}
	return entries, err
}

func (c *Checker) has(ctx context.Context, id fleet.ID, object uint16) (bool, error) {
	instances, err := c.o.Devices.Instances(ctx, id, object)
	return len(instances) > 0, err
}
