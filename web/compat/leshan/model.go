package leshan

import (
	"strings"

	"steward/objects/registry"
	"steward/web"
)

// A Model is an object definition as ObjectModelSerDes writes it. The registry has no
// descriptions: they are empty.
type Model struct {
	ID           uint16          `json:"id"`
	Name         string          `json:"name"`
	Instances    string          `json:"instancetype"` // single, multiple
	Mandatory    bool            `json:"mandatory"`
	URN          string          `json:"urn"`
	Version      string          `json:"version"`
	LwM2M        string          `json:"lwm2mversion"`
	Description  string          `json:"description"`
	Description2 string          `json:"description2"`
	Resources    []ResourceModel `json:"resourcedefs"`
}

// A ResourceModel is a resource of it as ResourceModelSerDes writes it.
type ResourceModel struct {
	ID          uint16 `json:"id"`
	Name        string `json:"name"`
	Operations  string `json:"operations"`   // R, W, RW, E, NONE
	Instances   string `json:"instancetype"` // single, multiple
	Mandatory   bool   `json:"mandatory"`
	Type        string `json:"type"`
	Range       string `json:"range"`
	Units       string `json:"units"`
	Description string `json:"description"`
}

// Models returns the definitions of a device's objects, in their order: in the version
// that it told, else in the newest. Objects that r does not know are left out.
func Models(objects []web.ObjectNode, r *registry.Registry) []Model {
	out := []Model{}
	for _, o := range objects {
		definition, ok := r.Versioned(o.ID, o.Version)
		if !ok {
			definition, ok = r.Object(o.ID)
		}
		if ok {
			out = append(out, newModel(definition))
		}
	}
	return out
}

func newModel(o registry.Object) Model {
	m := Model{
		ID: o.ID, Name: o.Name, Instances: multiple(o.Multiple), Mandatory: o.Mandatory, URN: o.URN, Version: o.Version,
		LwM2M: o.LwM2M, Resources: make([]ResourceModel, 0, len(o.Resources)),
	}
	for _, r := range o.Resources {
		letters := r.Letters()
		if letters == "" {
			letters = "NONE"
		}
		m.Resources = append(m.Resources, ResourceModel{
			ID: r.ID, Name: r.Name, Operations: letters, Instances: multiple(r.Multiple), Mandatory: r.Mandatory,
			Type: strings.ToLower(types[r.Kind]), Range: r.Range, Units: r.Units,
		})
	}
	return m
}

func multiple(yes bool) string {
	if yes {
		return "multiple"
	}
	return "single"
}
