package rollout

import (
	"slices"

	"steward/lwm2m/machine"
)

// The column types of the table of jobs.
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
	Planned      JobState = "planned"     // its wave has not begun it
	Queued       JobState = "queued"      // begun; nothing sent
	Waiting      JobState = "waiting"     // for its window, for power, or for the next try
	Delivering   JobState = "delivering"  // package or URI is being written
	Downloading  JobState = "downloading" // the device fetches, or checks what it got
	Downloaded   JobState = "downloaded"  // checked and staged by the device
	Installing   JobState = "installing"  // Update executed
	Done         JobState = "done"
	Failed       JobState = "failed"
	Incompatible JobState = "refused" // the manifest does not suit the device: nothing was sent
	Aborted      JobState = "aborted"
)

// openStates are those of devices that a campaign has in hand. No device has two
// jobs in one of them.
var openStates = []JobState{Queued, Waiting, Delivering, Downloading, Downloaded, Installing}

// The events of a job.
const (
	Chosen     JobEvent = "chosen"     // its wave begins it
	NotYet     JobEvent = "not-yet"    // the window is closed, or a condition does not hold
	Again      JobEvent = "again"      // time to look again
	Unsuitable JobEvent = "unsuitable" // the manifest does not suit the device
	Begin      JobEvent = "begin"
	Delivered  JobEvent = "delivered" // the device took package or URI
	Staged     JobEvent = "staged"    // the device has downloaded and checked it
	Executed   JobEvent = "executed"  // the device took Update
	Succeeded  JobEvent = "succeeded" // result 1, and the version is the new one
	Refused    JobEvent = "refused"   // failed, and the retry matrix has no more tries
	Retried    JobEvent = "retried"   // failed, to be tried again
	Abandoned  JobEvent = "abandoned" // the campaign was aborted, or its tail closed
	Exhausted  JobEvent = "exhausted" // silent for too long
)

// The effects of a job's rows.
const (
	Deliver JobEffect = "deliver"
	Watch   JobEffect = "watch"
	Execute JobEffect = "execute"
)

// JobTable is the machine of one device's update. It starts in Planned. Once
// Update was executed a campaign's abortion comes too late for the device.
var JobTable = machine.Table[JobState, JobEvent, JobEffect]{
	{From: Planned, On: Chosen, To: Queued},
	{From: Planned, On: Abandoned, To: Aborted},
	{From: Queued, On: NotYet, To: Waiting},
	{From: Queued, On: Unsuitable, To: Incompatible},
	{From: Queued, On: Begin, To: Delivering, Do: []JobEffect{Deliver}},
	{From: Queued, On: Refused, To: Failed},
	{From: Queued, On: Retried, To: Waiting},
	{From: Queued, On: Abandoned, To: Aborted},
	{From: Queued, On: Exhausted, To: Failed},
	{From: Waiting, On: Again, To: Queued},
	{From: Waiting, On: Abandoned, To: Aborted},
	{From: Delivering, On: Delivered, To: Downloading, Do: []JobEffect{Watch}},
	{From: Delivering, On: Staged, To: Downloaded, Do: []JobEffect{Execute}},
	{From: Delivering, On: Refused, To: Failed},
	{From: Delivering, On: Retried, To: Waiting},
	{From: Delivering, On: Abandoned, To: Aborted},
	{From: Delivering, On: Exhausted, To: Failed},
	{From: Downloading, On: Staged, To: Downloaded, Do: []JobEffect{Execute}},
	{From: Downloading, On: Refused, To: Failed},
	{From: Downloading, On: Retried, To: Waiting},
	{From: Downloading, On: Abandoned, To: Aborted},
	{From: Downloading, On: Exhausted, To: Failed},
	{From: Downloaded, On: Executed, To: Installing, Do: []JobEffect{Watch}},
	{From: Downloaded, On: Succeeded, To: Done},
	{From: Downloaded, On: Refused, To: Failed},
	{From: Downloaded, On: Retried, To: Waiting},
	{From: Downloaded, On: Abandoned, To: Aborted},
	{From: Downloaded, On: Exhausted, To: Failed},
	{From: Installing, On: Succeeded, To: Done},
	{From: Installing, On: Refused, To: Failed},
	{From: Installing, On: Retried, To: Waiting},
	{From: Installing, On: Exhausted, To: Failed},
}

// Over reports whether a job in state s changes no more.
func (s JobState) Over() bool {
	return s == Done || s == Failed || s == Aborted || s == Incompatible
}

// Open reports whether a campaign has a device in state s in hand.
func (s JobState) Open() bool { return slices.Contains(openStates, s) }
