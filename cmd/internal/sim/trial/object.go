package trial

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/objects/registry"
)

// Schema is what trial devices know of objects.
func Schema() *registry.Registry {
	return registry.Default().With(objects.AdvancedFirmwareDefinition())
}

// tables makes the objects of the options.
func (d *Device) tables() error {
	d.provision()
	d.objects = []client.Object{d.security, d.server}
	seen := map[string]bool{}
	for _, name := range append([]string{strconv.Itoa(objects.DeviceID)}, d.o.Objects...) {
		id, version, _ := strings.Cut(name, "/")
		if seen[id] {
			continue
		}
		seen[id] = true
		if id == strconv.Itoa(objects.AccessControlID) {
			continue // made when all others are there
		}
		o, err := d.object(id, version)
		if err != nil {
			return err
		}
		d.objects = append(d.objects, o)
	}
	if seen[strconv.Itoa(objects.AccessControlID)] {
		d.objects = append(d.objects, d.access())
	}
	return d.gateway()
}

// object makes one object with a value for each of its readable resources.
func (d *Device) object(id, version string) (*client.Table, error) {
	n, err := strconv.ParseUint(id, 10, 16)
	if err != nil || n == objects.SecurityID || n == objects.ServerID || n == gatewayID {
		return nil, fmt.Errorf("%w: object %q", ErrOptions, id)
	}
	def, ok := d.definition(uint16(n), version)
	if !ok {
		return nil, fmt.Errorf("%w: object %s is not in the registry in this version", ErrOptions, id)
	}
	o := client.TableOptions{ID: def.ID, Version: def.Version, Schema: d.schema}
	for _, r := range def.Resources {
		o.Resources = append(o.Resources, r.ID)
	}
	o.Values = d.samples(def, 0, false)
	if def.Multiple {
		o.OnCreate = func(_ context.Context, _ client.Session, p lwm2m.Path, entries []lwm2m.Entry) ([]lwm2m.Entry, error) {
			return d.create(def, p, entries)
		}
		o.OnDelete = func(context.Context, client.Session, lwm2m.Path) error { return nil }
	}
	m := machineOf(def.ID)
	if m.execute == nil {
		o.OnExecute = func(context.Context, client.Session, lwm2m.Path, string) error { return nil }
		t := client.NewTable(o)
		d.ticks(t)
		return t, nil
	}
	var t *client.Table
	o.OnExecute = func(_ context.Context, _ client.Session, p lwm2m.Path, args string) error {
		return m.execute(d, t, p, args)
	}
	if m.write != nil {
		o.OnWrite = func(_ context.Context, _ client.Session, _ lwm2m.Path, entries []lwm2m.Entry) error {
			return m.write(d, t, entries)
		}
	}
	t = client.NewTable(o)
	if def.ID == objects.DeviceID && d.device == nil {
		d.device = t
	}
	d.ticks(t)
	return t, nil
}

// definition returns the version asked for, or the newest that the device's
// version of LwM2M has.
func (d *Device) definition(id uint16, version string) (registry.Object, bool) {
	if version != "" {
		return Schema().Versioned(id, version)
	}
	var best registry.Object
	for _, o := range Schema().Versions(id) {
		if o.LwM2M <= string(d.o.Version) || best.ID == 0 {
			best = o
		}
	}
	return best, best.ID == id && id != 0
}

// version returns the version of an object of the core.
func (d *Device) version(id uint16) string {
	best := "1.0"
	for _, o := range Schema().Versions(id) {
		if o.LwM2M <= string(d.o.Version) {
			best = o.Version
		}
	}
	return best
}

// create returns what a new instance holds: what the server gave, which must be
// all that is mandatory and writable, and the device's own.
func (d *Device) create(def registry.Object, p lwm2m.Path, given []lwm2m.Entry) ([]lwm2m.Entry, error) {
	has := map[uint16]bool{}
	for _, e := range given {
		if _, known := def.Resource(e.Path.ID(2)); !known {
			return nil, fmt.Errorf("%w: %v", client.ErrNotFound, e.Path)
		}
		has[e.Path.ID(2)] = true
	}
	for _, r := range def.Resources {
		if r.Mandatory && r.Operations == lwm2m.OpRead|lwm2m.OpWrite && !has[r.ID] {
			return nil, fmt.Errorf("%w: no %s", client.ErrBadRequest, r.Name)
		}
	}
	return append(given, slices.DeleteFunc(d.samples(def, p.ID(1), true), func(e lwm2m.Entry) bool {
		return has[e.Path.ID(2)]
	})...), nil
}

// samples returns a value for each resource of an instance that can be read, or
// for those that are mandatory and not a server's to give.
func (d *Device) samples(def registry.Object, instance uint16, created bool) (out []lwm2m.Entry) {
	for _, r := range def.Resources {
		if r.Operations.Has(lwm2m.OpRead) && (!created || r.Mandatory && !r.Operations.Has(lwm2m.OpWrite)) {
			out = append(out, d.resource(lwm2m.NewPath(def.ID, instance, r.ID), r)...)
		}
	}
	return out
}

