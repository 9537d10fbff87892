package transfer

import "steward/lwm2m/machine"

// A RowState is the state of one device in a transfer at one of the providers
// (§8). Both use the same names.
type RowState string

// The states of a row. The incoming provider never uses DELIVERED, which it
// cannot see.
const (
	RowListed      RowState = "LISTED"
	RowRejected    RowState = "REJECTED"
	RowStaged      RowState = "STAGED" // outgoing: anchors read back; incoming: closed right granted
	RowDelivered   RowState = "DELIVERED"
	RowReady       RowState = "READY"
	RowCommitted   RowState = "COMMITTED"
	RowAttested    RowState = "ATTESTED"
	RowUpdated     RowState = "UPDATED"
	RowEnrolled    RowState = "ENROLLED"
	RowActive      RowState = "ACTIVE" // registered at the incoming provider
	RowFinalised   RowState = "FINALISED"
	RowRevokedOld  RowState = "REVOKED_OLD"
	RowAborted     RowState = "ABORTED"
	RowExpired     RowState = "EXPIRED"
	RowFailedUpd   RowState = "FAILED_UPDATE"
	RowRAFailed    RowState = "RA_FAILED"
	RowEnrolFailed RowState = "ENROL_FAILED"
	RowUnknown     RowState = "UNKNOWN"  // the answer to Commit was lost
	RowReturned    RowState = "RETURNED" // on the way back
	RowFellBack    RowState = "FELL_BACK"
	RowOrphanRisk  RowState = "ORPHAN_RISK" // silent for too long after COMMITTED
)

// A RowEvent is what a provider learns about a device.
type RowEvent string

// The events of rows. Evidence means a receipt, a signed status of CA2, or a
// fresh read from the device: nothing else moves a row out of UNKNOWN.
const (
	RowReject        RowEvent = "reject"          // not accepted in the answer
	RowStage         RowEvent = "staged"          // RowStaged reached
	RowDeliver       RowEvent = "delivered"       // the device answered 2.04 to the message
	RowReadyReceipt  RowEvent = "ready receipt"   // verified and, at the incoming side, compared
	RowReadReady     RowEvent = "read ready"      // a fresh read says READY
	RowRenew         RowEvent = "message dropped" // the device has; it is to get one for a later window
	RowCommit        RowEvent = "committed"       // answer 2.04, receipt, or the partner's word
	RowCommitLost    RowEvent = "commit lost"     // no answer
	RowContact       RowEvent = "contact"         // the device asked CA2 with the key of its receipt
	RowPass          RowEvent = "gates passed"    // attestation and update, as far as demanded
	RowAttest        RowEvent = "attested"        // verdict affirming
	RowVerdict       RowEvent = "contraindicated" // verdict against the device
	RowUpdate        RowEvent = "updated"
	RowUpdateFail    RowEvent = "update failed"
	RowEnrol         RowEvent = "enrolled"         // CA2 issued
	RowEnrolFail     RowEvent = "enrolment failed" // refused for good
	RowActivate      RowEvent = "registered"       // at the incoming provider; DONE receipt verified
	RowFinal         RowEvent = "finalised"        // FINALISED receipt verified
	RowRevoke        RowEvent = "old revoked"      // CA1 has revoked, or told so
	RowAbort         RowEvent = "abort"            // by either side, before COMMITTED
	RowExpire        RowEvent = "expire"           // the window passed before COMMITTED
	RowWithdraw      RowEvent = "withdraw"         // by the incoming side after COMMITTED, or Return
	RowFallback      RowEvent = "fallback"         // FALLBACK receipt and CA2's signed closed status
	RowFellBackEvent RowEvent = "fell back"        // FELL_BACK receipt verified
	RowSilent        RowEvent = "silent"           // grace is over and nothing was heard
)

// A RowEffect is what a transition of a row makes the provider do.
type RowEffect string

