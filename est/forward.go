package est

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/lwm2m/audit"
)

// DueErrands returns up to limit errands for which the external CA is to be asked
// now. A runner calls it now and then, and Forward for each.
func (ca *CA) DueErrands(ctx context.Context, limit int) ([]Errand, error) {
	if ca.o.Upstream == nil {
		return nil, nil
	}
	return ca.o.Errands.Errands(ctx, ErrandQuery{State: ErrandWaiting, Due: ca.now(), Limit: limit})
}

// ListErrands returns errands as Errands does.
func (ca *CA) ListErrands(ctx context.Context, q ErrandQuery) ([]Errand, error) {
	if ca.o.Errands == nil {
		return nil, nil
	}
	return ca.o.Errands.Errands(ctx, q)
}

// Errand returns one errand, or ErrUnknown.
func (ca *CA) Errand(ctx context.Context, id string) (Errand, error) {
	if ca.o.Errands == nil {
		return Errand{}, fmt.Errorf("%w: errand %.32q", ErrUnknown, id)
	}
	return ca.o.Errands.Errand(ctx, id)
}

// maxBackoff bounds the time until an external CA that cannot be reached is asked
// again.
const maxBackoff = time.Hour

// Forward asks the external CA once for what e needs, and stores what came of it. An
// errand that somebody changed meanwhile is left as it is. What went wrong at the
// external CA is in the errand's Reason; the error returned is one of the Store.
func (ca *CA) Forward(ctx context.Context, e Errand) error {
	chain, err := ca.o.Upstream.Certify(ctx, e)
	if ctx.Err() != nil {
		return ctx.Err() // nobody knows what became of it: it is asked again
	}
	var next Errand
	if err == nil {
		next, err = ca.answered(ctx, e, chain)
	}
	if err != nil {
		next, err = ca.unanswered(e, err)
	}
	if err != nil {
		return err
	}
	if err := ca.putErrand(ctx, e, next); err != nil && !errors.Is(err, ErrConflict) {
		return err
	}
	return nil
}

// unanswered returns e as err leaves it: to be asked for again, or refused.
func (ca *CA) unanswered(e Errand, err error) (Errand, error) {
	why := bounded(err.Error())
	if pending := (*PendingError)(nil); errors.As(err, &pending) {
		if pending.What == "" {
			why = "the external CA has not decided"
		}
		return ca.later(e, pending.Retry, why)
	}
	for _, final := range []error{ErrUpstream, ErrKey, ErrDeclined} {
		if errors.Is(err, final) {
			return ca.stepErrand(e, ErrandRefuse, why)
		}
	}
	return ca.later(e, min(ca.o.Retry<<min(e.Tries, maxDoublings), maxBackoff), why)
}

// maxDoublings keeps the time until the next attempt from overflowing.
const maxDoublings = 10

// maxReason bounds what an external CA can write to us.
const maxReason = 300

func bounded(text string) string { return text[:min(len(text), maxReason)] }

// later puts e off.
func (ca *CA) later(e Errand, d time.Duration, why string) (Errand, error) {
	next, err := ca.stepErrand(e, ErrandAgain, why)
	next.Tries++
	next.NextAt = stamp(ca.now().Add(min(max(d, time.Second), maxBackoff)))
	return next, err
}

// answered returns e with the answer, if that is any good.
func (ca *CA) answered(ctx context.Context, e Errand, chain [][]byte) (Errand, error) {
	cert, _, err := ca.examine(ctx, e, chain)
	if err != nil {
		return e, err
	}
	next, err := ca.stepErrand(e, ErrandAnswer, fmt.Sprintf("certificate %x of %s came", cert.SerialNumber, cert.Issuer))
	next.Answer = slices.Concat(chain...)
	return next, err
}

// putErrand stores next in place of e. Being put off again for the same reason leaves
// no row in the audit.
func (ca *CA) putErrand(ctx context.Context, e, next Errand) error {
	ch := Change{Errands: []Errand{next}}
	if next.State != e.State || next.Reason != e.Reason {
		ch.Audit = []audit.Row{ca.errandRow("upstream."+string(next.State), next, e.State)}
	}
	return ca.o.Store.Commit(ctx, ch)
}

// ImportAnswer takes the external CA's answer to an errand from a person: the
// certificate and those above it, in any order. It returns ErrUnknown, ErrUpstream or
// ErrKey for an answer that is no good, which changes nothing, and machine.ErrNoRow
// for an errand that does not wait.
func (ca *CA) ImportAnswer(ctx context.Context, id string, certs []*x509.Certificate) (Errand, error) {
	if ca.o.Upstream == nil {
		return Errand{}, fmt.Errorf("%w: none is set", ErrUpstream)
	}
	return ca.changeErrand(ctx, id, func(e Errand) (Errand, error) {
		if _, err := ErrandTable.Step(e.State, ErrandAnswer); err != nil {
			return e, fmt.Errorf("request of %s at the external CA: %w", e.Name, err)
		}
		chain := leafFirst(e, certs)
		next, err := ca.answered(ctx, e, chain)
		if errors.Is(err, ErrUpstream) || errors.Is(err, ErrKey) {
			row := ca.errandRow("upstream.import.refuse", e, e.State)
			row.Reason = e.Name + ": " + bounded(err.Error())
			err = errors.Join(err, ca.o.Store.Commit(ctx, Change{Audit: []audit.Row{row}}))
		}
		return next, err
	})
}

// leafFirst puts the certificate for the errand's key in front.
func leafFirst(e Errand, certs []*x509.Certificate) [][]byte {
	var chain [][]byte
	for _, c := range certs {
		if key, err := SPKI(c.PublicKey); err == nil && key == e.SPKI && !c.IsCA {
			chain = slices.Insert(chain, 0, c.Raw)
			continue
		}
		chain = append(chain, c.Raw)
	}
	return chain
}

// DecideErrand lets an operator end an errand (ErrandRefuse, ErrandWithdraw) or have
// the external CA asked again (ErrandRetry). It returns ErrUnknown, machine.ErrNoRow,
// or ErrConflict for a retry while the client has another errand.
func (ca *CA) DecideErrand(ctx context.Context, id string, on ErrandEvent, why string) (Errand, error) {
	switch on {
	case ErrandRefuse, ErrandWithdraw, ErrandRetry:
	default:
		return Errand{}, fmt.Errorf("%w: %q is not an operator's to decide", ErrForbidden, on)
	}
	return ca.changeErrand(ctx, id, func(e Errand) (Errand, error) {
		next, err := ca.stepErrand(e, on, bounded(why))
		if on == ErrandRetry {
			next.NextAt, next.Tries = ca.now(), 0
		}
		return next, err
	})
}

func (ca *CA) changeErrand(ctx context.Context, id string, change func(Errand) (Errand, error)) (Errand, error) {
	return again(func() (Errand, error) {
		e, err := ca.Errand(ctx, id)
		if err != nil {
			return Errand{}, err
		}
		next, err := change(e)
		if err != nil {
			return Errand{}, err
		}
		if err := ca.putErrand(ctx, e, next); err != nil {
			return Errand{}, err
		}
		next.Version++
		return next, nil
	})
}
