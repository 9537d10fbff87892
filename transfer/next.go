package transfer

import "maps"

// A next says what comes after a state, for people at either provider: by itself, or by
// whom.
type next struct{ outgoing, incoming string }

func (n next) at(incoming bool) string {
	if incoming {
		return n.incoming
	}
	return n.outgoing
}

// both is a next that is the same at both providers.
func both(text string) next { return next{text, text} }

// Next says in words what happens after the state without anybody's doing, or who must
// act, at the incoming or the outgoing provider; "" for an unknown state.
func (s BatchState) Next(incoming bool) string { return batchNext()[s].at(incoming) }

func batchNext() map[BatchState]next {
	return map[BatchState]next{
		BatchDraft:    both("Nothing by itself: a person submits it, or it expires at the end of the window."),
		BatchInfoSent: {"The partner is asked until it answers, or the window ends.", "The answer is on its way."},
		BatchInfoAccepted: {
			"The partner's administrator decides; its offer is taken when it comes.",
			"Nothing by itself: an administrator here approves or rejects it, before the window ends.",
		},
		BatchOffered: {
			"Nothing by itself: an administrator here approves the offer, before it or the window ends.",
			"The partner's administrator decides; devices come when they do.",
		},
		BatchApproved: {"Devices are given what they need to move.", "The partner gives devices what they need to move."},
		BatchStaging: {
			"Each device is given the new anchors and its message when it can be reached; the others wait for it.",
			"Receipts are compared as the partner sends them.",
		},
		BatchArmed: {"Commits begin when the window does.", "Devices come when the window begins."},
		BatchSwitching: {
			"Devices are told to move in waves of 1, 10 and 100 %; too many failures pause it.",
			"Devices that were told to move enrol and register here; who cannot within its grace goes back.",
		},
		BatchPartial: {
			"Devices that are still out are let go, or taken back, whenever their receipt comes.",
			"Devices that are still out are admitted whenever they come.",
		},
		BatchComplete:  both("Nothing: it is over."),
		BatchCancelled: both("Devices drop what they were given; nothing else happens."),
		BatchExpired:   both("Devices drop what they were given; nothing else happens."),
	}
}

// Next says in words what happens to a device after the state without anybody's doing,
// or who must act; "" for an unknown state.
func (s RowState) Next(incoming bool) string { return rowNext()[s].at(incoming) }

func rowNext() map[RowState]next {
	out := rowNextBefore()
	maps.Copy(out, map[RowState]next{
		RowCommitted: {
			"It wipes itself and enrols at the partner, or comes back after its grace. Its receipt ends this.",
			"It wipes itself, then enrols here by the key of its receipt, or goes back after its grace.",
		},
		RowAttested: both("Its right to enrol opens, after an update if one was agreed; then it enrols."),
		RowUpdated:  both("Its right to enrol opens; then it enrols."),
		RowEnrolled: {
			"It registers at the partner, or comes back after its grace.",
			"It registers here, or goes back after its grace; then its certificate is revoked.",
		},
		RowActive: {
			"The partner finalises it; its FINALISED receipt lets it go.",
			"It is told to finalise until it has; its receipt goes to the partner.",
		},
		RowFinalised: {
			"Its certificates are revoked and its right here is deleted, until that is done.",
			"The partner is sent the receipts until it has revoked what the device had there.",
		},
		RowRevokedOld: both("Nothing: it belongs to the new provider, and its old credentials open nothing."),
		RowUnknown: {
			"It is asked for its state whenever it can be reached; the order or a way back follows from what it says.",
			"The partner asks it for its state.",
		},
		RowOrphanRisk: {
			"Both doors stay open as agreed: whenever it wakes it enrols there or comes back. Look at its power and link.",
			"Its door here stays as it is: whenever it wakes it enrols or goes back. Look at its power and link.",
		},
		RowFailedUpd: backNext("Its update failed"), RowRAFailed: backNext("Its attestation failed"),
		RowEnrolFailed: backNext("It could not enrol"), RowReturned: backNext("It was sent back"),
		RowFellBack: {
			"It is ours again, by a new certificate; the partner is told until it has closed its door.",
			"Nothing: it is the outgoing provider's again, and nothing of ours opens anything for it.",
		},
	})
	return out
}

// rowNextBefore is that of states before a device has left.
func rowNextBefore() map[RowState]next {
	return map[RowState]next{
		RowListed: {
			"It is given the new anchors after both sides have approved.", "It gets a closed right after the approval.",
		},
		RowRejected: both("Nothing: the incoming provider does not take it, and it stays where it is."),
		RowStaged: {
			"It is given its message when it can be reached.", "The partner gives it its message; its receipt follows.",
		},
		RowDelivered: both("Its READY receipt is read when it can be reached."),
		RowReady: {
			"It is told to move when its wave begins, inside the window; else it stays.",
			"The partner tells it to move; its right here opens only then, for this key.",
		},
		RowAborted: both("It drops what it was given when it is reached, and stays where it is."),
		RowExpired: both("It drops what it was given, and stays where it is; a new transfer can take it."),
	}
}

func backNext(why string) next {
	return next{
		why + ": it comes back by itself, and its right here opens when the partner has signed that its own is closed.",
		why + ": its right here is closed for good, and it goes back to the outgoing provider by itself.",
	}
}
