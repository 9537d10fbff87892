package leshan

import (
	"encoding/json"
	"strconv"

	"steward/lwm2m"
	"steward/web"
)

// A Node is a node of a device as JacksonLwM2mNodeSerializer writes it.
type Node map[string]any

// NewNode returns the node at p with the values below it, nil if there is none. s
// tells which resources are multiple; nil knows none.
func NewNode(p lwm2m.Path, values []web.Value, s lwm2m.Schema) Node {
	var below []web.Value
	for _, v := range values {
		if p.Contains(v.Path) && v.Path.Len() >= resourceDepth {
			below = append(below, v)
		}
	}
	switch p.Len() {
	case 0:
		return nil
	case 1:
		return Node{"kind": "obj", "id": p.ID(0), "instances": children(p, below, s)}
	case instanceDepth:
		return Node{"kind": "instance", "id": p.ID(1), "resources": children(p, below, s)}
	case resourceDepth:
		return resource(p, below, s)
	default:
		if len(below) == 0 {
			return nil
		}
		return leaf("resourceInstance", below[0], p.ID(p.Len()-1))
	}
}

const (
	instanceDepth = 2
	resourceDepth = 3
)

// children returns the nodes right below p, in the order of values.
func children(p lwm2m.Path, values []web.Value, s lwm2m.Schema) []Node {
	out, seen := []Node{}, map[lwm2m.Path]bool{}
	for _, v := range values {
		if at := v.Path.Prefix(p.Len() + 1); !seen[at] {
			seen[at] = true
			out = append(out, NewNode(at, values, s))
		}
	}
	return out
}

func leaf(kind string, v web.Value, id uint16) Node {
	return Node{"kind": kind, "id": id, "type": types[v.Value.Kind()], "value": encode(v.Value)}
}

// resource returns a single resource, or one with its instances.
func resource(p lwm2m.Path, values []web.Value, s lwm2m.Schema) Node {
	if len(values) == 1 && values[0].Path == p {
		return leaf("singleResource", values[0], p.ID(p.Len()-1))
	}
	kind := lwm2m.KindOf(s, p)
	instances := map[string]any{}
	for _, v := range values {
		if v.Path != p {
			instances[strconv.Itoa(int(v.Path.ID(v.Path.Len()-1)))] = encode(v.Value)
			kind = v.Value.Kind()
		}
	}
	return Node{"kind": "multiResource", "id": p.ID(p.Len() - 1), "type": types[kind], "values": instances}
}

// A nodeIn is a single resource that is to be written.
type nodeIn struct {
	ID    *uint16         `json:"id"`
	Kind  string          `json:"kind"`
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// ReadNode reads the single resource that is to be written at p. It returns
// web.ErrInvalid for what is none, and web.ErrNotBuilt for other nodes.
func ReadNode(p lwm2m.Path, body []byte) (lwm2m.Value, error) {
	var in nodeIn
	if err := json.Unmarshal(body, &in); err != nil {
		return lwm2m.Value{}, &web.Error{Is: web.ErrInvalid, Detail: "body: " + err.Error()}
	}
	if in.Kind != "" && in.Kind != "singleResource" {
		return lwm2m.Value{}, &web.Error{Is: web.ErrNotBuilt, Detail: "only a singleResource is written here"}
	}
	if in.ID == nil || *in.ID != p.ID(p.Len()-1) {
		return lwm2m.Value{}, web.Invalid("id", "not that of the resource in the address")
	}
	kind, ok := kindOf(in.Type)
	if !ok {
		return lwm2m.Value{}, web.Invalid("type", "no such type")
	}
	return decode(kind, in.Value)
}
