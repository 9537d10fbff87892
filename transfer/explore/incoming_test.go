package explore_test

import (
	"errors"

	"steward/est"
	"steward/lwm2m/machine"
	"steward/transfer"
)

// incomingStep is what Beta does next with the device.
func (e *expansion) incomingStep() {
	c := e.from
	if p := e.pending(c.in); len(p) > 0 {
		e.incomingEffect(p[0])
		return
	}
	switch s := e.state(c.in); s {
	case transfer.RowListed:
		if e.grants() {
			e.grant()
		}
	case transfer.RowReady:
		if c.contact2 != 0 && c.contact2 == c.in.spki {
			e.fire(&c, sp2, transfer.RowContact)
			e.pass(&c)
		}
		c.contact2 = 0
		e.add("Beta learns of the commit from the device", c, move{})
	case transfer.RowFinalised:
		c.in.pending = e.pendingID([]transfer.RowEffect{transfer.RowPostComplete})
		e.add("Beta posts what Alpha has not acknowledged", c, move{})
	case transfer.RowReturned:
	default:
		if reached(s) && !ended(s) {
			e.receive()
		}
	}
}

func (e *expansion) grant() {
	e.local(sp2, "Beta grants a closed right", func(c *cell) error {
		c.own[sp2] = expected
		return e.stepRight(c, sp2, est.EventGrant, 0)
	}, func(c *cell, err error) {
		if err != nil {
			e.fire(c, sp2, transfer.RowAbort)
			return
		}
		e.fire(c, sp2, transfer.RowStage)
	})
}

// receive follows a device that has committed.
func (e *expansion) receive() {
	c := e.from
	consumed, s := c.right[sp2].state == est.RightConsumed, e.state(c.in)
	if e.gates != 0 && c.passed == e.gates && afterCommit(s) && c.right[sp2].state == est.RightClosed && c.in.back == 0 {
		e.fire(&c, sp2, transfer.RowPass)
		e.add("Beta has all that must come before the enrolment", c, move{})
		return
	}
	if e.phase() >= contractOver && afterCommit(s) {
		e.fire(&c, sp2, transfer.RowSilent)
		e.add("Beta has waited long enough", c, move{})
	}
	if consumed && in(s, transfer.RowCommitted, transfer.RowUpdated, transfer.RowAttested) {
		c = e.from
		e.fire(&c, sp2, transfer.RowEnrol)
		e.add("Beta sees that CA2 has issued", c, move{})
		return
	}
	if !consumed {
		return
	}
	e.rpc(sp2, "Beta reads DONE", c.at == sp2, func(c *cell) error {
		return e.operate(c, sp2, transfer.OpRead, transfer.AtTransfer, "", nil)
	}, e.takeReceipt, nil)
}

// takeReceipt takes DONE, or FINALISED if only that was not stored.
func (e *expansion) takeReceipt(c *cell, err error) {
	if err != nil || e.dev(c).receipt == 0 {
		return
	}
	id := e.dev(c).receipt
	signed, err := e.verify(c, sp2, id)
	if err != nil {
		return
	}
	if signed.Body.State == transfer.Finalised {
		e.final(c, signed, id)
		return
	}
	if transfer.CompareDone(e.foreign(c.in.ready), signed) != nil {
		return
	}
	c.in.done = id
	e.fire(c, sp2, transfer.RowActivate)
}

// final takes FINALISED: the device is Beta's.
func (e *expansion) final(c *cell, signed *transfer.Signed[transfer.Receipt], id receiptID) {
	ready := e.foreign(c.in.ready)
	if done := e.before(c, signed); done != nil {
		if transfer.CompareFinalised(done, signed, &e.p.offer.Body, e.p.permanents) != nil {
			return
		}
	} else if !e.finalisedAlone(ready, signed) {
		return
	}
	c.in.final, c.own[sp2] = id, owned
	e.fire(c, sp2, transfer.RowFinal)
}

func (e *expansion) incomingEffect(do transfer.RowEffect) {
	done := func(c *cell, err error) {
		if err == nil {
			e.pop(&c.in)
		}
	}
	switch do {
	case transfer.RowDoFinalise:
		e.rpc(sp2, "Beta executes Finalise", e.from.at == sp2, func(c *cell) error {
			return e.order(c, sp2, orderFinalise)
		}, func(c *cell, err error) {
			if errors.Is(err, errSilent) {
				return
			}
			id := e.dev(c).receipt
			signed, err := e.verify(c, sp2, id)
			if err == nil && signed.Body.State == transfer.Finalised {
				e.pop(&c.in)
				e.final(c, signed, id)
			}
		}, func(c *cell) { c.hold(orderFinalise) })
	case transfer.RowDoReturn:
		e.rpc(sp2, "Beta executes Return", e.from.at == sp2, func(c *cell) error {
			return e.order(c, sp2, orderReturn)
		}, func(c *cell, _ error) { e.pop(&c.in) }, func(c *cell) { c.hold(orderReturn) })
	case transfer.RowPostComplete:
		e.rpc(sp2, "Beta posts the completion", true, e.receiveComplete, func(c *cell, err error) {
			if err == nil {
				e.pop(&c.in)
				e.fire(c, sp2, transfer.RowRevoke)
			}
		}, func(c *cell) { c.held |= callComplete })
	case transfer.RowTellClosed:
		if e.overThere() {
			e.local(sp2, "Beta has told that all is over", func(*cell) error { return nil }, done)
			return
		}
		e.rpc(sp2, "Beta tells that the device stays", true, func(c *cell) error { return e.receiveWithdrawal(c, sp1) },
			e.unlessSilent(sp2), func(c *cell) { c.held |= callKeeps })
	default:
		e.local(sp2, "Beta: "+string(do), func(c *cell) error { return e.incomingLocal(c, do) }, done)
	}
}

func (e *expansion) incomingLocal(c *cell, do transfer.RowEffect) error {
	switch do {
	case transfer.RowNoteKey:
		return e.stepRight(c, sp2, est.EventNote, c.in.spki)
	case transfer.RowOpenRight:
		err := e.stepRight(c, sp2, est.EventOpen, c.in.spki)
		if errors.Is(err, errWrongKey) && c.right[sp2].state == est.RightClosed { // of the message before
			if err = e.stepRight(c, sp2, est.EventNote, c.in.spki); err == nil {
				err = e.stepRight(c, sp2, est.EventOpen, c.in.spki)
			}
		}
		if errors.Is(err, machine.ErrNoRow) && c.right[sp2].state == est.RightConsumed {
			return nil
		}
		return err
	case transfer.RowCloseRight:
		if err := e.shut(c); err != nil || !ended(e.state(c.in)) {
			return err
		}
		return e.revokeNew(c)
	case transfer.RowRevokeNew, transfer.RowDeleteRight:
		return e.revokeNew(c)
	default:
		return nil
	}
}

// revokeNew ends what the device has at Beta.
func (e *expansion) revokeNew(c *cell) error {
	if err := e.stepRight(c, sp2, est.EventDelete, 0); err != nil && !errors.Is(err, est.ErrUnknown) {
		return err
	}
	if c.at == sp2 {
		e.hangUp(c)
	}
	if c.own[sp2] != strange {
		c.own[sp2] = left
	}
	return nil
}