// The effects of rows. All are idempotent.
const (
	RowWriteMessage  RowEffect = "write message"  // after the anchors were read back
	RowReadReceipt   RowEffect = "read receipt"   // observe state, read resource Receipt
	RowPostReady     RowEffect = "post ready"     // to the incoming provider
	RowSuspendRight  RowEffect = "suspend right"  // at CA1
	RowReopenRight   RowEffect = "reopen right"   // at CA1, for the key of the FALLBACK receipt
	RowTellCommitted RowEffect = "tell committed" // the incoming provider
	RowReadState     RowEffect = "read state"     // from the device, as soon as it is reachable
	RowExecuteAbort  RowEffect = "execute abort"
	RowUnstage       RowEffect = "unstage"        // verify that the pending anchors are gone
	RowRevokeOld     RowEffect = "revoke old"     // at CA1: cessationOfOperation, and end sessions
	RowDeleteRight   RowEffect = "delete right"   // at CA1 by the outgoing, at CA2 by the incoming side
	RowTellFellBack  RowEffect = "tell fell back" // the incoming provider, with the receipt
	RowTakeBack      RowEffect = "take back"      // the device is ours again
	RowAlert         RowEffect = "alert"          // on the dashboard
	RowNoteKey       RowEffect = "note key"       // the closed right at CA2 is bound to the SPKI
	RowOpenRight     RowEffect = "open right"     // at CA2, for that SPKI
	RowCloseRight    RowEffect = "close right"    // at CA2, with a signed status to the outgoing provider
	RowDoFinalise    RowEffect = "execute finalise"
	RowDoReturn      RowEffect = "execute return"
	RowPostComplete  RowEffect = "post completion" // receipts DONE and FINALISED to the outgoing provider
	RowRevokeNew     RowEffect = "revoke new"      // at CA2: the certificate for K_next
	RowTellClosed    RowEffect = "tell closed"     // the partner, of abort or expiry
)

// RowTable is the type of both tables.
type RowTable = machine.Table[RowState, RowEvent, RowEffect]

// afterCommit are the states in which only evidence tells where the device is.
var afterCommit = []RowState{RowCommitted, RowAttested, RowUpdated, RowEnrolled, RowActive, RowOrphanRisk}

// failed are the side exits that lead back to the outgoing provider.
var failed = []RowState{RowFailedUpd, RowRAFailed, RowEnrolFailed, RowReturned}

// OutgoingTable is the machine of a row at the provider that lets go. It starts
// in LISTED. The device is let go by a FINALISED receipt or taken back by a
// FELL_BACK receipt, never by time (§1, rule 7).
func OutgoingTable() RowTable {
	t := RowTable{
		row(RowListed, RowReject, RowRejected),
		row(RowListed, RowStage, RowStaged, RowWriteMessage),
		row(RowListed, RowUpdateFail, RowFailedUpd, RowTellClosed, RowAlert), // the last update: it stays
		row(RowStaged, RowUpdateFail, RowFailedUpd, RowUnstage, RowTellClosed, RowAlert),
		row(RowStaged, RowDeliver, RowDelivered, RowReadReceipt),
		row(RowStaged, RowReadyReceipt, RowReady, RowPostReady), // the answer to the Write was lost
		row(RowDelivered, RowReadyReceipt, RowReady, RowPostReady),
		row(RowReady, RowReadyReceipt, RowReady, RowPostReady),
		row(RowReady, RowRenew, RowListed), // the pending anchors went with the message
		row(RowReady, RowCommit, RowCommitted, RowSuspendRight, RowTellCommitted),
		row(RowReady, RowCommitLost, RowUnknown, RowSuspendRight, RowReadState),
		row(RowUnknown, RowCommitLost, RowUnknown, RowReadState),
		row(RowUnknown, RowReadReady, RowReady),
		row(RowUnknown, RowCommit, RowCommitted, RowSuspendRight, RowTellCommitted),
		row(RowUnknown, RowFellBackEvent, RowFellBack, RowTakeBack, RowTellFellBack),
		row(RowUnknown, RowSilent, RowUnknown, RowAlert),
		row(RowFinalised, RowRevoke, RowRevokedOld),
		// A run that ended at one provider may tell of it more than once.
		row(RowFinalised, RowFinal, RowFinalised, RowRevokeOld, RowDeleteRight),
	}
	t = append(t, beforeCommit(RowListed, RowTellClosed)...)
	for _, s := range []RowState{RowStaged, RowDelivered, RowReady} {
		t = append(t, beforeCommit(s, RowExecuteAbort, RowUnstage, RowTellClosed)...)
	}
	// A Commit that the network held back came after all, before Abort did: the device
	// shows its FALLBACK receipt.
	for _, s := range []RowState{RowAborted, RowExpired} {
		t = append(t, row(s, RowCommit, RowCommitted, RowSuspendRight))
	}
	for _, s := range afterCommit {
		t = append(t, progress(s)...)
		t = append(t,
			row(s, RowFinal, RowFinalised, RowRevokeOld, RowDeleteRight),
			row(s, RowUpdateFail, RowFailedUpd, RowAlert),
			row(s, RowVerdict, RowRAFailed, RowAlert),
			row(s, RowEnrolFail, RowEnrolFailed, RowAlert),
			row(s, RowSilent, RowOrphanRisk, RowAlert),
			row(s, RowFallback, RowReturned, RowReopenRight),
			row(s, RowWithdraw, s, RowAlert), // its receipt will say that it is on its way back
			row(s, RowFellBackEvent, RowFellBack, RowTakeBack, RowTellFellBack))
	}
	for _, s := range failed {
		t = append(t,
			row(s, RowFallback, RowReturned, RowReopenRight),
			row(s, RowFellBackEvent, RowFellBack, RowTakeBack, RowTellFellBack))
	}
	// The way back raced with the device's way through: what the receipt says counts.
	return append(t,
		row(RowReturned, RowFinal, RowFinalised, RowRevokeOld, RowDeleteRight),
		row(RowReturned, RowSilent, RowReturned, RowAlert))
}

