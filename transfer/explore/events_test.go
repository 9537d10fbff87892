package explore_test

import (
	"fmt"
	"slices"
	"strings"

	"steward/transfer"
)

// A move is one thing that may happen to a cell.
type move struct {
	label   string
	to      cell
	loss    uint8
	crash   uint8
	who     uint8 // whose process crashed
	unfair  bool  // need not happen, however long one waits
	catchUp uint8 // how far the call shows Beta that Alpha is
}

// The values of catchUp.
const (
	showsReady = iota + 1
	showsCommitted
)

// A moment is what a cell's moves depend on beside the cell: what the transfers as a
// whole let their rows do, and the time.
type moment struct {
	stages, commits bool  // Alpha's rows
	over            bool  // Alpha's transfer
	asking          bool  // Beta is being told anew what staged devices run
	told            bool  // Beta has the info
	grants          bool  // Beta's rows
	overThere       bool  // Beta's transfer
	moved           uint8 // at which end the window ends, as Alpha knows
	movedThere      uint8 // likewise Beta
	phase           uint8
}

// when is the moment of two transfers.
func when(b1, b2 *batch, phase uint8) moment {
	return moment{
		stages:  in(b1.state, transfer.BatchStaging, transfer.BatchArmed, transfer.BatchSwitching, transfer.BatchPartial),
		commits: b1.state == transfer.BatchSwitching && !b1.paused, over: in(b1.state, transfer.BatchFinal()...),
		asking: b1.state == transfer.BatchStaging && strings.Contains(b1.pending, "i"),
		told:   b2.state != "", grants: b2.state == transfer.BatchOffered, overThere: in(b2.state, transfer.BatchFinal()...),
		moved: b1.moved, movedThere: b2.moved, phase: phase,
	}
}

// An expansion finds the moves of a cell.
type expansion struct {
	*model

	at      moment
	read    moment // what was looked at: another moment that has the same is as good
	from    cell
	moves   []move
	catchUp uint8
}

func (e *expansion) stages() bool    { return look(&e.read.stages, e.at.stages) }
func (e *expansion) commits() bool   { return look(&e.read.commits, e.at.commits) }
func (e *expansion) over() bool      { return look(&e.read.over, e.at.over) }
func (e *expansion) asking() bool    { return look(&e.read.asking, e.at.asking) }
func (e *expansion) told() bool      { return look(&e.read.told, e.at.told) }
func (e *expansion) grants() bool    { return look(&e.read.grants, e.at.grants) }
func (e *expansion) overThere() bool { return look(&e.read.overThere, e.at.overThere) }

// past reports whether Alpha's window is over.
func (e *expansion) past() bool {
	phase := e.phase()
	return phase >= graceOver || phase != inWindow && phase > e.moved()
}

func (e *expansion) moved() uint8      { return looked(&e.read.moved, e.at.moved) }
func (e *expansion) movedThere() uint8 { return looked(&e.read.movedThere, e.at.movedThere) }

func (e *expansion) phase() uint8 { return looked(&e.read.phase, e.at.phase) }

// looked likewise notes that a number was looked at.
func looked(read *uint8, value uint8) uint8 {
	*read = 1
	return value
}

// look notes that a value was looked at.
func look(read *bool, value bool) bool {
	*read = true
	return value
}

// of returns what of at was looked at, where read says what that is.
func (at moment) of(read moment) moment {
	return moment{
		stages: at.stages && read.stages, commits: at.commits && read.commits, over: at.over && read.over,
		asking: at.asking && read.asking,
		told:   at.told && read.told, grants: at.grants && read.grants, overThere: at.overThere && read.overThere,
		moved: at.moved * read.moved, movedThere: at.movedThere * read.movedThere, phase: at.phase * read.phase,
	}
}

