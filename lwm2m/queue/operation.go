// Package queue keeps operations on devices as things that last: rows with a state.
//
// An operation on a device that listens is performed at once. One on a device in
// queue mode that sleeps waits in the Store (Core 1.2.2 §6.5): when the device
// speaks, what waits for it is performed in order, one at a time, until it does not
// answer any more. In memory is only which devices have something waiting.
package queue

import (
	"time"

	"steward/lwm2m/fleet"
	"steward/lwm2m/machine"
)

// A State is that of an operation.
type State string

// The states of an operation.
const (
	Queued    State = "queued"    // waits until the device listens
	Sent      State = "sent"      // under way
	Acked     State = "acked"     // the device has it, and will answer (RFC 7252 §5.2.2)
	Done      State = "done"      // the device did it
	Failed    State = "failed"    // the device refused, or did not answer
	Expired   State = "expired"   // the device did not listen in time
	Cancelled State = "cancelled" // somebody took it back, or a later write its place
)

// Over reports whether nothing more will happen.
func (s State) Over() bool { return s == Done || s == Failed || s == Expired || s == Cancelled }

// An Event is what moves an operation.
type Event string

// The events of an operation.
const (
	Send        Event = "send"
	Acknowledge Event = "acknowledge"
	Answer      Event = "answer"
	Refuse      Event = "refuse"
	Silence     Event = "silence" // no answer: again when the device speaks
	Lose        Event = "lose"    // no answer, and no other try
	Expire      Event = "expire"
	Cancel      Event = "cancel"
)

// An Effect is what follows a step.
type Effect string

// The effects of steps.
const (
	Perform Effect = "perform"
	Tell    Effect = "tell" // who waits for the end
)

// Table is the life of an operation.
var Table = machine.Table[State, Event, Effect]{
	{From: Queued, On: Send, To: Sent, Do: []Effect{Perform}},
	{From: Queued, On: Expire, To: Expired, Do: []Effect{Tell}},
	{From: Queued, On: Cancel, To: Cancelled, Do: []Effect{Tell}},
	{From: Sent, On: Acknowledge, To: Acked},
	{From: Sent, On: Answer, To: Done, Do: []Effect{Tell}},
	{From: Sent, On: Refuse, To: Failed, Do: []Effect{Tell}},
	{From: Sent, On: Silence, To: Queued},
	{From: Sent, On: Lose, To: Failed, Do: []Effect{Tell}},
	{From: Sent, On: Cancel, To: Cancelled, Do: []Effect{Tell}},
	{From: Acked, On: Answer, To: Done, Do: []Effect{Tell}},
	{From: Acked, On: Refuse, To: Failed, Do: []Effect{Tell}},
	{From: Acked, On: Silence, To: Queued},
	{From: Acked, On: Lose, To: Failed, Do: []Effect{Tell}},
	{From: Acked, On: Cancel, To: Cancelled, Do: []Effect{Tell}},
}

// An Operation is one call of a device.
type Operation struct {
	ID      string
	Device  fleet.ID
	Kind    string // as people name it: read, write, …
	Path    string // of the node, for people
	Body    []byte // what the Performer needs; opaque here
	Action  string // of the audit row at its end; "": none, for it changes nothing
	Actor   string // who asked
	Repeats bool   // doing it twice is like doing it once: it is tried again after silence
	Local   bool   // it does not need the device, so it never waits; not kept
	Writes  bool   // it takes the place of a write that waits for the same node

	TTL time.Duration // how long it is tried; 0: Options.Expire or twice the lifetime; not kept

	Held      bool // it waits its turn, or did; else it was done at once, while somebody waited
	State     State
	Reason    string     // why it ended so, or waits; for people
	Result    []byte     // what the Performer returned; opaque here
	Exchanges []Exchange // of the last try, the first few
	Tries     int
	Version   int // counts the steps

	CreatedAt time.Time
	SentAt    time.Time // of the last try; zero: none
	EndedAt   time.Time // zero: not over
	ExpiresAt time.Time // when it is no longer tried
}

// light returns the operation without a body that is too large to be kept: such a
// one does not wait, so nobody needs it again.
func (o Operation) light() Operation {
	if len(o.Body) > MaxBody {
		o.Body = nil
	}
	return o
}

// step returns the operation after an event, or machine.ErrNoRow.
func (o Operation) step(on Event, now time.Time) (Operation, error) {
	row, err := Table.Step(o.State, on)
	if err != nil {
		return o, err
	}
	o.State = row.To
	o.Version++
	switch {
	case o.State == Sent:
		o.SentAt, o.Exchanges, o.Reason = now, nil, ""
		o.Tries++
	case o.State.Over():
		o.EndedAt = now
	}
	return o, nil
}
