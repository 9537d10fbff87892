package explore_test

import (
	"crypto/x509"
	"errors"

	"steward/est"
	"steward/lwm2m/machine"
	"steward/transfer"
)

// A seen is a receipt that was verified once.
type seen struct {
	signed *transfer.Signed[transfer.Receipt]
	err    error
}

// verify is a provider's check of a receipt that it read: with the operational
// certificate, if the receipt names one, which must be live.
func (m *model) verify(c *cell, ca uint8, id receiptID) (*transfer.Signed[transfer.Receipt], error) {
	cert := certID(0)
	if named := m.foreign(id).Body.Operational; !named.IsZero() {
		if cert = m.x.certID(named); cert == 0 || c.right[ca].live&(1<<cert) == 0 {
			return nil, errRefused
		}
	}
	k := [2]uint8{uint8(id), uint8(cert)}
	out, ok := m.verified[k]
	if !ok {
		var operational *x509.Certificate
		if cert != 0 {
			operational = must(x509.ParseCertificate(m.x.certs[cert]))
		}
		out.signed, out.err = transfer.VerifyReceipt(m.x.raw[id], m.p.factory.cert, operational)
		m.verified[k] = out
	}
	return out.signed, out.err
}

// foreign is a provider's check of a receipt that its partner sent.
func (m *model) foreign(id receiptID) *transfer.Signed[transfer.Receipt] {
	if signed, ok := m.known[id]; ok {
		return signed
	}
	signed, err := transfer.VerifyFactoryReceipt(m.x.raw[id], m.p.factory.cert)
	if err != nil {
		m.tb.Fatalf("a receipt of the device does not verify: %v", err)
	}
	m.known[id] = signed
	return signed
}

// outgoingStep is what Alpha does next with the device.
func (e *expansion) outgoingStep() {
	c := e.from
	s := e.state(c.out)
	wayBack := (s == transfer.RowReady || s == transfer.RowUnknown || reached(s)) && !ended(s) &&
		s != transfer.RowReturned || in(s, transfer.RowAborted, transfer.RowExpired) && c.out.pending != 0
	if c.contact1 && wayBack {
		e.wayBack()
		return
	}
	if p := e.pending(c.out); len(p) > 0 {
		e.outgoingEffect(p[0])
		return
	}
	switch s {
	case transfer.RowListed:
		if e.stages() && e.asTold(&c) {
			e.stage()
		}
	case transfer.RowReady:
		e.tellCommit()
	case transfer.RowReturned:
		e.readFellBack()
	case transfer.RowFinalised:
		c.out.pending = e.pendingID([]transfer.RowEffect{transfer.RowRevokeOld, transfer.RowDeleteRight})
		e.add("Alpha has the device's end before it", c, move{})
	default:
		if reached(s) && !ended(s) {
			e.follow()
		}
	}
}

// refusedBeforeCommit leaves a device behind that refuses again and again.
func (e *expansion) refusedBeforeCommit(c *cell) {
	if e.accepts(c, sp1, transfer.RowAbort) {
		e.fire(c, sp1, transfer.RowAbort)
	}
}

func (e *expansion) stage() {
	e.rpc(sp1, "Alpha stages the anchors", e.from.at == sp1, func(c *cell) error {
		return e.operate(c, sp1, transfer.OpCreate, transfer.AtTruststore, "stage", func(d *transfer.Device) error {
			return e.carryOut(d, e.p.offered)
		})
	}, func(c *cell, err error) {
		switch {
		case err == nil:
			e.fire(c, sp1, transfer.RowStage)
		case errors.Is(err, errRefused):
			e.refusedBeforeCommit(c)
		}
	}, nil)
}

// carryOut performs the plan of the delta planner.
func (m *model) carryOut(d *transfer.Device, want []transfer.OfferCertificate) error {
	for _, change := range transfer.PlanTruststore(d.Truststore(), m.p.own, want) {
		var err error
		switch change.Do {
		case transfer.OpCreate:
			_, err = d.CreateAnchor(-1, change.Certificate, change.Purposes)
		case transfer.OpWrite:
			err = d.WritePurposes(change.Instance, change.Purposes)
		default:
			err = d.DeleteAnchor(change.Instance)
		}
		if err != nil {
			return err
		}
	}
	if rest := transfer.PlanTruststore(d.Truststore(), m.p.own, want); len(rest) > 0 {
		m.fault("the truststore is not as planned")
	}
	return nil
}

