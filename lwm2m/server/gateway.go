package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
)

// gatewayObject is LwM2M Gateway: an instance for each device behind the one that
// has it, whose prefix paths of the devices behind begin with (Gateway 1.1 §6).
const gatewayObject = 25

// GatewayWish is the name of Wish.Template of what the server observes by itself:
// which devices are behind a gateway.
const GatewayWish = "gateway"

// gateway reports whether the registration is of a gateway.
func gateway(objects []ObjectLink) bool {
	return slices.ContainsFunc(objects, func(o ObjectLink) bool { return o.Path.Object() == gatewayObject })
}

// wanted returns what is to be observed of a device: what the Store says, and which
// devices are behind it if it is a gateway.
func (s *Server) wanted(ctx context.Context, device fleet.ID) ([]Wish, error) {
	wishes, err := s.o.Store.Wanted(ctx, device)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	e := s.devices[device]
	is := e != nil && gateway(e.form.objects)
	s.mu.Unlock()
	list := Node(lwm2m.NewPath(gatewayObject))
	if !is || slices.ContainsFunc(wishes, func(w Wish) bool { return w.bare() == list }) {
		return wishes, nil
	}
	return append(wishes, Wish{Target: list, Template: GatewayWish}), nil
}

// below returns the codec's options for names at or below p: the device's alternate
// path, then the prefix of p, stand in front.
func (s *Server) below(reg Registration, p lwm2m.Path) codec.Options {
	o := s.options(reg)
	o.Prefix = strings.Trim(o.Prefix+"/"+p.Gateway(), "/")
	return o
}

// decodeBelow reads values at or below p. A gateway that answers as the device behind
// it would, without the prefix, is understood.
func (s *Server) decodeBelow(reg Registration, format uint16, p lwm2m.Path, body []byte) ([]lwm2m.Entry, error) {
	entries, err := s.below(reg, p).Decode(format, p.Own(), body, s.o.Schema)
	if p.Gateway() == "" {
		return entries, err
	}
	if errors.Is(err, lwm2m.ErrPrefix) {
		entries, err = s.options(reg).Decode(format, p.Own(), body, s.o.Schema)
	}
	for i := range entries {
		entries[i].Path = entries[i].Path.Under(p)
	}
	return entries, err
}

// encodeBelow writes values at or below p, all of the same device.
func (s *Server) encodeBelow(reg Registration, format uint16, p lwm2m.Path, entries []lwm2m.Entry) ([]byte, error) {
	if p.Gateway() != "" {
		entries = slices.Clone(entries)
		for i := range entries {
			if entries[i].Path.Gateway() != p.Gateway() {
				return nil, fmt.Errorf("%w: %s is no value of %s", lwm2m.ErrPath, entries[i].Path, p)
			}
			entries[i].Path = entries[i].Path.Own()
		}
	}
	return s.below(reg, p).Encode(format, p.Own(), entries, s.o.Schema)
}

// encodePaths writes the paths of a composite operation, all of the same device.
func (s *Server) encodePaths(reg Registration, format uint16, paths []lwm2m.Path) ([]byte, error) {
	own := make([]lwm2m.Path, len(paths))
	for i, p := range paths {
		own[i] = p.Own()
	}
	return s.below(reg, paths[0]).EncodePaths(format, own)
}

// oneDevice checks that a composite operation is of the device itself, or of one
// behind it: a message with names of several is no operation of the standard.
func oneDevice(paths []lwm2m.Path) error {
	for _, p := range paths {
		if p.Gateway() != paths[0].Gateway() {
			return fmt.Errorf("%w: %s and %s are of different devices", lwm2m.ErrPath, paths[0], p)
		}
	}
	return nil
}

// placed returns the values of a Send where the device has them: its own below its
// alternate path, those of devices behind it below their prefixes.
func placed(reg Registration, pack lwm2m.Pack) ([]lwm2m.Entry, error) {
	root := reg.prefix()
	for i := range pack.Entries {
		prefix := pack.Prefix(i)
		if prefix == root {
			continue
		}
		name, below := strings.CutPrefix(prefix, root)
		if root != "" {
			name, below = strings.CutPrefix(prefix, root+"/")
		}
		at, err := pack.Entries[i].Path.Behind(name)
		if err != nil || !below || !gateway(reg.Objects) {
			return nil, fmt.Errorf("%w: %w: %.80q before %s", codec.ErrSyntax, lwm2m.ErrPrefix, prefix, pack.Entries[i].Path)
		}
		pack.Entries[i].Path = at
	}
	return pack.Entries, nil
}
