package rollout

import "steward/lwm2m/machine"

// The column types of the two tables.
type (
	// A JobState is where a device's update stands.
	JobState string
	// A JobEvent is what was learnt about it.
	JobEvent string
	// A JobEffect is what the runner does next.
	JobEffect string
)

// The states of a job.
const (
	Queued      JobState = "queued"      // nothing sent
	Delivering  JobState = "delivering"  // package or URI is being written
	Downloading JobState = "downloading" // the device fetches, or checks what it got
	Downloaded  JobState = "downloaded"  // checked and staged by the device
	Installing  JobState = "installing"  // Update executed
	Done        JobState = "done"
	Failed      JobState = "failed"
	Aborted     JobState = "aborted"

	Planned      JobState = "planned" // its wave has not begun it
	Incompatible JobState = "refused" // the manifest does not suit the device: nothing was sent
)

// The events of a job.
const (
	Begin     JobEvent = "begin"
	Delivered JobEvent = "delivered" // the device took package or URI
	Staged    JobEvent = "staged"    // /5/0/3 is Downloaded
	Executed  JobEvent = "executed"  // the device took Update
	Succeeded JobEvent = "succeeded" // /5/0/5 is 1 and the version is the new one
	Refused   JobEvent = "refused"   // the device says no: a result above 1, or a 4.xx
	Restarted JobEvent = "restarted" // the device forgot: idle without a result
	Abandoned JobEvent = "abandoned" // an operator aborted the campaign
	Exhausted JobEvent = "exhausted" // too many tries
)

// The effects of a job's rows.
const (
	Deliver JobEffect = "deliver"
	Watch   JobEffect = "watch"
	Execute JobEffect = "execute"
)

// JobTable is the machine of one device's update. It starts in Queued. Once
// Update was executed a campaign's abortion comes too late for the device.
var JobTable = machine.Table[JobState, JobEvent, JobEffect]{
	{From: Queued, On: Begin, To: Delivering, Do: []JobEffect{Deliver}},
	{From: Queued, On: Abandoned, To: Aborted},
	{From: Queued, On: Exhausted, To: Failed},
	{From: Delivering, On: Delivered, To: Downloading, Do: []JobEffect{Watch}},
	{From: Delivering, On: Staged, To: Downloaded, Do: []JobEffect{Execute}},
	{From: Delivering, On: Refused, To: Failed},
	{From: Delivering, On: Abandoned, To: Aborted},
	{From: Delivering, On: Exhausted, To: Failed},
	{From: Downloading, On: Staged, To: Downloaded, Do: []JobEffect{Execute}},
	{From: Downloading, On: Refused, To: Failed},
	{From: Downloading, On: Restarted, To: Delivering, Do: []JobEffect{Deliver}},
	{From: Downloading, On: Abandoned, To: Aborted},
	{From: Downloading, On: Exhausted, To: Failed},
	{From: Downloaded, On: Executed, To: Installing, Do: []JobEffect{Watch}},
	{From: Downloaded, On: Refused, To: Failed},
	{From: Downloaded, On: Restarted, To: Delivering, Do: []JobEffect{Deliver}},
	{From: Downloaded, On: Succeeded, To: Done},
	{From: Downloaded, On: Abandoned, To: Aborted},
	{From: Downloaded, On: Exhausted, To: Failed},
	{From: Installing, On: Succeeded, To: Done},
	{From: Installing, On: Refused, To: Failed},
	{From: Installing, On: Exhausted, To: Failed},
}

// Over reports whether a job in state s changes no more.
func (s JobState) Over() bool { return s == Done || s == Failed || s == Aborted || s == Incompatible }
