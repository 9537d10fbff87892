package explore_test

import (
	"slices"
	"strings"

	"steward/transfer"
)

// A batch is the transfer as a whole at one provider. An empty state means that the
// provider does not know of it.
type batch struct {
	state   transfer.BatchState
	pending string // effects still to be performed, see packed
	paused  bool
	asked   uint8 // for which later end of the window; 0: for none
	moved   uint8 // at which end it ends
	revised uint8 // how often the information was
	failed  uint8 // devices that had failed when somebody resumed
}

// The effects that a batch keeps pending, packed as letters.
var packed = map[transfer.BatchEffect]byte{
	transfer.BatchPostInfo: 'i', transfer.BatchAuthorize: 'a', transfer.BatchPostOffer: 'o', transfer.BatchTell: 't',
	transfer.BatchAbortRows: 'r', transfer.BatchExpireRows: 'e', transfer.BatchPostAsk: 'k', transfer.BatchPostExtend: 'x',
}

// performs reports whether an effect is that provider's to perform later.
func performs(sp uint8, s transfer.BatchState, do transfer.BatchEffect) bool {
	switch do {
	case transfer.BatchPostInfo, transfer.BatchPostAsk:
		return sp == sp1
	case transfer.BatchAuthorize, transfer.BatchPostOffer, transfer.BatchPostExtend:
		return sp == sp2
	case transfer.BatchTell:
		return in(s, transfer.BatchCancelled, transfer.BatchExpired) || s == transfer.BatchApproved && sp == sp1
	default:
		return in(do, transfer.BatchAbortRows, transfer.BatchExpireRows)
	}
}

// turn moves a batch by an event. One that the state must accept and does not is a
// defect of the table.
func (m *model) turn(b batch, sp uint8, on transfer.BatchEvent) batch {
	to, err := m.batch.Step(b.state, on)
	if err != nil {
		m.fault("%s's transfer cannot learn %q in %s", names[sp], on, b.state)
		return b
	}
	if to.To != b.state {
		keep := ""
		if _, err := m.batch.Step(to.To, transfer.BatchExtend); err == nil {
			keep = "kx"
		}
		b.pending = strings.Map(func(r rune) rune {
			if strings.ContainsRune(keep, r) {
				return r
			}
			return -1
		}, b.pending)
	}
	b.state = to.To
	for _, do := range to.Do {
		if letter := packed[do]; performs(sp, b.state, do) && !slices.Contains([]byte(b.pending), letter) {
			b.pending += string(letter)
		}
	}
	return b
}

func (m *model) takes(b batch, on transfer.BatchEvent) bool {
	_, err := m.batch.Step(b.state, on)
	return err == nil
}

// A tally is how many devices are how far.
type tally struct{ rows, waiting, ready, left, ended, revoked, failed int }

func (m *model) tally(cells []cell, sp uint8) (n tally) {
	for i := range cells {
		s := m.state(*cells[i].row(sp))
		n.rows++
		committed := reached(s) || s == transfer.RowUnknown
		switch {
		case committed:
			n.left++
		case s == transfer.RowReady:
			n.ready++
		case !ended(s):
			n.waiting++
		}
		if ended(s) {
			n.ended++
		}
		if s == transfer.RowRevokedOld {
			n.revoked++
		}
		if in(s, transfer.RowFailedUpd, transfer.RowRAFailed, transfer.RowEnrolFailed, transfer.RowReturned,
			transfer.RowFellBack, transfer.RowOrphanRisk, transfer.RowRejected, transfer.RowAborted, transfer.RowExpired) {
			n.failed++
		}
	}
	return n
}

// past reports whether the window is over, as far as that provider goes by it.
func (b batch) past(sp, phase uint8) bool { return phase >= graceOver || sp == sp1 && phase > b.moved }

// late reports whether what the partner was to be told is of no use any more.
func (b batch) late(sp, phase uint8) bool {
	return b.past(sp, phase) && in(b.state, transfer.BatchInfoSent, transfer.BatchOffered, transfer.BatchApproved,
		transfer.BatchStaging)
}

// withoutTell is a batch that need not tell what its partner knows.
func withoutTell(b batch) batch {
	b.pending = strings.ReplaceAll(b.pending, "t", "")
	return b
}

// advance moves a batch by what its rows and the time say.
func (m *model) advance(b batch, sp uint8, cells []cell, phase uint8) batch {
	n := m.tally(cells, sp)
	past := b.past(sp, phase)
	open := n.waiting + n.ready
	switch b.state {
	case transfer.BatchApproved:
		if sp == sp1 {
			return m.turn(b, sp, transfer.BatchStage)
		}
	case transfer.BatchStaging:
		switch {
		case past:
			return m.turn(b, sp, transfer.BatchWindow)
		case sp == sp2 && n.left == 0:
			return b
		case sp == sp2, n.waiting == 0, n.ready > 0: // the wait for the others is over
			return m.turn(b, sp, transfer.BatchArm)
		}
		return b
	case transfer.BatchArmed:
		return m.turn(b, sp, transfer.BatchSwitch)
	case transfer.BatchSwitching, transfer.BatchPartial:
		switch {
		case n.revoked == n.rows:
			return m.turn(b, sp, transfer.BatchFinish)
		case b.state == transfer.BatchPartial:
			return b
		case past && open > 0:
			return m.turn(b, sp, transfer.BatchWindow)
		case n.ended == n.rows, open == 0 && phase >= contractOver:
			return m.turn(b, sp, transfer.BatchLeave)
		case sp == sp1 && !b.paused && open > 0 && (n.failed-int(b.failed))*100 > 5*n.rows:
			b = m.turn(b, sp, transfer.BatchPause)
			b.paused = true
		}
		return b
	default:
	}
	if past && !in(b.state, transfer.BatchFinal()...) {
		return m.turn(b, sp, transfer.BatchWindow)
	}
	return b
}

// showsBeta moves Beta's batch on by what a call of Alpha shows.
func (m *model) showsBeta(b batch, shown uint8) batch {
	var events []transfer.BatchEvent
	switch shown {
	case showsReady:
		events = []transfer.BatchEvent{transfer.BatchApprove, transfer.BatchStage}
	case showsCommitted:
		events = []transfer.BatchEvent{
			transfer.BatchApprove, transfer.BatchStage, transfer.BatchArm, transfer.BatchSwitch,
		}
	}
	for _, on := range events {
		if m.takes(b, on) {
			b = m.turn(b, sp2, on)
		}
	}
	return b
}

// endRows ends every row that has not committed.
func (m *model) endRows(cells []cell, sp uint8, on transfer.RowEvent) {
	for i := range cells {
		if m.accepts(&cells[i], sp, on) {
			m.fire(&cells[i], sp, on)
		}
	}
}
