package explore_test

import (
	"cmp"

	"steward/est"
	"steward/transfer"
)

// An expanded is what may happen to a cell, and what breaks thereby, in every moment
// that agrees with one in what was looked at.
type expanded struct {
	at, read moment
	moves    []move
	broke    string
}

// moves are those of a cell in a moment, found once.
func (m *model) movesOf(c cell, at moment) *expanded {
	for _, out := range m.memo[c] {
		if at.of(out.read) == out.at {
			return out
		}
	}
	before := m.broke
	m.broke, m.x.broke = "", ""
	e := m.expand(c, at)
	out := &expanded{at.of(e.read), e.read, e.moves, cmp.Or(m.broke, m.x.broke)}
	m.broke, m.x.broke = before, ""
	m.memo[c] = append(m.memo[c], out)
	return out
}

// expand finds all moves of a cell, fair ones and others.
func (m *model) expand(c cell, at moment) *expansion {
	e := &expansion{model: m, at: at, from: c}
	e.outgoingStep()
	if e.told() {
		e.incomingStep()
	}
	e.deviceStep()
	e.silence()
	e.releases()
	e.switchOff()
	if m.gates != 0 {
		e.gatesPass()
	}
	if m.revise {
		e.update()
	}
	switch m.dishonest {
	case "SP1":
		e.dishonestAlpha()
	case "SP2":
		e.dishonestBeta()
	case "thief":
		e.thief()
	}
	return e
}

// silence is what Alpha tells its operator about a device of which it hears nothing
// although it waits for it.
func (e *expansion) silence() {
	if e.phase() < contractOver || !in(e.state(e.from.out), transfer.RowUnknown, transfer.RowReturned) {
		return
	}
	c := e.from
	e.fire(&c, sp1, transfer.RowSilent)
	e.add("Alpha has heard nothing", c, move{unfair: true})
}

// releases delivers what the network has kept, as often as it likes.
func (e *expansion) releases() {
	for order, name := range orderNames {
		sp := uint8(sp1)
		if order&(orderFinalise|orderReturn) != 0 {
			sp = sp2
		}
		for message := firstShort; message <= lastMessage; message++ {
			if e.from.orders&kept(order, message) == 0 || e.from.at != sp && e.dishonest != "network" {
				continue
			}
			c := e.from
			_ = e.orderOf(&c, sp, order, message)
			e.add("the network releases "+name, c, move{unfair: true})
		}
	}
	for call, name := range callNames {
		if e.from.held&call == 0 {
			continue
		}
		c := e.from
		_ = e.deliver(&c, call)
		e.add("the network releases the call "+name, c, move{unfair: true})
	}
}

// deliver is a call without its answer.
func (e *expansion) deliver(c *cell, call uint16) error {
	switch call {
	case callReady:
		return e.receiveReady(c)
	case callCommitted:
		return e.receiveCommitted(c)
	case callComplete:
		return e.receiveComplete(c)
	case callFell:
		return e.receiveFell(c)
	case callClose:
		return e.receiveClose(c)
	case callStays:
		return e.receiveWithdrawal(c, sp2)
	default:
		return e.receiveWithdrawal(c, sp1)
	}
}

// switchOff is a power cut while nothing is written.
func (e *expansion) switchOff() {
	if !e.cuts || e.from.at == 0 && e.from.asked == 0 {
		return
	}
	c := e.from
	e.hangUp(&c)
	e.add("the device restarts", c, move{crash: 1, who: 3, unfair: true})
}

// afterCommit are the states in which a provider learns how far a device is.
func afterCommit(s transfer.RowState) bool {
	return in(s, transfer.RowCommitted, transfer.RowAttested, transfer.RowUpdated, transfer.RowEnrolled,
		transfer.RowActive, transfer.RowOrphanRisk)
}

