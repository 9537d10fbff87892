package bootstrap

import "steward/lwm2m/machine"

// The column types of the table.
type (
	// A State is where a device's bootstrap stands.
	State string
	// An Event is what was learnt from the device.
	Event string
	// An Effect is what is asked of the device next.
	Effect string
)

// The states of a session.
const (
	Asked     State = "asked"     // POST /bs was answered
	Writing   State = "writing"   // the device is known, the difference is being written
	Finishing State = "finishing" // Bootstrap-Finish was sent
	Repairing State = "repairing" // the device called it inconsistent; all is written anew
	Checking  State = "checking"  // the second Bootstrap-Finish was sent
	Done      State = "done"
	Failed    State = "failed"
)

// The events of a session.
const (
	Told         Event = "told"         // Discover and Read are answered, or refused
	Written      Event = "written"      // the device took all commands
	Accepted     Event = "accepted"     // Finish: 2.04
	Inconsistent Event = "inconsistent" // Finish: 4.06
	Refused      Event = "refused"      // any other answer
	Lost         Event = "lost"         // no answer, or the budget is spent
	Restarted    Event = "restarted"    // the device began anew, or we did
)

// The effects of rows.
const (
	WriteAll  Effect = "write"
	Finish    Effect = "finish"
	RepairAll Effect = "repair"
)

// SessionTable is the machine of one bootstrap. It starts in Asked.
var SessionTable = machine.Table[State, Event, Effect]{
	{From: Asked, On: Told, To: Writing, Do: []Effect{WriteAll}},
	{From: Asked, On: Refused, To: Failed},
	{From: Asked, On: Lost, To: Failed},
	{From: Asked, On: Restarted, To: Failed},
	{From: Writing, On: Written, To: Finishing, Do: []Effect{Finish}},
	{From: Writing, On: Refused, To: Failed},
	{From: Writing, On: Lost, To: Failed},
	{From: Writing, On: Restarted, To: Failed},
	{From: Finishing, On: Accepted, To: Done},
	{From: Finishing, On: Inconsistent, To: Repairing, Do: []Effect{RepairAll}},
	{From: Finishing, On: Refused, To: Failed},
	{From: Finishing, On: Lost, To: Failed},
	{From: Finishing, On: Restarted, To: Failed},
	{From: Repairing, On: Written, To: Checking, Do: []Effect{Finish}},
	{From: Repairing, On: Refused, To: Failed},
	{From: Repairing, On: Lost, To: Failed},
	{From: Repairing, On: Restarted, To: Failed},
	{From: Checking, On: Accepted, To: Done},
	{From: Checking, On: Inconsistent, To: Failed},
	{From: Checking, On: Refused, To: Failed},
	{From: Checking, On: Lost, To: Failed},
	{From: Checking, On: Restarted, To: Failed},
}

// Over reports whether a session in state s changes no more.
func (s State) Over() bool { return s == Done || s == Failed }
