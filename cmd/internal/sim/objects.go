package sim

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/transfer"
)

// objects returns all objects of the device, each behind the rule table. Object
// Security is not among them: no server may ever see it.
func (l *life) objects() []client.Object {
	ids := l.d.b.IDs()
	all := []client.Object{
		l.account.table, l.battery.table, l.fw.table,
		&truststoreObject{single{id: ids.Truststore}, l},
		&enrolmentObject{single{id: ids.Enrolment}, l},
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

// A transferObject is object Transfer.
type transferObject struct {
	single

	l *life
}

// Resources implements client.Lister.
func (*transferObject) Resources(uint16) []uint16 {
	return []uint16{
		objects.TransferMessage, objects.TransferCommit, objects.TransferAbort, objects.TransferState,
		objects.TransferError, objects.TransferEpoch, objects.TransferEarliest, objects.TransferLatest,
		objects.TransferMessageHash, objects.TransferReceipt, objects.TransferAttempts, objects.TransferFinalise,
		objects.TransferReturn, objects.TransferMandate,
	}
}

// Read implements client.Object.
func (o *transferObject) Read(_ context.Context, _ client.Session, p lwm2m.Path) ([]lwm2m.Entry, error) {
	o.l.mu.Lock()
	s := o.l.tr.Status()
	o.l.mu.Unlock()
	t := objects.Transfer{
		State: s.State.Number(), Error: s.Error, Epoch: s.Epoch, Earliest: s.Window.Earliest.Time(),
		Latest: s.Window.Latest.Time(), Receipt: s.Receipt, Attempts: &s.Attempts,
	}
	if !s.Message.IsZero() {
		t.MessageHash = s.Message[:]
	}
	return below(p, t.Entries(lwm2m.NewPath(o.id, 0)))
}

// Write implements client.Object: Message and Mandate.
func (o *transferObject) Write(
	_ context.Context, _ client.Session, p lwm2m.Path, entries []lwm2m.Entry, _ bool,
) error {
	if p.Len() != 3 || len(entries) != 1 {
		return client.ErrMethodNotAllowed
	}
	raw := entries[0].Value.Bytes()
	if p.ID(2) == objects.TransferMandate {
		return answer(o.l.with(func(tr *transfer.Device) error { return tr.WriteMandate(raw) }))
	}
	err := o.l.with(func(tr *transfer.Device) error { return tr.WriteMessage(raw, o.l.o.now()) })
	if err != nil {
		o.l.d.event(o.l.about(Event{Kind: Refused, Error: err.Error()}))
		o.l.cl.Changed(lwm2m.NewPath(o.id, 0, objects.TransferError))
	}
	o.l.poke()
	return answer(err)
}

// Execute implements client.Object: Commit, Abort, Finalise and Return.
func (o *transferObject) Execute(_ context.Context, _ client.Session, p lwm2m.Path, args string) error {
	order, err := transfer.ParseOrder(args)
	if err != nil {
		return answer(err)
	}
	err = o.l.with(func(tr *transfer.Device) error {
		switch p.ID(2) {
		case objects.TransferCommit:
			return tr.Commit(order, o.l.o.now())
		case objects.TransferAbort:
			return tr.Abort(order)
		case objects.TransferFinalise:
			return tr.Finalise(order)
		case objects.TransferReturn:
			return tr.Return(order)
		}
		return client.ErrMethodNotAllowed
	})
	o.l.poke()
	return answer(err)
}

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

// An enrolmentObject is object Enrolment.
type enrolmentObject struct {
	single

	l *life
}

// The states of resource State.
const (
	enrolmentNone = 0 // no certificate yet
	enrolmentGood = 1
	enrolmentAsks = 2 // a renewal was asked for
)

// Resources implements client.Lister.
func (*enrolmentObject) Resources(uint16) []uint16 {
	return []uint16{
		objects.EnrolmentURI, objects.EnrolmentCSRFormat, objects.EnrolmentEnrol, objects.EnrolmentState,
		objects.EnrolmentError, objects.EnrolmentThumbprint, objects.EnrolmentNotAfter, objects.EnrolmentRenewBefore,
		objects.EnrolmentKeyOrigin,
	}
}

// keyOriginFactory is resource Key Origin of a key that the permanent CA made.
const keyOriginFactory = 2

// Read implements client.Object.
func (o *enrolmentObject) Read(_ context.Context, _ client.Session, p lwm2m.Path) ([]lwm2m.Entry, error) {
	o.l.mu.Lock()
	home, renew := o.l.tr.Home(), o.l.renew
	_, certificate, ok := o.l.tr.Operational()
	o.l.mu.Unlock()
	origin := int64(keyOriginFactory)
	e := objects.Enrolment{URI: home.EnrollURI, KeyOrigin: &origin}
	if ok {
		thumbprint := transfer.ThumbprintOf(certificate)
		e.State, e.Thumbprint = enrolmentGood, thumbprint[:]
		a := transfer.Anchor{Certificate: certificate}
		if c, err := a.X509(); err == nil {
			e.NotAfter = c.NotAfter
		}
	}
	if renew {
		e.State = enrolmentAsks
	}
	if before := o.l.o.RenewBefore; before > 0 {
		seconds := uint64(before / time.Second)
		e.RenewBefore = &seconds
	}
	return below(p, e.Entries(lwm2m.NewPath(o.id, 0)))
}

// Write implements client.Object: URI.
func (o *enrolmentObject) Write(
	_ context.Context, _ client.Session, _ lwm2m.Path, entries []lwm2m.Entry, _ bool,
) error {
	for _, e := range entries {
		if e.Path.ID(2) != objects.EnrolmentURI {
			return client.ErrMethodNotAllowed
		}
		uri := e.Value.Text()
		if err := o.l.with(func(tr *transfer.Device) error { return tr.SetEnrollURI(uri) }); err != nil {
			return answer(err)
		}
	}
	return nil
}

// Execute implements client.Object: Enrol renews the operational certificate.
func (o *enrolmentObject) Execute(_ context.Context, _ client.Session, _ lwm2m.Path, args string) error {
	arguments, err := lwm2m.ParseArguments(args)
	if err != nil {
		return client.ErrBadRequest
	}
	if len(arguments) > 0 && arguments[0].Digit != objects.EnrolOperational {
		return answer(fmt.Errorf("%w: re-key of the factory certificate", ErrNotImplemented))
	}
	o.l.mu.Lock()
	o.l.renew = true
	o.l.mu.Unlock()
	o.l.poke()
	return nil
}