func (e *expansion) add(label string, to cell, fault move) {
	fault.label, fault.to, fault.catchUp = label, e.settle(to), e.catchUp
	e.catchUp = 0
	if fault.to != e.from {
		e.moves = append(e.moves, fault)
	}
}

// byThemselves are the effects that need nobody but the provider.
var byThemselves = []transfer.RowEffect{
	transfer.RowSuspendRight, transfer.RowReopenRight, transfer.RowRevokeOld, transfer.RowTakeBack, transfer.RowNoteKey,
	transfer.RowOpenRight, transfer.RowCloseRight, transfer.RowRevokeNew,
}

// hurry performs what a provider does by itself.
func (e *expansion) hurry(c *cell, sp uint8, perform func(*cell, transfer.RowEffect) error) {
	for r := c.row(sp); ; {
		p := e.pending(*r)
		own := len(p) > 0 && (slices.Contains(byThemselves, p[0]) || p[0] == transfer.RowDeleteRight && sp == sp2)
		if !own || perform(c, p[0]) != nil {
			return
		}
		e.pop(r)
	}
}

// settle notes whose data the device has by what it does now.
func (e *expansion) settle(c cell) cell {
	if e.coarse {
		e.hurry(&c, sp1, e.outgoingLocal)
		e.hurry(&c, sp2, e.incomingLocal)
	}
	c.data |= c.at
	c.held &^= c.answered &^ callClose // to say that again changes nothing
	return c
}

// rpc is one exchange of a provider with a device or its partner: it succeeds, the
// request is lost and kept by the network, the answer is lost, or the provider
// crashes before it has stored what it learnt.
func (e *expansion) rpc(sp uint8, label string, reachable bool, effect func(*cell) error, then func(*cell, error),
	hold func(*cell),
) {
	if !reachable {
		c := e.from
		then(&c, errSilent)
		e.add(label+": nobody there", c, move{})
		return
	}
	c := e.from
	err := effect(&c)
	then(&c, err)
	if e.dishonest == "network" && hold != nil {
		hold(&c) // it keeps a copy of everything
	}
	if err != nil {
		e.add(fmt.Sprintf("%s: %v", label, err), c, move{})
	} else {
		e.add(label, c, move{})
	}
	lost := e.from
	if hold != nil {
		hold(&lost)
	}
	then(&lost, errSilent)
	e.add(label+", lost and kept by the network", lost, move{loss: 1, unfair: true})
	answer := e.from
	_ = effect(&answer)
	then(&answer, errSilent)
	e.add(label+", answer lost", answer, move{loss: 1, unfair: true})
	e.local(sp, label, effect, nil)
}

// local is something that a provider does by itself: it is done and stored, or the
// provider crashes between.
func (e *expansion) local(sp uint8, label string, effect func(*cell) error, then func(*cell, error)) {
	if then != nil {
		c := e.from
		err := effect(&c)
		then(&c, err)
		e.add(label, c, move{})
	}
	c := e.from
	_ = effect(&c)
	e.forget(&c, sp)
	e.add(fmt.Sprintf("%s, and %s crashes before that is stored", label, names[sp]), c,
		move{crash: 1, who: sp, unfair: true})
}

// forget loses what a provider has in memory only.
func (m *model) forget(c *cell, sp uint8) {
	if sp == sp1 {
		c.contact1 = false
	} else {
		c.contact2 = 0
	}
}

// operate is an operation of a provider's server on the device, if the device's own
// rule table lets it.
func (e *expansion) operate(c *cell, sp uint8, op transfer.Operation, at transfer.Place, name string,
	f func(*transfer.Device) error,
) error {
	s := e.dev(c)
	if !e.permitted(s, sp, op, at) {
		return errRefused
	}
	if f == nil {
		return nil
	}
	to, err := e.x.do(c.dev, name, f)
	c.dev = to
	if err != nil {
		return errRefused
	}
	return nil
}

