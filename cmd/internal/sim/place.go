package sim

import (
	"fmt"
	"maps"
	"slices"

	"steward/lwm2m"
	"steward/objects"
	"steward/suit"
)

// A device with one component has object Firmware Update; with more it has an
// instance of Advanced Firmware Update for each. A package goes to the instance of
// any of its components; the others that it changes are linked to that. There is one
// package at a time: another for a component that waits for Update conflicts.

// baseOf returns the object instance of a component.
func (f *firmware) baseOf(instance uint16) lwm2m.Path { return lwm2m.NewPath(f.object(), instance) }

// object returns the id of the object by which updates come.
func (f *firmware) object() uint16 {
	if len(f.target.components) > 1 {
		return objects.AdvancedFirmwareID
	}
	return objects.FirmwareID
}

// entries returns the values of all instances. The caller holds mu, or is alone.
func (f *firmware) entries() []lwm2m.Entry {
	if f.object() == objects.FirmwareID {
		return f.shown(0).Entries(f.baseOf(0))
	}
	var all []lwm2m.Entry
	for i, id := range f.target.components {
		instance := uint16(i)
		o := objects.AdvancedFirmware{
			Firmware: f.shown(instance), Component: id.String(), Current: f.target.version(id, f.l.d.b.Firmware.Version),
		}
		if instance == f.now.Instance {
			o.Linked = objectLinks(f.now.Linked)
		}
		if other, ok := f.now.Conflicts[instance]; ok {
			o.Result, o.Conflicting = objects.FirmwareConflict, objectLinks([]uint16{other})
		}
		all = append(all, o.Entries(f.baseOf(instance))...)
	}
	return all
}

func objectLinks(instances []uint16) map[uint16]objects.Link {
	out := map[uint16]objects.Link{}
	for i, n := range instances {
		out[uint16(i)] = objects.Link{Object: objects.AdvancedFirmwareID, Instance: n}
	}
	return out
}

// shown is what an instance shows of the update under way.
func (f *firmware) shown(instance uint16) objects.Firmware {
	o := objects.Firmware{
		Protocols: map[uint16]objects.FirmwareProtocol{0: objects.ProtocolCoAPS, 1: objects.ProtocolHTTPS},
		Delivery:  objects.DeliveryBoth,
	}
	if instance == f.now.Instance || slices.Contains(f.now.Linked, instance) {
		o.State, o.Result, o.Version = f.now.State, f.now.Result, f.now.Version
	}
	if instance == f.now.Instance {
		o.URI = f.now.URI
	}
	return o
}

// linked returns the other instances that a manifest changes.
func (f *firmware) linked(m *suit.Manifest, instance uint16) (out []uint16) {
	for i, id := range f.target.components {
		n := uint16(i)
		if n != instance && slices.Contains(m.Components, id) {
			out = append(out, n)
		}
	}
	return out
}

// conflict notes that a package for an instance came while another package waits.
func (f *firmware) conflict(p progress, instance uint16) error {
	conflicts := maps.Clone(p.Conflicts) // what is shown is not changed
	if conflicts == nil {
		conflicts = map[uint16]uint16{}
	}
	conflicts[instance] = p.Instance
	p.Conflicts = conflicts
	f.l.d.event(f.l.about(Event{
		Kind: UpdateFailed, Error: fmt.Sprintf("instance %d waits for Update", p.Instance),
	}))
	return f.set(p, nil)
}
