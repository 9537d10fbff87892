package rollout

import "steward/lwm2m/machine"

// The column types of the tables of campaigns and waves.
type (
	// A CampaignState is where a campaign stands.
	CampaignState string
	// A CampaignEvent is what was decided or learnt about it.
	CampaignEvent string
	// A CampaignEffect is what is stored with the step, in one transaction.
	CampaignEffect string
	// A WaveState is where a wave stands.
	WaveState string
	// A WaveEvent is what was learnt about it.
	WaveEvent string
)

// The states of a campaign.
const (
	CampaignDraft     CampaignState = "draft"     // may be changed; nothing happens
	CampaignReview    CampaignState = "review"    // waits for approval
	CampaignScheduled CampaignState = "scheduled" // waits for its time
	CampaignCanary    CampaignState = "canary"    // the first wave, a few devices
	CampaignWaves     CampaignState = "waves"     // the wave that Campaign.Wave names
	CampaignTail      CampaignState = "tail"      // devices that were out of reach, or came late
	CampaignDone      CampaignState = "done"      // every job is over
	CampaignPaused    CampaignState = "paused"    // nothing begins, nothing is installed
	CampaignAborting  CampaignState = "aborting"  // devices that install are waited for
	CampaignAborted   CampaignState = "aborted"
	CampaignFailed    CampaignState = "failed" // every job is over and no device was updated
)

// The events of a campaign. Those of people come with their name and reason.
const (
	Submit    CampaignEvent = "submit"  // by a person
	Reject    CampaignEvent = "reject"  // by a person: back to the draft
	Approve   CampaignEvent = "approve" // by another person
	ToCanary  CampaignEvent = "to-canary"
	ToWave    CampaignEvent = "to-wave"
	ToTail    CampaignEvent = "to-tail"
	Pause     CampaignEvent = "pause"     // by a person
	GatePause CampaignEvent = "gate"      // by a gate
	Abort     CampaignEvent = "abort"     // by a person
	GateAbort CampaignEvent = "gate-stop" // by a gate
	Finish    CampaignEvent = "finish"    // by a person, or by time: the tail closes
	LastJob   CampaignEvent = "last-job"  // every job is over
	NoneDone  CampaignEvent = "none-done" // every job is over, none well
)

// Resuming returns the event by which a paused campaign goes on where it was.
func Resuming(s CampaignState) CampaignEvent { return CampaignEvent("resume-" + string(s)) }

// The effects of a campaign's rows.
const (
	MoveAside CampaignEffect = "move-aside" // jobs that the wave did not wait for join the tail
	AbortJobs CampaignEffect = "abort-jobs" // jobs that have not begun to install end
	WakeJobs  CampaignEffect = "wake-jobs"  // jobs under way are looked at
)

// CampaignTable is the machine of a campaign. It starts in CampaignDraft.
var CampaignTable = campaignTable()

