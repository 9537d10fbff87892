package sim

import (
	"context"
	"crypto/x509"
	"sync"
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

	mu       sync.Mutex
	evidence []byte // for the nonce that was written last; nil: none
}

// Resources implements client.Lister.
func (*enrolmentObject) Resources(uint16) []uint16 {
	return []uint16{
		objects.EnrolmentURI, objects.EnrolmentCSRFormat, objects.EnrolmentEnrol, objects.EnrolmentState,
		objects.EnrolmentError, objects.EnrolmentThumbprint, objects.EnrolmentNotAfter, objects.EnrolmentRenewBefore,
		objects.EnrolmentKeyOrigin, objects.EnrolmentPermanentURI, objects.EnrolmentFactory,
		objects.EnrolmentNonce, objects.EnrolmentEvidence, objects.EnrolmentFactoryProof,
	}
}

// Read implements client.Object.
func (o *enrolmentObject) Read(_ context.Context, _ client.Session, p lwm2m.Path) ([]lwm2m.Entry, error) {
	o.l.mu.Lock()
	home, renewal, own, rekeying := o.l.tr.Home(), o.l.renewal, o.l.own, o.l.rekeying
	_, certificate, ok := o.l.tr.Operational()
	_, _, proving := o.l.tr.Former()
	o.l.mu.Unlock()
	e := objects.Enrolment{
		URI: home.EnrollURI, KeyOrigin: own.origin(), Error: int64(renewal.fault),
		PermanentURI: o.l.d.b.Factory.PermanentURI, Factory: rekeying.shown(own), FactoryProof: rekeying.proof(),
	}
	o.mu.Lock()
	e.Evidence = o.evidence
	o.mu.Unlock()
	if ok {
		thumbprint := transfer.ThumbprintOf(certificate)
		e.State, e.Thumbprint = objects.EnrolmentGood, thumbprint[:]
		a := transfer.Anchor{Certificate: certificate}
		if c, err := a.X509(); err == nil {
			e.NotAfter = c.NotAfter
		}
	}
	switch {
	case proving:
		e.State = objects.EnrolmentProving
	case renewal.fault != 0:
		e.State = objects.EnrolmentFailed
	case renewal.asked:
		e.State = objects.EnrolmentAsks
	default:
		rekeying.tell(&e)
	}
	if c, err := x509.ParseCertificate(certificate); err == nil {
		seconds := uint64(o.l.renewBefore(c) / time.Second) //nolint:gosec // G115: never negative
		e.RenewBefore = &seconds
	}
	return below(p, e.Entries(lwm2m.NewPath(o.id, 0)))
}

// Write implements client.Object: URI and Renew Before.
func (o *enrolmentObject) Write(
	_ context.Context, _ client.Session, _ lwm2m.Path, entries []lwm2m.Entry, _ bool,
) error {
	for _, e := range entries {
		if err := o.write(e); err != nil {
			return err
		}
	}
	return nil
}

func (o *enrolmentObject) write(e lwm2m.Entry) error {
	switch e.Path.ID(2) {
	case objects.EnrolmentURI:
		uri := e.Value.Text()
		return answer(o.l.with(func(tr *transfer.Device) error { return tr.SetEnrollURI(uri) }))
	case objects.EnrolmentNonce:
		evidence, err := o.l.evidence(e.Value.Bytes())
		if err != nil {
			return client.ErrBadRequest
		}
		o.mu.Lock()
		o.evidence = evidence
		o.mu.Unlock()
		return nil
	case objects.EnrolmentRenewBefore:
		seconds, ok := e.Value.Uint()
		if !ok || seconds > maxRenewBefore {
			return client.ErrBadRequest
		}
		defer o.l.poke()
		return o.l.put(map[string][]byte{renewBeforeKey: storeSeconds(int64(seconds))})
	}
	return client.ErrMethodNotAllowed
}

// maxRenewBefore bounds what a server may write: ten years.
const maxRenewBefore = 10 * 366 * 24 * 3600

// Execute implements client.Object: Enrol renews the operational certificate, or
// re-keys the factory certificate.
func (o *enrolmentObject) Execute(_ context.Context, _ client.Session, _ lwm2m.Path, args string) error {
	arguments, err := lwm2m.ParseArguments(args)
	if err != nil {
		return client.ErrBadRequest
	}
	if len(arguments) > 1 || len(arguments) == 1 && arguments[0].Digit > objects.EnrolFactory {
		return client.ErrBadRequest
	}
	if len(arguments) == 1 && arguments[0].Digit == objects.EnrolFactory {
		return answer(o.l.askRekey())
	}
	o.l.mu.Lock()
	o.l.renewal.asked, o.l.renewal.fault = true, objects.FaultNone
	o.l.mu.Unlock()
	o.l.poke()
	return nil
}
