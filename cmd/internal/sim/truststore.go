package sim

import (
	"bytes"
	"context"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/transfer"
)

// A truststoreObject is object Truststore.
type truststoreObject struct {
	single

	l *life
}

// Instances implements client.Object.
func (o *truststoreObject) Instances() []uint16 {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	var ids []uint16
	for _, a := range o.l.tr.Truststore() {
		ids = append(ids, a.Instance)
	}
	return ids
}

// Resources implements client.Lister.
func (*truststoreObject) Resources(uint16) []uint16 {
	return []uint16{
		objects.TruststoreCertificate, objects.TruststoreFormat, objects.TruststorePurposes, objects.TruststoreDomain,
		objects.TruststoreThumbprint, objects.TruststoreNotAfter, objects.TruststoreCommand,
	}
}

// Read implements client.Object.
func (o *truststoreObject) Read(_ context.Context, _ client.Session, p lwm2m.Path) ([]lwm2m.Entry, error) {
	o.l.mu.Lock()
	anchors := o.l.tr.Truststore()
	o.l.mu.Unlock()
	var all []lwm2m.Entry
	for _, a := range anchors {
		if p.Len() > 1 && p.ID(1) != a.Instance {
			continue
		}
		thumbprint := a.Thumbprint()
		t := objects.Truststore{
			Anchor: objects.Anchor{Certificate: a.Certificate, Purposes: uint64(a.Purposes)},
			Domain: uint8(a.Domain), Thumbprint: thumbprint[:],
		}
		if c, err := a.X509(); err == nil {
			t.NotAfter = c.NotAfter
		}
		all = append(all, t.Entries(lwm2m.NewPath(o.id, a.Instance))...)
	}
	return below(p, all)
}

// Write implements client.Object: Purposes and Command. What a certificate is
// cannot be changed, only said again.
func (o *truststoreObject) Write(
	_ context.Context, _ client.Session, p lwm2m.Path, entries []lwm2m.Entry, _ bool,
) error {
	for _, e := range entries {
		if err := o.write(p.ID(1), e); err != nil {
			return err
		}
	}
	o.l.cl.Changed(p)
	return nil
}

func (o *truststoreObject) write(instance uint16, e lwm2m.Entry) error {
	switch e.Path.ID(2) {
	case objects.TruststorePurposes:
		purposes, ok := e.Value.Uint()
		if !ok {
			return client.ErrBadRequest
		}
		return answer(o.l.with(func(tr *transfer.Device) error {
			return tr.WritePurposes(instance, transfer.Purposes(purposes))
		}))
	case objects.TruststoreCommand:
		raw := e.Value.Bytes()
		return answer(o.l.with(func(tr *transfer.Device) error { return tr.CommandAnchors(raw) }))
	case objects.TruststoreCertificate:
		o.l.mu.Lock()
		defer o.l.mu.Unlock()
		for _, a := range o.l.tr.Truststore() {
			if a.Instance == instance && bytes.Equal(a.Certificate, e.Value.Bytes()) {
				return nil
			}
		}
	case objects.TruststoreFormat:
		if n, ok := e.Value.Int(); ok && n == int64(objects.FormatX509) {
			return nil
		}
	}
	return client.ErrMethodNotAllowed
}

// Create implements client.Object.
func (o *truststoreObject) Create(
	_ context.Context, _ client.Session, instance int, entries []lwm2m.Entry,
) (id uint16, err error) {
	at := uint16(lwm2m.NoID)
	if instance >= 0 {
		at = uint16(instance)
	}
	a, err := objects.DecodeAnchor(lwm2m.NewPath(o.id, at), entries)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", client.ErrBadRequest, err)
	}
	if a.Format != objects.FormatX509 {
		return 0, answer(fmt.Errorf("%w: format %s", ErrNotImplemented, a.Format))
	}
	err = o.l.with(func(tr *transfer.Device) (err error) {
		id, err = tr.CreateAnchor(instance, a.Certificate, transfer.Purposes(a.Purposes))
		return err
	})
	if err == nil {
		o.l.d.event(Event{Kind: Staged, Detail: transfer.ThumbprintOf(a.Certificate).String()})
	}
	return id, answer(err)
}

// Delete implements client.Object.
func (o *truststoreObject) Delete(_ context.Context, _ client.Session, p lwm2m.Path) error {
	if p.Len() != 2 {
		return client.ErrMethodNotAllowed
	}
	return answer(o.l.with(func(tr *transfer.Device) error { return tr.DeleteAnchor(p.ID(1)) }))
}