// gatesPass is what attestation and update have to say, to Beta and from Beta to
// Alpha, early or late.
func (e *expansion) gatesPass() {
	for sp := uint8(sp1); sp <= sp2; sp++ {
		s := e.state(*e.from.row(sp))
		if in(s, transfer.RowListed, transfer.RowStaged) && !e.sure && e.from.env == (sp == sp2) {
			c := e.from
			c.env = true
			e.fire(&c, sp, transfer.RowUpdateFail)
			e.add(names[sp]+" learns that the last update failed", c, move{unfair: true})
		}
		if !afterCommit(s) {
			continue
		}
		learn := func(label string, on transfer.RowEvent, fault move) {
			c := e.from
			c.env = c.env || fault.unfair
			e.fire(&c, sp, on)
			e.add(names[sp]+label, c, fault)
		}
		if e.from.passed&attests != 0 {
			learn(" learns that the device is attested", transfer.RowAttest, move{})
		}
		if e.from.passed&updates != 0 {
			learn(" learns that the device is up to date", transfer.RowUpdate, move{})
		}
		if e.sure || sp == sp1 && !e.from.env || sp == sp2 && e.from.env {
			continue // Alpha has it from Beta, and it happens once
		}
		fault := move{unfair: true}
		learn(" learns that the attestation failed", transfer.RowVerdict, fault)
		learn(" learns that the update failed", transfer.RowUpdateFail, fault)
		learn(" learns that the enrolment failed", transfer.RowEnrolFail, fault)
		learn(" learns that Beta withdraws", transfer.RowWithdraw, fault)
	}
}

// dishonestAlpha sends the device whatever it likes, and Beta what is not so.
func (e *expansion) dishonestAlpha() {
	fault := move{unfair: true}
	if e.from.at == sp1 {
		for name := range e.p.messages {
			if name == "E10 the next epoch" && e.dev(&e.from).status.State != transfer.Ready {
				continue // anywhere else it is another transfer
			}
			c := e.from
			_ = e.write(&c, sp1, name)
			e.add("dishonest Alpha writes: "+name, c, fault)
		}
		for order, name := range orderNames {
			c := e.from
			_ = e.order(&c, sp1, order)
			e.add("dishonest Alpha executes "+name, c, fault)
		}
	}
	if id := e.dev(&e.from).receipt; id != 0 && e.from.at == sp1 {
		c := e.from
		if e.readyWith(&c, id) == nil {
			c.out.ready = id
		}
		e.add("dishonest Alpha posts the receipt that it finds", c, fault)
	}
	c := e.from
	_ = e.receiveCommitted(&c)
	e.add("dishonest Alpha tells of a commit", c, fault)
	c = e.from
	_ = e.receiveClose(&c)
	e.add("dishonest Alpha asks to close the right", c, fault)
}

// dishonestBeta uses what it has before it may, and CA2 issues what it should not.
func (e *expansion) dishonestBeta() {
	fault := move{unfair: true}
	if e.from.at == sp2 {
		for order, name := range orderNames {
			c := e.from
			_ = e.order(&c, sp2, order)
			e.add("dishonest Beta executes "+name, c, fault)
		}
		c := e.from
		_ = e.write(&c, sp2, "E2 signed by SP2")
		e.add("dishonest Beta writes a message of its own", c, fault)
	}
	s := e.dev(&e.from)
	if s.busy && s.next.Do == transfer.DoEnrol && s.status.State == transfer.Enrolling {
		thief := e.x.keyID(keyOf("thief").Public())
		for _, k := range []keyID{s.key, thief} {
			c := e.from
			cert := e.x.issue(sp2, k)
			to, err := e.x.do(c.dev, "dishonest "+e.x.keys[k].String(), func(d *transfer.Device) error {
				return d.Enrolled(e.x.certs[cert])
			})
			if k == thief && err == nil {
				e.fault("the device takes a certificate for a key that is not its own")
			}
			c.dev = to
			c.right[sp2].state, c.right[sp2].spki, c.right[sp2].issued = est.RightConsumed, s.key, cert
			c.right[sp2].live |= 1 << cert
			e.add("dishonest CA2 issues without a right", c, fault)
		}
	}
	c := e.from
	if c.in.final == 0 {
		c.in.final = s.receipt
	}
	if c.in.final != 0 {
		_ = e.receiveComplete(&c)
		e.add("dishonest Beta posts what it has as the completion", c, fault)
	}
	c = e.from
	_ = e.receiveWithdrawal(&c, sp1)
	e.add("dishonest Beta withdraws the device", c, fault)
	c = e.from
	if afterCommit(e.state(c.out)) && c.out.spki != 0 {
		c.out.proved = e.x.issue(sp2, c.out.spki)
		e.fire(&c, sp1, transfer.RowEnrol)
		e.add("dishonest CA2 states that it has enrolled the device", c, fault)
	}
}

// thief holds a copy of the factory key: it asks both CAs for a key of its own.
func (e *expansion) thief() {
	k := e.x.keyID(keyOf("thief").Public())
	for ca := uint8(sp1); ca <= sp2; ca++ {
		c := e.from
		asked := c.asked
		if e.ask(&c, ca, k) == nil {
			e.fault("I3: CA%d enrols a thief's key", ca)
		}
		c.asked = asked // the receipt is not the thief's to show
		e.add("a thief asks "+names[ca]+"'s CA", c, move{unfair: true})
	}
}