func (e *expansion) tellCommit() {
	if e.past() {
		c := e.from
		e.fire(&c, sp1, transfer.RowExpire)
		e.add("Alpha sees that the window is over", c, move{})
		return
	}
	if !e.commits() {
		return
	}
	if e.outlived(&e.from) {
		e.renew()
		return
	}
	e.rpc(sp1, "Alpha executes Commit", e.from.at == sp1, func(c *cell) error {
		return e.order(c, sp1, orderCommit)
	}, func(c *cell, err error) {
		switch {
		case err == nil:
			e.fire(c, sp1, transfer.RowCommit)
		case errors.Is(err, errSilent):
			e.fire(c, sp1, transfer.RowCommitLost)
		default:
			e.refusedBeforeCommit(c)
		}
	}, func(c *cell) { c.hold(orderCommit) })
}

// wayBack reads the receipt of a device that asked CA1 with its factory certificate.
func (e *expansion) wayBack() {
	e.rpc(sp1, "Alpha reads the receipt of a device that asked", e.from.asked == sp1, func(c *cell) error {
		return e.operate(c, sp1, transfer.OpRead, transfer.AtTransfer, "", nil)
	}, func(c *cell, err error) {
		c.contact1 = false
		if err != nil {
			return
		}
		id := e.dev(c).receipt
		signed, err := e.verify(c, sp1, id)
		if err != nil || signed.Body.State != transfer.InFall || c.out.ready == 0 ||
			signed.Body.Follows(e.foreign(c.out.ready)) != nil {
			return
		}
		back := e.x.hashID(signed.Body.SPKI)
		if back == c.out.back {
			return
		}
		c.out.back, c.out.fall = back, id
		if !reached(e.state(c.out)) {
			e.fire(c, sp1, transfer.RowCommit)
		}
	}, nil)
}

func (e *expansion) readFellBack() {
	e.rpc(sp1, "Alpha reads FELL_BACK", e.from.at == sp1, func(c *cell) error {
		return e.operate(c, sp1, transfer.OpRead, transfer.AtTransfer, "", nil)
	}, func(c *cell, err error) {
		if err != nil {
			return
		}
		id := e.dev(c).receipt
		signed, err := e.verify(c, sp1, id)
		if err != nil || transfer.CompareFellBack(e.foreign(c.out.ready), signed) != nil ||
			e.x.hashID(signed.Body.SPKI) != c.out.back {
			return
		}
		c.out.fell = id
		e.fire(c, sp1, transfer.RowFellBackEvent)
	}, nil)
}

// follow is what Alpha does for a device that is away.
func (e *expansion) follow() {
	if e.from.out.back != 0 {
		e.askClosed()
		return
	}
	if e.phase() >= contractOver && afterCommit(e.state(e.from.out)) {
		c := e.from
		e.fire(&c, sp1, transfer.RowSilent)
		e.add("Alpha has waited long enough", c, move{})
	}
	there := e.state(e.from.in)
	c := e.from
	if s := e.state(c.out); in(there, transfer.RowEnrolled, transfer.RowActive, transfer.RowFinalised,
		transfer.RowRevokedOld) && c.out.proved == 0 && s != transfer.RowActive && e.accepts(&c, sp1, transfer.RowEnrol) {
		e.prove()
	}
	switch s := e.state(c.out); {
	case s == transfer.RowCommitted && there == transfer.RowEnrolled:
		e.fire(&c, sp1, transfer.RowEnrol)
	case there == transfer.RowActive && in(s, transfer.RowCommitted, transfer.RowEnrolled):
		e.fire(&c, sp1, transfer.RowActivate)
	}
	e.add("Alpha takes Beta's word for how far the device is", c, move{})
}

// askClosed asks Beta to close its right and to sign that it is closed.
func (e *expansion) askClosed() {
	if e.phase() >= contractOver {
		c := e.from
		e.fire(&c, sp1, transfer.RowFallback)
		e.add("Beta is silent, and its right has ended by contract", c, move{unfair: true})
	}
	var status transfer.RightStatus
	e.rpc(sp1, "Alpha asks Beta to close its right", true, func(c *cell) error {
		err := e.receiveClose(c)
		status = e.status(c)
		return err
	}, func(c *cell, err error) {
		if err == nil && transfer.CompareClosed(&status, e.context(c)) == nil {
			e.fire(c, sp1, transfer.RowFallback)
		}
	}, func(c *cell) { c.held |= callClose })
}