func campaignTable() machine.Table[CampaignState, CampaignEvent, CampaignEffect] {
	move, end, wake := []CampaignEffect{MoveAside}, []CampaignEffect{AbortJobs}, []CampaignEffect{WakeJobs}
	return machine.Table[CampaignState, CampaignEvent, CampaignEffect]{
		{From: CampaignDraft, On: Submit, To: CampaignReview},
		{From: CampaignDraft, On: Abort, To: CampaignAborted, Do: end},
		{From: CampaignReview, On: Reject, To: CampaignDraft},
		{From: CampaignReview, On: Approve, To: CampaignScheduled},
		{From: CampaignReview, On: Abort, To: CampaignAborted, Do: end},
		{From: CampaignScheduled, On: ToCanary, To: CampaignCanary},
		{From: CampaignScheduled, On: ToWave, To: CampaignWaves},
		{From: CampaignScheduled, On: ToTail, To: CampaignTail},
		{From: CampaignScheduled, On: Pause, To: CampaignPaused},
		{From: CampaignScheduled, On: Abort, To: CampaignAborted, Do: end},
		{From: CampaignCanary, On: ToWave, To: CampaignWaves, Do: move},
		{From: CampaignCanary, On: ToTail, To: CampaignTail, Do: move},
		{From: CampaignCanary, On: Pause, To: CampaignPaused},
		{From: CampaignCanary, On: GatePause, To: CampaignPaused},
		{From: CampaignCanary, On: Abort, To: CampaignAborting, Do: end},
		{From: CampaignCanary, On: GateAbort, To: CampaignAborting, Do: end},
		{From: CampaignWaves, On: ToWave, To: CampaignWaves, Do: move},
		{From: CampaignWaves, On: ToTail, To: CampaignTail, Do: move},
		{From: CampaignWaves, On: Pause, To: CampaignPaused},
		{From: CampaignWaves, On: GatePause, To: CampaignPaused},
		{From: CampaignWaves, On: Abort, To: CampaignAborting, Do: end},
		{From: CampaignWaves, On: GateAbort, To: CampaignAborting, Do: end},
		{From: CampaignTail, On: LastJob, To: CampaignDone},
		{From: CampaignTail, On: NoneDone, To: CampaignFailed},
		{From: CampaignTail, On: Finish, To: CampaignTail, Do: end},
		{From: CampaignTail, On: Pause, To: CampaignPaused},
		{From: CampaignTail, On: GatePause, To: CampaignPaused},
		{From: CampaignTail, On: GateAbort, To: CampaignAborting, Do: end},
		{From: CampaignTail, On: Abort, To: CampaignAborting, Do: end},
		{From: CampaignPaused, On: Resuming(CampaignScheduled), To: CampaignScheduled},
		{From: CampaignPaused, On: Resuming(CampaignCanary), To: CampaignCanary, Do: wake},
		{From: CampaignPaused, On: Resuming(CampaignWaves), To: CampaignWaves, Do: wake},
		{From: CampaignPaused, On: Resuming(CampaignTail), To: CampaignTail, Do: wake},
		{From: CampaignPaused, On: Abort, To: CampaignAborting, Do: end},
		{From: CampaignAborting, On: LastJob, To: CampaignAborted},
	}
}

// Over reports whether a campaign in state s changes no more.
func (s CampaignState) Over() bool {
	return s == CampaignDone || s == CampaignAborted || s == CampaignFailed
}

// Active reports whether devices are begun in state s.
func (s CampaignState) Active() bool {
	return s == CampaignCanary || s == CampaignWaves || s == CampaignTail
}

// Allows reports whether a person may do on to a campaign in state s.
func (s CampaignState) Allows(on CampaignEvent) bool {
	_, err := CampaignTable.Step(s, on)
	return err == nil
}

// The states of a wave. The tail has none: it is over with the campaign.
const (
	WavePending   WaveState = "pending"
	WaveRunning   WaveState = "running"
	WaveSoaking   WaveState = "soaking" // no device is under way; its gate waits
	WaveHeld      WaveState = "held"    // its gate did not open; people decide
	WavePassed    WaveState = "passed"
	WaveCancelled WaveState = "cancelled" // with the campaign
)

// The events of a wave.
const (
	WaveBegin  WaveEvent = "begin"
	WaveSettle WaveEvent = "settle" // the last device finished, or was set aside
	WaveReopen WaveEvent = "reopen" // a device that was set aside came back
	WaveStop   WaveEvent = "stop"
	WaveWaive  WaveEvent = "waive" // people resumed the campaign
	WavePass   WaveEvent = "pass"
	WaveCancel WaveEvent = "cancel"
)

// WaveTable is the machine of a wave. It starts in WavePending.
var WaveTable = machine.Table[WaveState, WaveEvent, CampaignEffect]{
	{From: WavePending, On: WaveBegin, To: WaveRunning},
	{From: WavePending, On: WaveCancel, To: WaveCancelled},
	{From: WaveRunning, On: WaveSettle, To: WaveSoaking},
	{From: WaveRunning, On: WaveStop, To: WaveHeld},
	{From: WaveRunning, On: WaveCancel, To: WaveCancelled},
	{From: WaveSoaking, On: WaveReopen, To: WaveRunning},
	{From: WaveSoaking, On: WaveStop, To: WaveHeld},
	{From: WaveSoaking, On: WavePass, To: WavePassed},
	{From: WaveSoaking, On: WaveCancel, To: WaveCancelled},
	{From: WaveHeld, On: WaveWaive, To: WaveRunning},
	{From: WaveHeld, On: WaveCancel, To: WaveCancelled},
}
