package services

import (
	"context"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/linkformat"
	"steward/web"
)

// Object LwM2M Gateway and its resources (Gateway 1.1 §6).
const (
	gatewayID      = 25
	gatewayDevice  = 0
	gatewayPrefix  = 1
	gatewayObjects = 3
)

// behind returns the devices that a gateway said last are behind it.
func (b *base) behind(ctx context.Context, id fleet.ID) (out []web.EndDevice, err error) {
	list := lwm2m.NewPath(gatewayID)
	values, err := b.view.ValuesBelow(ctx, id, list)
	if err != nil {
		return nil, translate(err)
	}
	at := map[lwm2m.Path]lwm2m.Value{}
	for _, v := range values {
		at[v.Path] = v.Value
	}
	for _, v := range values {
		if v.Path.Len() != 3 || v.Path.ID(2) != gatewayPrefix { //nolint:mnd // object, instance, resource
			continue
		}
		instance := v.Path.Prefix(2) //nolint:mnd // object and instance
		d := web.EndDevice{ID: at[instance.Child(gatewayDevice)].Text(), Prefix: v.Value.Text()}
		root, err := (lwm2m.Path{}).Behind(d.Prefix)
		if err != nil {
			d.Problem = "its prefix begins with a digit, or has characters that paths cannot have"
		} else {
			d.Objects = objectsBehind(at[instance.Child(gatewayObjects)].Text(), root)
		}
		out = append(out, d)
	}
	return out, nil
}

// objectsBehind returns the objects and instances of a list of links, in which the
// prefix may be missing.
func objectsBehind(text string, root lwm2m.Path) (out []lwm2m.Path) {
	links, err := linkformat.Parse(text)
	if err != nil {
		return nil // the device can be addressed all the same
	}
	for _, l := range links {
		p, err := l.Path(root.String())
		if err != nil {
			p, err = l.Path("")
		}
		if err == nil && (p.Len() == 1 || p.Len() == 2) {
			out = append(out, p.Under(root))
		}
	}
	slices.SortFunc(out, lwm2m.Path.Compare)
	return slices.Compact(out)
}
