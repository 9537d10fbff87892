package trial

import (
	"fmt"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/objects"
)

// gatewayID is object LwM2M Gateway, and its resources.
const (
	gatewayID      = 25
	gatewayDevice  = 0
	gatewayPrefix  = 1
	gatewayObjects = 3
)

// gateway makes the end devices behind this one, and object 25 that lists them.
func (d *Device) gateway() error {
	if len(d.o.Behind) == 0 {
		return nil
	}
	var values []lwm2m.Entry
	d.behind = map[string][]client.Object{}
	for i, prefix := range d.o.Behind {
		if d.behind[prefix] != nil {
			return fmt.Errorf("%w: prefix %q of an end device twice", ErrOptions, prefix)
		}
		var links []string
		known := len(d.values)
		for _, id := range []string{"3", "3303"} {
			o, err := d.object(id, "")
			if err != nil {
				return err
			}
			d.behind[prefix] = append(d.behind[prefix], o)
			links = append(links, "</"+prefix+"/"+id+"/0>")
		}
		for _, v := range d.values[known:] {
			at, err := v.path.Behind(prefix)
			if err != nil {
				return fmt.Errorf("%w: prefix %q of an end device", ErrOptions, prefix)
			}
			v.report = at
		}
		base := lwm2m.NewPath(gatewayID, uint16(i))
		values = append(values,
			lwm2m.Entry{Path: base.Child(gatewayDevice), Value: lwm2m.String(string(d.o.Endpoint) + "-" + prefix)},
			lwm2m.Entry{Path: base.Child(gatewayPrefix), Value: lwm2m.String(prefix)},
			lwm2m.Entry{Path: base.Child(gatewayObjects), Value: lwm2m.Corelnk(strings.Join(links, ","))})
	}
	d.objects = append(d.objects, client.NewTable(client.TableOptions{
		ID: gatewayID, Version: "2.0", Schema: d.schema, Values: values,
	}))
	return nil
}

// whose returns the prefix of the end device that a request is for, "" for the
// device itself. Composite requests name it in their bodies only.
func (l *life) whose(r *coap.Request) string {
	if len(r.Path) > 0 {
		if l.behind[r.Path[0]] == nil {
			return ""
		}
		return r.Path[0]
	}
	format, _ := r.ContentFormat.ID()
	for prefix := range l.behind {
		names := codec.Options{Prefix: prefix}
		_, reads := names.DecodePaths(format, r.Payload)
		_, writes := names.Decode(format, lwm2m.Path{}, r.Payload, nil)
		if r.Method == coap.FETCH && reads == nil || r.Method == coap.IPATCH && writes == nil {
			return prefix
		}
	}
	return ""
}

// firmwareVersion is what updates change.
var firmwareVersion = lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceFirmware)
