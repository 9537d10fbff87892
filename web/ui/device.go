package ui

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"steward/lwm2m"
	"steward/objects/registry"
	"steward/web"
)

// A devicePage is one device with the tree of its objects.
type devicePage struct {
	web.DeviceDetail

	Keys         web.DeviceKeys
	Enrolment    web.DeviceEnrolment
	Attestation  web.Attestation
	Tree         []instanceNode
	Observations []web.DeviceObservation
	Tab          string // device: all; security: only that part
	Activity     []web.AuditRow
}

// Reachable reports whether the device can be asked now.
func (p devicePage) Reachable() bool { return p.Registration != nil }

// Asleep reports whether what the device is asked will wait for its next message.
func (p devicePage) Asleep() bool { return p.Registration != nil && p.Registration.Asleep }

// An instanceNode is one object instance with all resources that it has or,
// by its definition, may have.
type instanceNode struct {
	Path      lwm2m.Path
	Name      string
	Version   string
	Open      bool // shown unfolded
	Known     bool // the registry has a definition
	Resources []resourceNode
}

// A resourceNode is one resource, or one instance of a multiple one.
type resourceNode struct {
	web.Value

	Kind       string
	Can        lwm2m.Operations
	Mandatory  bool
	Instance   bool // of a multiple resource, shown below it
	HasValue   bool
	Range      string
	Executable bool
}

// Readable and Writable are what the definition allows.
func (n resourceNode) Readable() bool { return n.Can.Has(lwm2m.OpRead) }

// Writable reports whether the definition allows to write.
func (n resourceNode) Writable() bool { return n.Can.Has(lwm2m.OpWrite) }

func (u *UI) device(w http.ResponseWriter, r *http.Request) error {
	page, err := u.devicePage(r)
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "device", "devices", page.Endpoint, page)
}

func (u *UI) devicePage(r *http.Request) (page devicePage, err error) {
	id := web.Param(r, "id")
	d, err := u.s.Devices.Device(r.Context(), id)
	if err != nil {
		return page, err
	}
	values, err := u.s.Devices.Values(r.Context(), id, lwm2m.Path{})
	if err != nil {
		return page, err
	}
	keys, err := u.s.Bootstraps.DeviceKeys(r.Context(), id)
	if err != nil && !errors.Is(err, web.ErrNotBuilt) {
		return page, err
	}
	enrolment, err := u.s.Enrolments.DeviceEnrolment(r.Context(), id)
	if err != nil && !errors.Is(err, web.ErrNotBuilt) {
		return page, err
	}
	attestation, err := u.s.Attestations.Attestation(r.Context(), id)
	if err != nil && !errors.Is(err, web.ErrNotBuilt) {
		return page, err
	}
	observations, err := u.s.Observations.DeviceObservations(r.Context(), id)
	if err != nil && !errors.Is(err, web.ErrNotBuilt) {
		return page, err
	}
	recent, err := u.s.Activity.ListAudit(r.Context(), web.AuditFilter{Subject: d.ID}, web.Page{Size: recentRows})
	if err != nil {
		return page, err
	}
	nodes := append(tree(u.o.Registry, d.Objects, values), branches(u.o.Registry, d.Behind, values)...)
	return devicePage{
		DeviceDetail: d, Keys: keys, Enrolment: enrolment, Attestation: attestation, Tree: nodes, Observations: observations,
		Activity: recent.Items, Tab: "device",
	}, nil
}

// tree joins what the device registered, what was heard of it and what the
// registry knows.
func tree(reg *registry.Registry, objects []web.ObjectNode, values []web.Value) []instanceNode {
	below := map[lwm2m.Path][]web.Value{}
	for _, v := range values {
		if v.Path.Len() >= 3 {
			below[v.Path.Prefix(2)] = append(below[v.Path.Prefix(2)], v)
		}
	}
	var out []instanceNode
	for _, o := range objects {
		definition, known := reg.Versioned(o.ID, o.Version)
		if !known {
			definition, known = reg.Object(o.ID)
		}
		for _, instance := range o.Instances {
			node := instanceNode{Path: lwm2m.NewPath(o.ID, instance), Name: o.Name, Version: o.Version, Known: known}
			if node.Name == "" {
				node.Name = definition.Name
			}
			heard := below[node.Path]
			node.Open = len(heard) > 0
			node.Resources = resources(definition, node.Path, heard)
			out = append(out, node)
		}
	}
	return out
}

// branches is tree of the devices behind a gateway.
func branches(reg *registry.Registry, behind []web.EndDevice, values []web.Value) []instanceNode {
	below := map[lwm2m.Path][]web.Value{}
	for _, v := range values {
		if v.Path.Gateway() != "" && v.Path.Len() >= 3 {
			below[v.Path.Prefix(2)] = append(below[v.Path.Prefix(2)], v)
		}
	}
	for _, d := range behind {
		for _, p := range d.Objects {
			if p.Len() == 2 && below[p] == nil {
				below[p] = []web.Value{}
			}
		}
	}
	var out []instanceNode
	for p, heard := range below {
		definition, known := reg.Object(p.Object())
		out = append(out, instanceNode{
			Path: p, Name: definition.Name, Known: known, Open: len(heard) > 0,
			Resources: resources(definition, p, heard),
		})
	}
	slices.SortFunc(out, func(a, b instanceNode) int { return a.Path.Compare(b.Path) })
	return out
}

// resources lists the defined resources and the values heard, in order.
func resources(definition registry.Object, instance lwm2m.Path, heard []web.Value) []resourceNode {
	nodes := make([]resourceNode, 0, len(definition.Resources))
	seen := map[lwm2m.Path]bool{}
	for _, v := range heard {
		info, _ := definition.Resource(v.Path.ID(2))
		n := newResource(info, v)
		n.HasValue = true
		nodes = append(nodes, n)
		seen[v.Path.Prefix(3)] = true
	}
	for _, info := range definition.Resources {
		if p := instance.Child(info.ID); !seen[p] {
			nodes = append(nodes, newResource(info, web.Value{Path: p, Units: info.Units}))
		}
	}
	slices.SortFunc(nodes, func(a, b resourceNode) int { return a.Path.Compare(b.Path) })
	return nodes
}

func newResource(info registry.Resource, v web.Value) resourceNode {
	n := resourceNode{
		Value: v, Can: info.Operations, Mandatory: info.Mandatory, Range: info.Range,
		Instance: v.Path.Len() == lwm2m.MaxDepth, Executable: info.Operations.Has(lwm2m.OpExecute),
	}
	if n.Name == "" {
		n.Name = info.Name
	}
	if n.Name == "" {
		n.Name = "Resource " + strconv.Itoa(int(v.Path.ID(2)))
		n.Can = lwm2m.OpRead | lwm2m.OpWrite // unknown: let the device decide
	}
	if n.Units == "" {
		n.Units = info.Units
	}
	if info.Kind != lwm2m.KindNone {
		n.Kind = info.Kind.String()
	}
	return n
}
