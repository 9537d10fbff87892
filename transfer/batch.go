package transfer

import "steward/lwm2m/machine"

// A BatchState is the state of a transfer, the same at both providers (§8).
type BatchState string

// The states of a transfer.
const (
	BatchDraft        BatchState = "DRAFT"
	BatchInfoSent     BatchState = "INFO_SENT"
	BatchInfoAccepted BatchState = "INFO_ACCEPTED"
	BatchOffered      BatchState = "OFFERED"
	BatchApproved     BatchState = "APPROVED"
	BatchStaging      BatchState = "STAGING"
	BatchArmed        BatchState = "ARMED"
	BatchSwitching    BatchState = "SWITCHING"
	BatchComplete     BatchState = "COMPLETE"
	BatchPartial      BatchState = "PARTIAL" // lists open rows and keeps admitting them
	BatchCancelled    BatchState = "CANCELLED"
	BatchExpired      BatchState = "EXPIRED"
)

// A BatchEvent is what can happen to a transfer.
type BatchEvent string

// The events of a transfer.
const (
	BatchSend      BatchEvent = "send"          // the outgoing provider posts the info
	BatchAnswer    BatchEvent = "answer"        // the incoming one accepts at least one device
	BatchRefuse    BatchEvent = "refuse"        // it accepts none
	BatchRevise    BatchEvent = "revise"        // the info no longer holds: a new one is posted
	BatchOffer     BatchEvent = "offer"         // approved and signed by the incoming provider
	BatchOfferOver BatchEvent = "offer expired" // or withdrawn
	BatchApprove   BatchEvent = "approve"       // by the outgoing provider
	BatchStage     BatchEvent = "stage"         // anchors go to the devices
	BatchArm       BatchEvent = "arm"           // every row is READY or out
	BatchSwitch    BatchEvent = "switch"        // commits begin
	BatchPause     BatchEvent = "pause"         // too many failures, or an operator
	BatchResume    BatchEvent = "resume"
	BatchAsk       BatchEvent = "ask"    // the outgoing provider asks for a later end of the window
	BatchExtend    BatchEvent = "extend" // the incoming one has signed that: the window moves
	BatchFinish    BatchEvent = "finish" // every accepted row is REVOKED_OLD
	BatchLeave     BatchEvent = "leave"  // every row is closed or open for evidence only
	BatchCancel    BatchEvent = "cancel" // by either side
	BatchWindow    BatchEvent = "latest" // the window has passed
)

// A BatchEffect is what a transition of a transfer makes the provider do. Each
// is performed by the provider whose part it is and skipped by the other.
type BatchEffect string

// The effects of BatchTable.
const (
	BatchPostInfo   BatchEffect = "post info"   // outgoing → incoming
	BatchJudge      BatchEffect = "judge"       // incoming: step 2, then post the answer
	BatchAuthorize  BatchEffect = "authorize"   // incoming: closed rights at CA2
	BatchPostOffer  BatchEffect = "post offer"  // incoming → outgoing
	BatchVoidOffer  BatchEffect = "void offer"  // the offer and its approval no longer count
	BatchStageRows  BatchEffect = "stage rows"  // outgoing
	BatchCommitRows BatchEffect = "commit rows" // outgoing, wave by wave
	BatchHoldRows   BatchEffect = "hold rows"   // no further commits
	BatchAbortRows  BatchEffect = "abort rows"  // every row not yet COMMITTED
	BatchExpireRows BatchEffect = "expire rows" // likewise
	// The last update of the outgoing provider, if the transfer has one.
	BatchBringUpdate BatchEffect = "bring last update"
	BatchEndUpdate   BatchEffect = "end last update"

	BatchPostAsk    BatchEffect = "post ask" // outgoing → incoming, for an extension
	BatchPostExtend BatchEffect = "post extension"
	BatchTell       BatchEffect = "tell"   // the partner, by the outbox
	BatchReport     BatchEffect = "report" // the closing report
)

