package client

import (
	"fmt"
	"slices"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/codec"
	"steward/lwm2m/linkformat"
)

// defaultVersions are the object versions that a registration need not name,
// by enabler version (§6.2.1). Other objects have 1.0. For Firmware Update the
// 1.2 specification contradicts itself: there we always name the version.
var defaultVersions = map[lwm2m.Version]map[uint16]string{
	lwm2m.Version11: {0: "1.1", 1: "1.1", 3: "1.1", 4: "1.2"},
	lwm2m.Version12: {0: "1.2", 1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3", 5: "", 21: "2.0"},
}

// formats are the content formats of values by enabler version, best first. The
// first list is announced in the attribute ct. The JSON of 1.0 is understood in
// requests only, so it is not.
var formats = map[lwm2m.Version]struct{ announced, others []uint16 }{
	lwm2m.Version10: {nil, []uint16{codec.TLV, codec.JSON, codec.Text, codec.Opaque}},
	lwm2m.Version11: {
		[]uint16{codec.SenMLCBOR, codec.SenMLJSON, codec.TLV, codec.CBOR},
		[]uint16{codec.Text, codec.Opaque},
	},
	lwm2m.Version12: {
		[]uint16{codec.LwM2MCBOR, codec.SenMLCBOR, codec.SenMLJSON, codec.TLV, codec.CBOR},
		[]uint16{codec.Text, codec.Opaque, codec.ETCHJSON, codec.ETCHCBOR},
	},
}

// speaks reports whether the client's version has the format.
func (c *Client) speaks(format uint16) bool {
	f := formats[c.o.Version]
	return slices.Contains(f.announced, format) || slices.Contains(f.others, format)
}

// announced returns the formats of the attribute ct, that of the options first.
func (c *Client) announced() []uint16 {
	all := formats[c.o.Version].announced
	if !slices.Contains(all, c.o.Format) {
		return all
	}
	return append([]uint16{c.o.Format}, slices.DeleteFunc(slices.Clone(all), func(id uint16) bool {
		return id == c.o.Format
	})...)
}

// Links returns the object list of a registration (§6.2.1) in link-format: the
// formats supported, then each object that is visible to servers.
func (c *Client) Links() string {
	var links []linkformat.Link
	if announced := c.announced(); len(announced) > 0 || c.o.Root != "" {
		root := linkformat.Link{
			Target: c.target(lwm2m.Path{}), Attributes: []linkformat.Attribute{attribute("rt", "oma.lwm2m")},
		}
		if len(announced) > 0 {
			root.Attributes = append(root.Attributes, attribute("ct", strings.Trim(fmt.Sprint(announced), "[]")))
		}
		links = append(links, root)
	}
	for _, id := range c.order {
		if hidden(id) {
			continue
		}
		o := c.objects[id]
		instances := o.Instances()
		top := linkformat.Link{Target: c.target(lwm2m.NewPath(id)), Attributes: c.version(o)}
		if len(instances) == 0 || len(top.Attributes) > 0 {
			links = append(links, top)
		}
		for _, i := range instances {
			links = append(links, linkformat.Link{Target: c.target(lwm2m.NewPath(id, i))})
		}
	}
	return linkformat.Format(links)
}

// version returns the attribute ver of an object if it is required.
func (c *Client) version(o Object) []linkformat.Attribute {
	usual, core := defaultVersions[c.o.Version][o.ID()]
	if !core {
		usual = "1.0"
	}
	if v := o.Version(); v != "" && v != usual {
		return []linkformat.Attribute{attribute("ver", v)}
	}
	return nil
}

func attribute(name, value string) linkformat.Attribute {
	return linkformat.Attribute{Name: name, Value: value, HasValue: true}
}