// permitted is the device's rule table.
func (m *model) permitted(s *deviceState, sp uint8, op transfer.Operation, at transfer.Place) bool {
	k := asked{s.status.State, s.party[sp-1], op, at}
	out, ok := m.rules[k]
	if !ok {
		out = transfer.Permitted(k.in, k.by, op, at)
		m.rules[k] = out
	}
	return out
}

type asked struct {
	in transfer.DeviceState
	by transfer.Party
	op transfer.Operation
	at transfer.Place
}

// held is an order as the network keeps it.
func (c *cell) hold(order uint8) { c.orders |= kept(order, max(c.out.message, firstShort)) }

// kept is the bit of an order about a message.
func kept(order uint8, about messageID) uint64 { return uint64(order) << (orders * (about - 1)) }

// The orders of a server to the device, by name.
func (e *expansion) order(c *cell, sp uint8, order uint8) error {
	return e.orderOf(c, sp, order, max(c.out.message, firstShort))
}

func (e *expansion) orderOf(c *cell, sp uint8, order uint8, message messageID) error {
	o := transfer.OrderOf(e.p.honest[message].epoch, e.p.honest[message].hash)
	now := e.deviceNow(e.phase())
	at := fmt.Sprint(" in phase ", e.phase(), " of ", message)
	switch order {
	case orderWrite:
		return e.send(c, sp, message)
	case orderCommit:
		return e.operate(c, sp, transfer.OpExecute, transfer.AtCommit, "Commit"+at,
			func(d *transfer.Device) error { return d.Commit(o, now) })
	case orderAbort:
		return e.operate(c, sp, transfer.OpExecute, transfer.AtAbort, "Abort"+at,
			func(d *transfer.Device) error { return d.Abort(o) })
	case orderFinalise:
		return e.operate(c, sp, transfer.OpExecute, transfer.AtFinalise, "Finalise"+at,
			func(d *transfer.Device) error { return d.Finalise(o) })
	default:
		return e.operate(c, sp, transfer.OpExecute, transfer.AtReturn, "Return"+at,
			func(d *transfer.Device) error { e.x.key = "back"; return d.Return(o) })
	}
}

var orderNames = map[uint8]string{
	orderWrite: "Write message", orderCommit: "Commit", orderAbort: "Abort", orderFinalise: "Finalise",
	orderReturn: "Return",
}

// send is the Write of a message that Alpha has signed for the device.
func (e *expansion) send(c *cell, sp uint8, message messageID) error {
	before := *e.dev(c)
	key := nextKeys[message.epoch()-1]
	err := e.operate(c, sp, transfer.OpWrite, transfer.AtMessage, fmt.Sprint("Send ", message, e.phase()),
		func(d *transfer.Device) error {
			e.x.key = key
			return d.WriteMessage(e.p.honest[message].raw, e.deviceNow(e.phase()))
		})
	ended := e.phase() > message.end()
	if before.status.State != transfer.Ready && e.dev(c).status.State == transfer.Ready && ended && !e.clockless {
		e.fault("E6: the device accepts a message after its window")
	}
	return err
}

// write is the Write of a message, the honest one or one that breaks a rule. Only the
// honest one may ever be accepted, or one that the partner will not take.
func (e *expansion) write(c *cell, sp uint8, name string) error {
	before := *e.dev(c)
	err := e.operate(c, sp, transfer.OpWrite, transfer.AtMessage, fmt.Sprint("Write ", name, e.phase()),
		func(d *transfer.Device) error {
			e.x.key = "next"
			return d.WriteMessage(e.p.messages[name], e.deviceNow(e.phase()))
		})
	after := e.dev(c).status
	if before.status.State == transfer.Ready || after.State != transfer.Ready {
		return err
	}
	switch {
	case name != "" && name[0] == 'E':
		e.fault("the device accepts a message: %s", name)
	case e.phase() > inWindow && !e.clockless:
		e.fault("E6: the device accepts a message after its window")
	}
	return err
}
