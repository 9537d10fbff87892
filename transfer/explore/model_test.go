package explore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"steward/est"
	"steward/lwm2m/machine"
	"steward/transfer"
)

// What a provider learns from a device, a CA or its partner, as the coordinator tells
// it apart.
var (
	errSilent   = errors.New("no answer")
	errRefused  = errors.New("refused")
	errDeclined = errors.New("declined")
	errWrongKey = errors.New("another key")
	errPending  = errors.New("not yet")
)

// The two providers.
const (
	sp1 = 1
	sp2 = 2
)

// A cell is all that concerns one device: its memory, its rows at both providers, the
// rights at both CAs, and what the network still holds for it.
type cell struct {
	dev      deviceID
	at       uint8 // provider with whose server it holds an association; 0: none
	asked    uint8 // provider with whose server it holds one with its factory certificate
	data     uint8 // whose data its application holds: bits 1 and 2
	out, in  row
	right    [3]right // by provider
	own      [3]uint8 // whose the device is, to either provider's fleet
	contact1 bool     // Alpha remembers a contact with the factory certificate; volatile
	contact2 keyID    // Beta remembers one, with this key; volatile
	held     uint16   // calls between providers that the network has kept: bits of calls
	answered uint16   // calls that were answered: the same again changes nothing
	orders   uint64   // orders to the device that the network has kept: bits of orders, by message
	passed   uint8    // of the gates: 1 attested, 2 updated
	env      bool     // something went wrong with it for other reasons
}

// The owners of a device in a fleet.
const (
	strange = iota
	expected
	owned
	left
)

// A row is that of one provider.
type row struct {
	state, pending                 uint8 // interned
	spki, back                     keyID
	ready, done, final, fall, fell receiptID
	message                        messageID // signed last
	told                           uint8     // what the device runs, as Alpha has told, or as Beta was told last
	refused                        bool      // so Beta has judged, and answered
	proved                         certID    // by the signed word of the other CA: it has issued that
}

// A right is a CA's. Live are the certificates that are not revoked.
type right struct {
	state  est.RightState // "" was never granted
	spki   keyID
	issued certID
	live   uint16
}

// The calls between providers, as bits.
const (
	callReady = 1 << iota
	callCommitted
	callComplete // to Alpha
	callFell     // complete, to Beta
	callClose
	callStays // withdrawal of one device, to Beta
	callKeeps // likewise, to Alpha
)

var callNames = map[uint16]string{
	callReady: "ready", callCommitted: "committed", callComplete: "complete", callFell: "complete (fell back)",
	callClose: "close", callStays: "withdraw, to Beta", callKeeps: "withdraw, to Alpha",
}

// The orders to a device, as bits.
const (
	orderWrite = 1 << iota
	orderCommit
	orderAbort
	orderFinalise
	orderReturn
	orders = iota
)

// What may have to happen between commit and enrolment, as bits.
const (
	attests = 1 << iota
	updates
)

// A setting is what one exploration looks at.
type setting struct {
	name      string
	devices   int
	losses    uint8
	crashes   uint8
	cuts      bool   // power cuts of devices at each write, counted as crashes
	gates     uint8  // before the enrolment: attests, updates
	sure      bool   // nothing fails at the gates
	withdraw  bool   // either provider's people end it
	extend    uint8  // how often Alpha's people may ask for a later end of the window
	revise    bool   // devices are updated, and Alpha's people tell Beta so
	expire    bool   // an offer may expire before it is approved
	dishonest string // "", "network", "SP1", "SP2", "thief"
	clockless bool
	coarse    bool // what a provider does by itself takes no time, and time makes one leap
	reduce    bool // states of a device that need not be told apart are one
	limit     int  // states
}

