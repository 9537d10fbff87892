package sim

import (
	"context"

	"steward/lwm2m"
	"steward/lwm2m/client"
)

// objects returns all objects of the device, each behind the rule table. Object
// Security is not among them: no server may ever see it.
func (l *life) objects() []client.Object {
	ids := l.d.b.IDs()
	all := []client.Object{
		l.account.table, l.battery.table, l.fw.table, l.reports, newMetadata(l),
		&truststoreObject{single{id: ids.Truststore}, l},
		&enrolmentObject{single: single{id: ids.Enrolment}, l: l},
		&transferObject{single{id: ids.Transfer}, l},
	}
	for i, o := range all {
		all[i] = guarded{o, l}
	}
	return all
}

// single is what objects have in common that answer from the state of the device.
// They have one instance, 0, nothing to create, and nothing to delete.
type single struct{ id uint16 }

// ID implements client.Object.
func (o single) ID() uint16 { return o.id }

// Version implements client.Object.
func (single) Version() string { return "1.0" }

// Instances implements client.Object.
func (single) Instances() []uint16 { return []uint16{0} }

// Create implements client.Object.
func (single) Create(context.Context, client.Session, int, []lwm2m.Entry) (uint16, error) {
	return 0, client.ErrMethodNotAllowed
}

// Delete implements client.Object.
func (single) Delete(context.Context, client.Session, lwm2m.Path) error {
	return client.ErrMethodNotAllowed
}

// Execute implements client.Object.
func (single) Execute(context.Context, client.Session, lwm2m.Path, string) error {
	return client.ErrMethodNotAllowed
}

// below returns the entries at and below p, or ErrNotFound for a resource
// without value.
func below(p lwm2m.Path, entries []lwm2m.Entry) ([]lwm2m.Entry, error) {
	var some []lwm2m.Entry
	for _, e := range entries {
		if p.Contains(e.Path) {
			some = append(some, e)
		}
	}
	if len(some) == 0 && p.Len() > 2 {
		return nil, client.ErrNotFound
	}
	return some, nil
}