// resource returns the values that a resource has at first.
func (d *Device) resource(p lwm2m.Path, r registry.Resource) (out []lwm2m.Entry) {
	many, ok := d.known(p)
	if !ok {
		many = []lwm2m.Value{sample(r)}
	}
	for i, v := range many {
		at := p
		if r.Multiple {
			at = p.Child(uint16(i))
		}
		if v, err := v.Convert(r.Kind); err == nil {
			out = append(out, lwm2m.Entry{Path: at, Value: v})
		}
	}
	return out
}

var least = regexp.MustCompile(`^(-?\d+)(?:\.\.|-)\d+$`)

// sample returns a value of the resource's type, within its range.
func sample(r registry.Resource) lwm2m.Value {
	switch r.Kind {
	case lwm2m.KindInteger, lwm2m.KindUnsigned:
		if m := least.FindStringSubmatch(r.Range); m != nil {
			if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
				return lwm2m.Integer(n)
			}
		}
		return lwm2m.Integer(0)
	case lwm2m.KindFloat:
		return lwm2m.Float(0)
	case lwm2m.KindBoolean:
		return lwm2m.Boolean(false)
	case lwm2m.KindTime:
		return lwm2m.Time(time.Now().Unix())
	case lwm2m.KindOpaque:
		return lwm2m.Opaque([]byte{0})
	case lwm2m.KindObjlnk:
		return lwm2m.Objlnk(lwm2m.NoID, lwm2m.NoID)
	case lwm2m.KindCorelnk:
		return lwm2m.Corelnk("</3/0>")
	default:
		return lwm2m.String("")
	}
}

// known returns values that say something, where those of sample do not.
func (d *Device) known(p lwm2m.Path) ([]lwm2m.Value, bool) {
	values := map[lwm2m.Path][]lwm2m.Value{
		lwm2m.NewPath(3, 0, 0):  {lwm2m.String("Steward")},
		lwm2m.NewPath(3, 0, 1):  {lwm2m.String("trial device")},
		lwm2m.NewPath(3, 0, 2):  {lwm2m.String(string(d.o.Endpoint))},
		lwm2m.NewPath(3, 0, 3):  {lwm2m.String("1.0")},
		lwm2m.NewPath(3, 0, 6):  {lwm2m.Integer(1), lwm2m.Integer(5)},
		lwm2m.NewPath(3, 0, 7):  {lwm2m.Integer(3800), lwm2m.Integer(5000)},
		lwm2m.NewPath(3, 0, 8):  {lwm2m.Integer(125), lwm2m.Integer(900)},
		lwm2m.NewPath(3, 0, 9):  {lwm2m.Integer(100)},
		lwm2m.NewPath(3, 0, 14): {lwm2m.String("+00:00")},
		lwm2m.NewPath(3, 0, 15): {lwm2m.String("UTC")},
		lwm2m.NewPath(3, 0, 16): {lwm2m.String(d.o.binding())},
		lwm2m.NewPath(4, 0, 2):  {lwm2m.Integer(-90)},
		lwm2m.NewPath(4, 0, 4):  {lwm2m.String("192.0.2.1")},
		lwm2m.NewPath(6, 0, 0):  {lwm2m.Float(52.5)},
		lwm2m.NewPath(6, 0, 1):  {lwm2m.Float(13.4)},
		lwm2m.NewPath(9, 0, 0):  {lwm2m.String("app")},
		lwm2m.NewPath(16, 0, 0): {
			lwm2m.String("Host Device ID"), lwm2m.String("Manufacturer"), lwm2m.String("Model"), lwm2m.String("Version"),
		},
		lwm2m.NewPath(3303, 0, 5700): {lwm2m.Float(20)},
	}
	v, ok := values[p]
	return v, ok
}

// A ticking value changes by itself.
type ticking struct {
	table  *client.Table
	path   lwm2m.Path
	base   lwm2m.Value
	report lwm2m.Path // what servers call it: behind a gateway it has a prefix
}

// tickingPaths are those that change where the device has them.
var tickingPaths = []lwm2m.Path{
	lwm2m.NewPath(3, 0, 9), lwm2m.NewPath(4, 0, 2), lwm2m.NewPath(6, 0, 0), lwm2m.NewPath(6, 0, 1),
	lwm2m.NewPath(3303, 0, 5700),
}

func (d *Device) ticks(t *client.Table) {
	for _, p := range tickingPaths {
		if p.Object() == t.ID() {
			d.values = append(d.values, &ticking{table: t, path: p, base: t.Value(p), report: p})
		}
	}
}

// swing is within how many steps a value is back where it began.
const swing = 10

// step changes the value and returns it.
func (v *ticking) step(n int, now time.Time) lwm2m.Entry {
	e := lwm2m.Entry{Path: v.path}
	if i, ok := v.base.Int(); ok {
		e.Value = lwm2m.Integer(i - int64(n%swing))
	} else if f, ok := v.base.Float64(); ok {
		e.Value = lwm2m.Float(f + float64(n%swing)/swing)
	}
	v.table.Set(e)
	e.Time = now
	return e
}