// A model is the world of a setting: tables, devices and everything that has a name.
type model struct {
	setting

	tb       testing.TB
	p        *parts
	x        *devices
	outgoing transfer.RowTable
	incoming transfer.RowTable
	batch    machine.Table[transfer.BatchState, transfer.BatchEvent, transfer.BatchEffect]
	states   []transfer.RowState
	pendings [][]transfer.RowEffect
	verified map[[2]uint8]seen // by receipt and certificate
	known    map[receiptID]*transfer.Signed[transfer.Receipt]
	compared map[[2]uint8]error            // READY receipts, by phase
	content  [3]map[transfer.RowState]bool // states that accept what they must, by provider
	rules    map[asked]bool
	memo     map[cell][]*expanded
	broke    string // what broke an invariant on the way
}

func newModel(tb testing.TB, s setting) *model {
	tb.Helper()
	p := newParts(tb, s.gates)
	return &model{
		setting: s, tb: tb, p: p, x: newDevices(tb, p), outgoing: transfer.OutgoingTable(),
		incoming: transfer.IncomingTable(), batch: transfer.BatchTable(), pendings: make([][]transfer.RowEffect, 1),
		verified: map[[2]uint8]seen{}, known: map[receiptID]*transfer.Signed[transfer.Receipt]{},
		compared: map[[2]uint8]error{}, rules: map[asked]bool{}, memo: map[cell][]*expanded{},
		content: [3]map[transfer.RowState]bool{{}, {}, {}},
	}
}

func (m *model) fault(format string, args ...any) {
	if m.broke == "" {
		m.broke = fmt.Sprintf(format, args...)
	}
}

func (m *model) stateID(s transfer.RowState) uint8 {
	if i := slices.Index(m.states, s); i >= 0 {
		return uint8(i)
	}
	m.states = append(m.states, s)
	return uint8(len(m.states) - 1)
}

func (m *model) pendingID(p []transfer.RowEffect) uint8 {
	if len(p) == 0 {
		return 0
	}
	i := slices.IndexFunc(m.pendings, func(o []transfer.RowEffect) bool { return slices.Equal(o, p) })
	if i >= 0 {
		return uint8(i)
	}
	m.pendings = append(m.pendings, p)
	return uint8(len(m.pendings) - 1)
}

func (m *model) state(r row) transfer.RowState      { return m.states[r.state] }
func (m *model) pending(r row) []transfer.RowEffect { return m.pendings[r.pending] }

// row returns the row of a provider.
func (c *cell) row(sp uint8) *row {
	if sp == sp1 {
		return &c.out
	}
	return &c.in
}

func (m *model) table(sp uint8) transfer.RowTable {
	if sp == sp1 {
		return m.outgoing
	}
	return m.incoming
}

func (m *model) accepts(c *cell, sp uint8, on transfer.RowEvent) bool {
	_, err := m.table(sp).Step(m.state(*c.row(sp)), on)
	return err == nil
}

// fire moves a row by what its provider has learnt. An event without a row of the
// table would be tried for ever: that is a defect of the table.
func (m *model) fire(c *cell, sp uint8, events ...transfer.RowEvent) bool {
	for _, on := range events {
		r := c.row(sp)
		p, err := transfer.Progress{State: m.state(*r), Pending: m.pending(*r)}.Step(m.table(sp), sp == sp2, on)
		if err != nil {
			m.fault("%s cannot learn %q in %s", names[sp], on, m.state(*r))
			return false
		}
		pending := slices.DeleteFunc(slices.Clone(p.Pending), func(do transfer.RowEffect) bool {
			return do == transfer.RowAlert // is said at once
		})
		r.state, r.pending = m.stateID(p.State), m.pendingID(pending)
	}
	return true
}

var names = []string{"nobody", "Alpha", "Beta"}

// pop says that the first pending effect was performed.
func (m *model) pop(r *row) {
	if p := m.pending(*r); len(p) > 0 {
		r.pending = m.pendingID(p[1:])
	}
}

func in[T comparable](v T, list ...T) bool { return slices.Contains(list, v) }

