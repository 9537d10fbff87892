package explore_test

import (
	"errors"

	"steward/est"
	"steward/lwm2m/machine"
	"steward/transfer"
)

// again reports whether a call was answered before, and notes that it is now.
func (c *cell) again(call uint16) bool { return c.answered&call != 0 }

// receiveReady is step 7b at Beta.
func (e *expansion) receiveReady(c *cell) error { return e.readyWith(c, c.out.ready) }

func (e *expansion) readyWith(c *cell, id receiptID) error {
	if c.again(callReady) {
		return nil
	}
	if id == 0 || !e.told() || !e.accepts(c, sp2, transfer.RowReadyReceipt) {
		return errDeclined
	}
	signed := e.foreign(id)
	if e.compareReady(id, signed, c.in.told) != nil {
		return errDeclined
	}
	c.in.spki, c.in.ready = e.x.hashID(signed.Body.SPKI), id
	c.answered |= callReady
	e.fire(c, sp2, transfer.RowReadyReceipt)
	e.catchUp = showsReady
	return nil
}

func (e *expansion) compareReady(id receiptID, signed *transfer.Signed[transfer.Receipt], told uint8) error {
	k := [2]uint8{uint8(id), e.phase()}
	var window transfer.Window
	if moved := e.movedThere(); moved > 0 {
		k[1] += moved * phases
		window.Latest = transfer.SecondsOf(e.p.latest[moved])
	}
	k[1] += told * phases * ends
	err, ok := e.compared[k]
	if !ok {
		err = transfer.CompareReady(signed, transfer.ReadyContext{
			Offer: e.p.offer, Device: e.p.pairs[told], Subject: e.p.subject, Permanent: e.p.permanents, Window: window,
			Now: e.now(e.phase()),
		})
		e.compared[k] = err
	}
	return err
}

// pass opens the right, if nothing must come before.
func (e *expansion) pass(c *cell) {
	if c.passed == e.gates {
		e.fire(c, sp2, transfer.RowPass)
	}
}

func (e *expansion) receiveCommitted(c *cell) error {
	s := e.state(c.in)
	switch {
	case c.again(callCommitted), reached(s) && !ended(s), s == transfer.RowRevokedOld:
		c.answered |= callCommitted
		return nil
	case s != transfer.RowReady || c.out.ready != c.in.ready:
		return errDeclined
	}
	c.answered |= callCommitted
	if e.fire(c, sp2, transfer.RowCommit) {
		e.pass(c)
	}
	e.catchUp = showsCommitted
	return nil
}

// receiveComplete takes DONE and FINALISED at Alpha.
func (e *expansion) receiveComplete(c *cell) error {
	if c.again(callComplete) {
		return nil
	}
	if c.in.final == 0 || c.out.ready == 0 {
		return errDeclined
	}
	ready, final := e.foreign(c.out.ready), e.foreign(c.in.final)
	if done := e.before(c, final); done != nil {
		if transfer.CompareDone(ready, done) != nil ||
			transfer.CompareFinalised(done, final, &e.p.offer.Body, e.p.permanents) != nil {
			return errDeclined
		}
	} else if !e.finalisedAlone(ready, final) {
		return errDeclined
	}
	s := e.state(c.out)
	if s == transfer.RowRevokedOld {
		return nil
	}
	before := *c
	if in(s, transfer.RowReady, transfer.RowUnknown) ||
		in(s, transfer.RowAborted, transfer.RowExpired) && c.out.pending != 0 {
		e.fire(c, sp1, transfer.RowCommit)
	}
	if !e.accepts(c, sp1, transfer.RowFinal) {
		*c = before
		return errDeclined
	}
	e.fire(c, sp1, transfer.RowFinal)
	c.answered |= callComplete
	return nil
}

// before returns the DONE receipt that FINALISED follows; nil: it was not read.
func (e *expansion) before(c *cell, final *transfer.Signed[transfer.Receipt]) *transfer.Signed[transfer.Receipt] {
	if c.in.done == 0 || e.foreign(c.in.done).Hash != final.Body.Previous {
		return nil
	}
	return e.foreign(c.in.done)
}

// finalisedAlone is what READY must vouch for where DONE was lost.
func (e *expansion) finalisedAlone(ready, final *transfer.Signed[transfer.Receipt]) bool {
	d := must(transfer.ParseDestination(e.p.offer.Body.Destination))
	a, b := &ready.Body, &final.Body
	return b.State == transfer.Finalised && a.Message == b.Message && a.Epoch == b.Epoch && a.SPKI == b.SPKI &&
		b.Truststore == transfer.ExpectedTruststore(e.p.permanents, &d, e.p.offered, transfer.Finalised)
}

// receiveFell takes FELL_BACK at Beta.
func (e *expansion) receiveFell(c *cell) error {
	if c.again(callFell) {
		return nil
	}
	if c.out.fell == 0 || c.in.ready == 0 ||
		transfer.CompareFellBack(e.foreign(c.in.ready), e.foreign(c.out.fell)) != nil {
		return errDeclined
	}
	s := e.state(c.in)
	if s == transfer.RowFellBack {
		return nil
	}
	before := *c
	if s == transfer.RowReady {
		e.fire(c, sp2, transfer.RowCommit)
	}
	if !e.accepts(c, sp2, transfer.RowFellBackEvent) {
		*c = before
		return errDeclined
	}
	e.fire(c, sp2, transfer.RowFellBackEvent)
	c.answered |= callFell
	return nil
}

// receiveClose closes the right at CA2 for a device that showed a FALLBACK receipt. A
// device that is at Beta already stays.
func (e *expansion) receiveClose(c *cell) error {
	s := e.state(c.in)
	if ended(s) || in(s, transfer.RowActive, transfer.RowFinalised) {
		return nil // the answer is how the right stands
	}
	if c.out.fall == 0 || c.in.ready == 0 || e.foreign(c.out.fall).Body.Follows(e.foreign(c.in.ready)) != nil {
		return errDeclined
	}
	before := *c
	if err := e.shut(c); err != nil {
		return errSilent
	}
	if s == transfer.RowReady {
		e.fire(c, sp2, transfer.RowCommit)
	}
	if !e.accepts(c, sp2, transfer.RowFallback) {
		right := c.right[sp2]
		*c = before
		c.right[sp2] = right
		return errDeclined
	}
	e.fire(c, sp2, transfer.RowFallback)
	c.in.pending = 0
	return nil
}

// shut closes a right; one that was consumed is deleted with its certificates.
func (e *expansion) shut(c *cell) error {
	err := e.stepRight(c, sp2, est.EventClose, 0)
	if errors.Is(err, machine.ErrNoRow) {
		err = e.stepRight(c, sp2, est.EventDelete, 0)
	}
	if errors.Is(err, est.ErrUnknown) {
		return nil
	}
	return err
}

// receiveWithdrawal ends the device's part at a provider because the other says so.
func (e *expansion) receiveWithdrawal(c *cell, sp uint8) error {
	over := e.over()
	if sp == sp2 {
		over = e.overThere()
	}
	r := c.row(sp)
	switch {
	case over, ended(e.state(*r)):
		return nil
	case !e.accepts(c, sp, transfer.RowAbort):
		return errDeclined
	}
	e.fire(c, sp, transfer.RowAbort)
	var pending []transfer.RowEffect
	for _, do := range e.pending(*r) {
		if do != transfer.RowTellClosed {
			pending = append(pending, do)
		}
	}
	r.pending = e.pendingID(pending)
	return nil
}