func (e *expansion) outgoingEffect(do transfer.RowEffect) {
	done := func(c *cell, err error) {
		if err == nil {
			e.pop(&c.out)
		}
	}
	switch do {
	case transfer.RowWriteMessage:
		e.writeMessage()
	case transfer.RowReadReceipt:
		e.readReady()
	case transfer.RowPostReady:
		e.rpc(sp1, "Alpha posts READY", true, e.receiveReady, func(c *cell, err error) {
			done(c, err)
			if errors.Is(err, errDeclined) {
				e.pop(&c.out)
				e.fire(c, sp1, transfer.RowAbort)
			}
		}, func(c *cell) { c.held |= callReady })
	case transfer.RowTellCommitted:
		if e.from.out.back != 0 {
			e.local(sp1, "Alpha need not tell of the commit", func(*cell) error { return nil }, done)
			return
		}
		e.rpc(sp1, "Alpha tells of the commit", true, e.receiveCommitted, e.unlessSilent(sp1),
			func(c *cell) { c.held |= callCommitted })
	case transfer.RowReadState:
		e.readState()
	case transfer.RowExecuteAbort:
		e.executeAbort()
	case transfer.RowUnstage:
		e.unstage()
	case transfer.RowTellClosed:
		if e.over() {
			e.local(sp1, "Alpha has told that all is over", func(*cell) error { return nil }, done)
			return
		}
		e.rpc(sp1, "Alpha tells that the device stays", true, func(c *cell) error { return e.receiveWithdrawal(c, sp2) },
			e.unlessSilent(sp1), func(c *cell) { c.held |= callStays })
	case transfer.RowTellFellBack:
		e.rpc(sp1, "Alpha posts FELL_BACK", true, e.receiveFell, e.unlessSilent(sp1),
			func(c *cell) { c.held |= callFell })
	default:
		e.local(sp1, "Alpha: "+string(do), func(c *cell) error { return e.outgoingLocal(c, do) }, done)
	}
}

// unlessSilent goes on unless nobody answered: a refusal will not change.
func (e *expansion) unlessSilent(sp uint8) func(*cell, error) {
	return func(c *cell, err error) {
		if !errors.Is(err, errSilent) {
			e.pop(c.row(sp))
		}
	}
}

// outgoingLocal performs the effects that need nobody else. Each may be repeated.
func (e *expansion) outgoingLocal(c *cell, do transfer.RowEffect) error {
	switch do {
	case transfer.RowSuspendRight:
		err := e.stepRight(c, sp1, est.EventSuspend, 0)
		if err != nil && !errors.Is(err, machine.ErrNoRow) {
			return err
		}
		if e.state(c.out) != transfer.RowUnknown && c.at == sp1 {
			e.hangUp(c)
		}
	case transfer.RowReopenRight:
		return e.reopen(c, c.out.back)
	case transfer.RowRevokeOld:
		if c.at == sp1 {
			e.hangUp(c)
		}
		return e.stepRight(c, sp1, est.EventDelete, 0)
	case transfer.RowDeleteRight:
		c.own[sp1] = left
		e.fire(c, sp1, transfer.RowRevoke)
	case transfer.RowTakeBack:
		c.own[sp1] = owned
	default:
	}
	return nil
}

// reopen is est.CA.ReopenRight.
func (e *expansion) reopen(c *cell, k keyID) error {
	r := c.right[sp1]
	if k == 0 {
		return errRefused
	}
	if r.spki == k && in(r.state, est.RightOpen, est.RightConsumed) {
		return nil
	}
	on := est.EventReopen
	if r.state == est.RightSuspended && r.spki == k && r.issued != 0 {
		on = est.EventResume
	}
	return e.stepRight(c, sp1, on, k)
}

func (e *expansion) writeMessage() {
	if e.dev(&e.from).status.State.AtRest() && !e.asTold(&e.from) {
		return
	}
	e.rpc(sp1, "Alpha writes the message", e.from.at == sp1, func(c *cell) error {
		s := e.dev(c).status
		if s.State.AtRest() {
			e.sign(c, s.Epoch+1)
		}
		switch {
		case s.State == transfer.Ready && s.Message == e.p.honest[c.out.message].hash:
			return nil // only the answer was lost
		case s.State == transfer.Ready:
			return e.abortOther(c)
		case !s.State.AtRest():
			return errRefused
		}
		return e.send(c, sp1, c.out.message)
	}, func(c *cell, err error) {
		switch {
		case errors.Is(err, errRefused):
			e.refusedBeforeCommit(c)
		case err == nil && e.dev(c).status.Message == e.p.honest[c.out.message].hash:
			e.pop(&c.out)
			e.fire(c, sp1, transfer.RowDeliver)
		}
	}, func(c *cell) { c.hold(orderWrite) })
}

