package server

import (
	"context"
	"fmt"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// Create creates an instance of the object at base (§6.3.6) and returns its path. If
// instance is negative the device chooses; if then it does not say what it chose, not
// even when asked, the path is that of the object. The instance in the paths of
// entries does not matter.
func (s *Server) Create(ctx context.Context, device fleet.ID, base lwm2m.Path, instance int,
	entries []lwm2m.Entry,
) (lwm2m.Path, error) {
	if err := deep(base, 1, 1); err != nil {
		return lwm2m.Path{}, err
	}
	if base.Object() >= lwm2m.NoID || instance >= lwm2m.NoID {
		return lwm2m.Path{}, fmt.Errorf("%w: object %d, instance %d", lwm2m.ErrPath, base.Object(), instance)
	}
	made := base.Child(lwm2m.NoID)
	if instance >= 0 {
		made = base.Child(uint16(instance))
	}
	moved := make([]lwm2m.Entry, 0, len(entries))
	for _, e := range entries {
		p, err := moveTo(e.Path, made)
		if err != nil {
			return lwm2m.Path{}, err
		}
		moved = append(moved, lwm2m.Entry{Path: p, Value: e.Value})
	}
	limited, c, err := s.reach(ctx, device)
	if err != nil {
		return lwm2m.Path{}, err
	}
	defer s.finish(c)
	if err := c.reaches(base); err != nil {
		return lwm2m.Path{}, err
	}
	res, err := s.put(limited, c, coap.POST, base, moved)
	if err == nil && instance < 0 {
		made, err = s.created(limited, c, base, res)
	}
	if err != nil {
		return lwm2m.Path{}, fmt.Errorf("create %s: %w", base, err)
	}
	return made, nil
}

// unnamed reports whether entries below p are of an instance without an id. TLV
// alone can leave it out (§7.5.5); some clients refuse NoID in its place.
func unnamed(p lwm2m.Path, entries []lwm2m.Entry) bool {
	return p.Len() == 1 && len(entries) > 0 && entries[0].Path.ID(1) == lwm2m.NoID
}

// moveTo returns p below another instance of the same object.
func moveTo(p, instance lwm2m.Path) (lwm2m.Path, error) {
	if p.Len() < 3 || p.Prefix(1) != instance.Prefix(1) {
		return p, fmt.Errorf("%w: %s is no value of object %d", lwm2m.ErrPath, p, instance.Object())
	}
	for i := 2; i < p.Len(); i++ {
		instance = instance.Child(p.ID(i))
	}
	return instance, nil
}

// created finds the instance that the device chose: in its answer, or else by
// Discover, as the one that its registration did not have.
func (s *Server) created(ctx context.Context, c *call, base lwm2m.Path, res *coap.Response) (lwm2m.Path, error) {
	if len(res.LocationPath) > 0 {
		made, err := lwm2m.ParseSegments(c.trimRoot(res.LocationPath, base))
		if err != nil || made.Len() != 2 || made.Object() != base.Object() {
			return made, fmt.Errorf("%w: location %.80q", ErrAnswer, res.LocationPath)
		}
		return made.Under(base), nil
	}
	links, err := s.discover(ctx, c, base, defaultDepth)
	if err != nil {
		return base, nil //nolint:nilerr // the instance is there, only its id is unknown
	}
	found := slices.DeleteFunc(instances(links, base), func(p lwm2m.Path) bool { return c.registration.Has(p) })
	if len(found) != 1 {
		return base, nil
	}
	return found[0], nil
}