// BatchTable is the machine of a transfer. It starts in DRAFT at the outgoing
// provider and in INFO_SENT at the incoming one.
func BatchTable() machine.Table[BatchState, BatchEvent, BatchEffect] {
	t := machine.Table[BatchState, BatchEvent, BatchEffect]{
		{From: BatchDraft, On: BatchSend, To: BatchInfoSent, Do: []BatchEffect{BatchPostInfo, BatchJudge}},
		{From: BatchInfoSent, On: BatchAnswer, To: BatchInfoAccepted, Do: []BatchEffect{BatchTell}},
		{
			From: BatchInfoSent, On: BatchRefuse, To: BatchCancelled,
			Do: []BatchEffect{BatchAbortRows, BatchTell, BatchReport},
		},
		{From: BatchInfoSent, On: BatchRevise, To: BatchInfoSent, Do: []BatchEffect{BatchPostInfo, BatchJudge}},
		{From: BatchInfoAccepted, On: BatchOffer, To: BatchOffered, Do: []BatchEffect{BatchAuthorize, BatchPostOffer}},
		{From: BatchOffered, On: BatchOfferOver, To: BatchInfoAccepted, Do: []BatchEffect{BatchVoidOffer}},
		{From: BatchOffered, On: BatchApprove, To: BatchApproved, Do: []BatchEffect{BatchTell}},
		{From: BatchApproved, On: BatchStage, To: BatchStaging, Do: []BatchEffect{BatchStageRows, BatchBringUpdate}},
		// A revision while staging needs a new acceptance before ARMED; the rows stay.
		{From: BatchStaging, On: BatchRevise, To: BatchStaging, Do: []BatchEffect{BatchPostInfo, BatchJudge}},
		{From: BatchStaging, On: BatchAnswer, To: BatchStaging, Do: []BatchEffect{BatchTell}},
		{From: BatchStaging, On: BatchArm, To: BatchArmed, Do: []BatchEffect{BatchEndUpdate}},
		{From: BatchArmed, On: BatchSwitch, To: BatchSwitching, Do: []BatchEffect{BatchCommitRows}},
		{From: BatchSwitching, On: BatchPause, To: BatchSwitching, Do: []BatchEffect{BatchHoldRows, BatchTell}},
		{From: BatchSwitching, On: BatchResume, To: BatchSwitching, Do: []BatchEffect{BatchCommitRows}},
		{From: BatchSwitching, On: BatchWindow, To: BatchSwitching, Do: []BatchEffect{BatchExpireRows}},
		{From: BatchSwitching, On: BatchFinish, To: BatchComplete, Do: []BatchEffect{BatchReport}},
		{From: BatchSwitching, On: BatchLeave, To: BatchPartial, Do: []BatchEffect{BatchReport}},
		{From: BatchPartial, On: BatchFinish, To: BatchComplete, Do: []BatchEffect{BatchReport}},
	}
	for _, s := range []BatchState{BatchInfoAccepted, BatchOffered, BatchApproved} {
		t = append(t, batchRow(s, BatchRevise, BatchInfoSent, BatchVoidOffer, BatchPostInfo, BatchJudge))
	}
	for _, s := range []BatchState{BatchOffered, BatchApproved, BatchStaging, BatchArmed, BatchSwitching} {
		t = append(t,
			batchRow(s, BatchAsk, s, BatchPostAsk),
			batchRow(s, BatchExtend, s, BatchPostExtend))
	}
	for _, s := range []BatchState{
		BatchDraft, BatchInfoSent, BatchInfoAccepted, BatchOffered, BatchApproved, BatchStaging, BatchArmed,
	} {
		t = append(t,
			batchRow(s, BatchCancel, BatchCancelled, BatchAbortRows, BatchEndUpdate, BatchTell, BatchReport),
			batchRow(s, BatchWindow, BatchExpired, BatchExpireRows, BatchEndUpdate, BatchTell, BatchReport))
	}
	return t
}

func batchRow(from BatchState, on BatchEvent, to BatchState, do ...BatchEffect) (
	row machine.Row[BatchState, BatchEvent, BatchEffect],
) {
	row.From, row.On, row.To, row.Do = from, on, to, do
	return row
}

// BatchFinal are the states that a transfer does not leave.
func BatchFinal() []BatchState { return []BatchState{BatchComplete, BatchCancelled, BatchExpired} }