// sign makes the message for the epoch that is the device's next, unless it is made and
// has not ended.
func (e *expansion) sign(c *cell, epoch uint32) {
	last := c.out.message
	if last != 0 && e.p.honest[last].epoch == epoch && !e.outlived(c) {
		return
	}
	if epoch > epochs {
		e.fault("a message of epoch %d", epoch)
		return
	}
	c.out.message = messageOf(epoch, e.moved())
}

// outlived reports whether the window goes on beyond the device's message.
func (e *expansion) outlived(c *cell) bool {
	return c.out.message != 0 && e.phase() > c.out.message.end() && e.moved() > c.out.message.end()
}

// renew has a device drop a message that has ended, and be LISTED again.
func (e *expansion) renew() {
	e.rpc(sp1, "Alpha has the message dropped", e.from.at == sp1, func(c *cell) error {
		switch s := e.dev(c).status; {
		case s.State == transfer.Ready && s.Message == e.p.honest[c.out.message].hash:
			return e.order(c, sp1, orderAbort)
		case s.State.AtRest():
			return nil
		}
		return errSilent
	}, func(c *cell, err error) {
		if err == nil {
			e.fire(c, sp1, transfer.RowRenew)
			c.answered &^= callReady // the next one is another call
			c.held &^= callReady
		}
	}, func(c *cell) { c.hold(orderAbort) })
}

// abortOther clears away a message that is not ours.
func (e *expansion) abortOther(c *cell) error {
	s := e.dev(c).status
	return e.operate(c, sp1, transfer.OpExecute, transfer.AtAbort, "Abort the other", func(d *transfer.Device) error {
		return d.Abort(transfer.OrderOf(s.Epoch, s.Message))
	})
}

func (e *expansion) readReady() {
	e.rpc(sp1, "Alpha reads READY", e.from.at == sp1, func(c *cell) error {
		return e.operate(c, sp1, transfer.OpRead, transfer.AtTransfer, "", nil)
	}, func(c *cell, err error) {
		if errors.Is(err, errSilent) {
			return
		}
		id := e.dev(c).receipt
		if err == nil && id != 0 {
			if signed, err := e.verify(c, sp1, id); err == nil && signed.Body.State == transfer.Ready {
				if !transfer.SameManifests(signed.Body.Installed, told[c.out.told]) {
					return // until Beta is told
				}
				c.out.spki, c.out.ready = e.x.hashID(signed.Body.SPKI), id
				e.pop(&c.out)
				e.fire(c, sp1, transfer.RowReadyReceipt)
				return
			}
		}
		e.refusedBeforeCommit(c)
	}, nil)
}

func (e *expansion) readState() {
	e.rpc(sp1, "Alpha reads the state", e.from.at == sp1, func(c *cell) error {
		return e.operate(c, sp1, transfer.OpRead, transfer.AtTransfer, "", nil)
	}, func(c *cell, err error) {
		if err != nil {
			return
		}
		switch s := e.dev(c).status.State; {
		case s == transfer.Ready:
			e.pop(&c.out)
			e.fire(c, sp1, transfer.RowReadReady)
		case s.AtRest():
			e.pop(&c.out)
			e.fire(c, sp1, transfer.RowReadReady, transfer.RowExpire)
		}
	}, nil)
}

func (e *expansion) executeAbort() {
	e.rpc(sp1, "Alpha executes Abort", e.from.at == sp1 || e.from.out.message == 0, func(c *cell) error {
		s, ours := e.dev(c).status, e.p.honest[c.out.message]
		if c.out.message == 0 || s.State != transfer.Ready || s.Message != ours.hash {
			return nil
		}
		return e.order(c, sp1, orderAbort)
	}, e.unlessMine, func(c *cell) { c.hold(orderAbort) })
}

// unlessMine goes on when it is done, or when the device is another's by now.
func (e *expansion) unlessMine(c *cell, err error) {
	if err == nil || c.own[sp1] != owned {
		e.pop(&c.out)
	}
}

func (e *expansion) unstage() {
	e.rpc(sp1, "Alpha unstages the anchors", e.from.at == sp1, func(c *cell) error {
		return e.operate(c, sp1, transfer.OpDelete, transfer.AtTruststore, "unstage", func(d *transfer.Device) error {
			return e.carryOut(d, nil)
		})
	}, func(c *cell, err error) {
		if c.right[sp1].state == est.RightSuspended {
			_ = e.reopen(c, c.right[sp1].spki)
		}
		e.unlessMine(c, err)
	}, nil)
}