// IncomingTable is the machine of a row at the provider that takes over. It
// starts in LISTED. READY presupposes that the receipt agrees with the offer
// (CompareReady); only after that can the right open.
func IncomingTable() RowTable {
	t := RowTable{
		row(RowListed, RowReject, RowRejected),
		row(RowListed, RowStage, RowStaged),
		row(RowListed, RowUpdateFail, RowFailedUpd),
		row(RowStaged, RowUpdateFail, RowFailedUpd, RowDeleteRight),
		row(RowStaged, RowReadyReceipt, RowReady, RowNoteKey),
		row(RowReady, RowReadyReceipt, RowReady, RowNoteKey),
		row(RowReady, RowCommit, RowCommitted),
		row(RowReady, RowContact, RowCommitted),
		row(RowFinalised, RowRevoke, RowRevokedOld),
		row(RowFinalised, RowFinal, RowFinalised, RowPostComplete),
	}
	t = append(t, beforeCommit(RowListed)...)
	t = append(t, beforeCommit(RowStaged, RowCloseRight, RowTellClosed)...)
	t = append(t, beforeCommit(RowReady, RowCloseRight, RowTellClosed)...)
	for _, s := range afterCommit {
		t = append(t, progress(s)...)
		t = append(t,
			row(s, RowCommit, s), // told again, or after contact
			row(s, RowContact, s),
			row(s, RowPass, s, RowOpenRight),
			row(s, RowFinal, RowFinalised, RowPostComplete),
			row(s, RowUpdateFail, RowFailedUpd, RowCloseRight, RowAlert),
			row(s, RowVerdict, RowRAFailed, RowCloseRight, RowAlert),
			row(s, RowEnrolFail, RowEnrolFailed, RowCloseRight, RowAlert),
			row(s, RowSilent, RowOrphanRisk, RowAlert),
			row(s, RowWithdraw, RowReturned, RowDoReturn, RowRevokeNew, RowCloseRight),
			row(s, RowFallback, RowReturned, RowRevokeNew, RowCloseRight),
			row(s, RowFellBackEvent, RowFellBack, RowRevokeNew, RowDeleteRight))
	}
	for _, s := range failed {
		t = append(t,
			row(s, RowFallback, RowReturned, RowRevokeNew, RowCloseRight),
			row(s, RowFellBackEvent, RowFellBack, RowRevokeNew, RowDeleteRight))
	}
	return t
}

// progress are the rows by which a committed device moves forward, each state
// reachable from any before it: news may be lost on the way.
func progress(s RowState) RowTable {
	order := []RowState{RowCommitted, RowAttested, RowUpdated, RowEnrolled, RowActive}
	on := []RowEvent{"", RowAttest, RowUpdate, RowEnrol, RowActivate}
	at := 0
	for i, o := range order {
		if o == s {
			at = i
		}
	}
	var t RowTable
	for i := 1; i < len(order); i++ {
		to, do := order[i], []RowEffect(nil)
		if i <= at {
			to = s // old news
		}
		if order[i] == RowActive {
			do = []RowEffect{RowDoFinalise}
		}
		t = append(t, row(s, on[i], to, do...))
	}
	return t
}

// beforeCommit are the rows by which a device that has not committed stays.
func beforeCommit(s RowState, do ...RowEffect) RowTable {
	return RowTable{row(s, RowAbort, RowAborted, do...), row(s, RowExpire, RowExpired, do...)}
}

func row(from RowState, on RowEvent, to RowState, do ...RowEffect) (r machine.Row[RowState, RowEvent, RowEffect]) {
	r.From, r.On, r.To, r.Do = from, on, to, do
	return r
}

// RowFinalStates are the states that a row does not leave. FAILED_UPDATE is one, too, for a
// device that never committed: its last update before it was to leave failed.
func RowFinalStates() []RowState {
	return []RowState{RowRejected, RowRevokedOld, RowAborted, RowExpired, RowFellBack}
}