// defect returns what invariant a cell breaks, or "".
func (m *model) defect(c *cell, phase uint8) string {
	s, out := m.dev(c), m.state(c.out)
	open := func(ca uint8) bool {
		return c.right[ca].state == est.RightOpen && (ca == sp1 || !m.contractOver(phase))
	}
	honest := m.dishonest == "" || m.dishonest == "network" || m.dishonest == "thief"
	switch {
	case m.broke != "":
		return m.broke
	case m.refuses(c) != "":
		return m.refuses(c)
	case open(sp1) && open(sp2) && m.dishonest != "SP2":
		return "I6: the right is open at both CAs"
	case c.at == sp2 && c.data&sp1 != 0 && m.reads(s, sp2):
		return "I4: Beta's server can read what the device gathered for Alpha"
	case c.at == sp1 && c.data&sp2 != 0 && m.reads(s, sp1):
		return "I4: Alpha's server can read what the device gathered for Beta"
	case s.status.State == transfer.Finalised && s.trusts[0] != 0:
		return "I2: after FINALISED the device trusts Alpha for " + s.trusts[0].String()
	case s.status.State == transfer.FellBack && s.trusts[1] != 0:
		return "I2': after FELL_BACK the device trusts Beta for " + s.trusts[1].String()
	case s.status.State == transfer.Ready && s.trusts[1] != 0:
		return "a pending anchor counts for " + s.trusts[1].String() + " before COMMITTED"
	case out == transfer.RowRevokedOld && m.opens(c, sp1):
		return "I2: Alpha has let the device go, and something opens there"
	case honest && m.state(c.in) == transfer.RowFellBack && c.in.pending == 0 && m.opens(c, sp2):
		return "I2': Beta knows that the device is Alpha's again, and something opens there"
	case honest && m.provedWrong(c):
		return "I3: Alpha takes it for known that CA2 has enrolled another key"
	case c.in.ready != 0 && !m.asOffered(c.in.ready):
		return "7b: Beta has accepted a READY receipt that is not of its offer"
	case honest && out == transfer.RowRevokedOld && s.status.State != transfer.Finalised:
		return "Alpha has let a device go that is " + string(s.status.State)
	case honest && out == transfer.RowFellBack && !in(s.status.State, transfer.FellBack):
		return "Alpha has taken a device back that is " + string(s.status.State)
	case in(out, transfer.RowAborted, transfer.RowExpired) && honest && c.out.pending == 0 &&
		!s.status.State.AtRest() && s.status.State != transfer.Ready:
		return "Alpha has closed the row of a device that is " + string(s.status.State)
	}
	return ""
}

// reads reports whether a provider's server may read what the application has.
func (m *model) reads(s *deviceState, sp uint8) bool {
	return m.permitted(s, sp, transfer.OpRead, transfer.AtElsewhere)
}

// opens reports whether anything of the device opens anything at a provider.
func (m *model) opens(c *cell, sp uint8) bool {
	return c.right[sp].live != 0 || c.right[sp].state != est.RightDeleted || c.at == sp
}

// asOffered reports whether a READY receipt is of the offer, byte for byte.
func (m *model) asOffered(id receiptID) bool {
	r := m.foreign(id).Body
	o := &m.p.offer.Body
	return r.Destination == transfer.HashOf(o.Destination) && string(r.ID) == string(o.Transfer)
}

// home reports whether the device has arrived for good, at either provider, and all
// who have a part in it know that.
func (m *model) arrived(c *cell) bool {
	s, out, in2 := m.dev(c), m.state(c.out), m.state(c.in)
	if c.out.pending != 0 || c.in.pending != 0 || s.busy && !s.status.State.AtRest() {
		return false
	}
	there := s.status.State == transfer.Finalised && c.at == sp2 && out == transfer.RowRevokedOld &&
		in2 == transfer.RowRevokedOld
	here := s.status.State.AtRest() && c.at == sp1 && in(out, transfer.RowRejected, transfer.RowAborted,
		transfer.RowExpired, transfer.RowFellBack, transfer.RowFailedUpd) &&
		(ended(in2) || in(in2, transfer.RowListed, transfer.RowStaged, transfer.RowFailedUpd)) &&
		s.status.State != transfer.Finalised && c.right[sp2].live == 0
	return there || here
}