// reached reports whether a row is past COMMITTED; committed adds UNKNOWN.
func reached(s transfer.RowState) bool {
	return in(s, transfer.RowCommitted, transfer.RowAttested, transfer.RowUpdated, transfer.RowEnrolled,
		transfer.RowActive, transfer.RowOrphanRisk, transfer.RowFailedUpd, transfer.RowRAFailed,
		transfer.RowEnrolFailed, transfer.RowReturned, transfer.RowFinalised, transfer.RowRevokedOld,
		transfer.RowFellBack)
}

func ended(s transfer.RowState) bool { return in(s, transfer.RowFinalStates()...) }

// stepRight moves the right of a CA by its table; k is the key of the event.
func (m *model) stepRight(c *cell, ca uint8, on est.RightEvent, k keyID) error {
	r := c.right[ca]
	if r.state == "" { // GrantRight makes it
		if on != est.EventGrant {
			return est.ErrUnknown
		}
		c.right[ca].state = est.RightClosed
		return nil
	}
	to, err := est.RightTable.Step(r.state, on)
	if err != nil {
		return err
	}
	r.state = to.To
	for _, do := range to.Do {
		switch do {
		case est.EffectForget:
			r.spki = 0
		case est.EffectBind:
			if k != 0 && r.spki != 0 && r.spki != k {
				return errWrongKey
			}
			if k != 0 {
				r.spki = k
			}
		case est.EffectRaise:
			r.issued = 0
		case est.EffectIssue:
			r.spki, r.issued = k, m.x.issue(ca, k)
			r.live |= 1 << r.issued
		case est.EffectSupersede:
			r.live = 1 << r.issued
		case est.EffectRevoke:
			r.live = 0
		case est.EffectReplace:
		default:
		}
	}
	c.right[ca] = r
	if cert := m.dev(c).cert; c.at == ca && r.live&(1<<cert) == 0 { // revocation ends associations
		m.hangUp(c)
	}
	return nil
}

// admits says whether a right lets a key enrol now.
func (m *model) admits(c *cell, ca uint8, k keyID, phase uint8) error {
	r := c.right[ca]
	if _, err := est.RightTable.Step(r.state, est.EventEnrol); err != nil {
		if in(r.state, est.RightClosed, est.RightSuspended) {
			return errPending
		}
		return errRefused
	}
	if r.spki != 0 && r.spki != k {
		return errWrongKey
	}
	if ca == sp2 && m.contractOver(phase) && r.state == est.RightOpen {
		return errRefused
	}
	return nil
}

// The phases of time.
const (
	inWindow     = iota
	windowOver   // as it was offered
	extendedOver // as it was extended to once
	graceOver    // the incoming provider gives up devices that have not committed
	contractOver // the right at CA2 has ended by contract
	phases
)

var phaseNames = []string{"window", "window over", "window over as extended", "grace over", "contract over"}

// following is the phase after one.
func (s *setting) following(phase uint8) uint8 {
	switch {
	case phase < s.extend, phase >= graceOver:
		return phase + 1
	case s.coarse:
		return contractOver
	case phase == inWindow:
		return windowOver
	default: // nobody has extended it that often
		return graceOver
	}
}

func (m *model) contractOver(phase uint8) bool { return phase >= contractOver }

// now is the time of a phase at the providers, and at a device that has a clock.
func (m *model) now(phase uint8) time.Time {
	return []time.Time{
		noon, m.p.latest[0].Add(time.Minute + transfer.ClockSkew), m.p.latest[1].Add(time.Minute + transfer.ClockSkew),
		m.p.latest[2].Add(grace + time.Hour), m.p.latest[0].Add(3 * grace),
	}[phase]
}

func (m *model) deviceNow(phase uint8) time.Time {
	if m.clockless {
		return time.Time{}
	}
	return m.now(phase)
}

func (m *model) dev(c *cell) *deviceState { return &m.x.all[c.dev] }

// hangUp ends the device's associations, and with them what the network holds.
func (m *model) hangUp(c *cell) {
	c.at, c.asked = 0, 0
	if m.dishonest != "network" {
		c.orders = 0
	}
}
