package sim

import (
	"context"
	"fmt"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/transfer"
)

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
