package explore_test

import (
	"fmt"
	"slices"

	"steward/transfer"
)

// A demand is what the specification (§7, §8) lets happen in each of some states,
// although it is rare, or nobody here makes it happen yet.
type demand struct {
	in []transfer.RowState
	on []transfer.RowEvent
}

var (
	wayThrough = []transfer.RowState{
		transfer.RowCommitted, transfer.RowAttested, transfer.RowUpdated, transfer.RowEnrolled, transfer.RowActive,
		transfer.RowOrphanRisk,
	}
	sideExits = []transfer.RowState{
		transfer.RowFailedUpd, transfer.RowRAFailed, transfer.RowEnrolFailed, transfer.RowReturned,
	}
	// atBoth are demands on either table. News comes late, or twice; what a receipt says
	// counts wherever the row is.
	atBoth = []demand{
		{wayThrough, []transfer.RowEvent{
			transfer.RowAttest, transfer.RowUpdate, transfer.RowEnrol, transfer.RowActivate, transfer.RowVerdict,
			transfer.RowUpdateFail, transfer.RowEnrolFail, transfer.RowWithdraw, transfer.RowSilent, transfer.RowFinal,
			transfer.RowFallback, transfer.RowFellBackEvent,
		}},
		{sideExits, []transfer.RowEvent{transfer.RowFallback, transfer.RowFellBackEvent}},
		{[]transfer.RowState{transfer.RowListed, transfer.RowStaged, transfer.RowReady}, []transfer.RowEvent{
			transfer.RowAbort, transfer.RowExpire,
		}},
		{[]transfer.RowState{transfer.RowListed}, []transfer.RowEvent{
			transfer.RowReject, transfer.RowStage, transfer.RowUpdateFail,
		}},
		{[]transfer.RowState{transfer.RowStaged}, []transfer.RowEvent{transfer.RowUpdateFail, transfer.RowReadyReceipt}},
		{[]transfer.RowState{transfer.RowReady}, []transfer.RowEvent{transfer.RowReadyReceipt, transfer.RowCommit}},
		{[]transfer.RowState{transfer.RowFinalised}, []transfer.RowEvent{transfer.RowFinal, transfer.RowRevoke}},
	}
	atAlpha = []demand{
		{[]transfer.RowState{transfer.RowReturned}, []transfer.RowEvent{transfer.RowFinal, transfer.RowSilent}},
		{[]transfer.RowState{transfer.RowUnknown}, []transfer.RowEvent{
			transfer.RowCommitLost, transfer.RowReadReady, transfer.RowCommit, transfer.RowFellBackEvent, transfer.RowSilent,
		}},
		{[]transfer.RowState{transfer.RowReady}, []transfer.RowEvent{transfer.RowRenew}},
		{[]transfer.RowState{transfer.RowDelivered}, []transfer.RowEvent{
			transfer.RowReadyReceipt, transfer.RowAbort, transfer.RowExpire,
		}},
	}
	atBeta  = []demand{{wayThrough, []transfer.RowEvent{transfer.RowCommit, transfer.RowContact, transfer.RowPass}}}
	offered = []transfer.BatchState{
		transfer.BatchOffered, transfer.BatchApproved, transfer.BatchStaging, transfer.BatchArmed, transfer.BatchSwitching,
	}
	// ofBatch are demands on a transfer: who may end it, and until when; a revision or
	// another offer while that can be; a window that moves.
	ofBatch = map[transfer.BatchEvent][]transfer.BatchState{
		transfer.BatchCancel: beforeSwitching,
		transfer.BatchWindow: append(slices.Clone(beforeSwitching), transfer.BatchSwitching),
		transfer.BatchAsk:    offered,
		transfer.BatchExtend: offered,
		transfer.BatchRevise: {
			transfer.BatchInfoSent, transfer.BatchInfoAccepted, transfer.BatchOffered, transfer.BatchApproved,
			transfer.BatchStaging,
		},
		transfer.BatchAnswer:    {transfer.BatchInfoSent, transfer.BatchStaging},
		transfer.BatchRefuse:    {transfer.BatchInfoSent},
		transfer.BatchOfferOver: {transfer.BatchOffered},
		transfer.BatchPause:     {transfer.BatchSwitching},
		transfer.BatchResume:    {transfer.BatchSwitching},
		transfer.BatchFinish:    {transfer.BatchSwitching, transfer.BatchPartial},
		transfer.BatchLeave:     {transfer.BatchSwitching},
	}
)

// refuses says what a row must accept and does not, or "".
func (m *model) refuses(c *cell) string {
	for sp, demands := range [][]demand{sp1: slices.Concat(atBoth, atAlpha), sp2: slices.Concat(atBoth, atBeta)} {
		if sp == 0 {
			continue
		}
		s := m.state(*c.row(uint8(sp)))
		if m.content[sp][s] {
			continue
		}
		for _, d := range demands {
			for _, on := range d.on {
				if slices.Contains(d.in, s) && !m.accepts(c, uint8(sp), on) {
					return fmt.Sprintf("%s must be able to learn %q in %s", names[sp], on, s)
				}
			}
		}
		m.content[sp][s] = true
	}
	return ""
}

// refusesBatch likewise for a transfer.
func (m *model) refusesBatch(b batch) string {
	for on, states := range ofBatch {
		if slices.Contains(states, b.state) && !m.takes(b, on) {
			return fmt.Sprintf("a transfer must accept %q in %s", on, b.state)
		}
	}
	return ""
}
