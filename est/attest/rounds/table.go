package rounds

import (
	"fmt"
	"slices"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/machine"
)

// A State is what is thought of a device.
type State string

// The states of a Round.
const (
	Unproved State = "unproved" // no verdict yet
	Good     State = "good"     // the last verdict affirmed it
	Bad      State = "bad"      // the last verdict did not
	Mute     State = "mute"     // it was asked often, and gave no evidence that is of use
)

// An Event is what happens to a Round.
type Event string

// The events of a Round.
const (
	Affirm Event = "affirm"  // an affirming verdict
	Deny   Event = "deny"    // any other verdict
	GiveUp Event = "give-up" // no evidence, once too often
)

// An Effect is what a row has done beside the state.
type Effect string

// The effects of rows.
const (
	Alert Effect = "alert" // people are told that a device turned bad
	Calm  Effect = "calm"  // people are told that it is good again
)

// Table is the machine of a Round. A device that turned bad stays so until a verdict
// affirms it: silence is no proof.
var Table = machine.Table[State, Event, Effect]{
	{From: Unproved, On: Affirm, To: Good},
	{From: Unproved, On: Deny, To: Bad, Do: []Effect{Alert}},
	{From: Unproved, On: GiveUp, To: Mute, Do: []Effect{Alert}},

	{From: Good, On: Affirm, To: Good},
	{From: Good, On: Deny, To: Bad, Do: []Effect{Alert}},
	{From: Good, On: GiveUp, To: Mute, Do: []Effect{Alert}},

	{From: Bad, On: Affirm, To: Good, Do: []Effect{Calm}},
	{From: Bad, On: Deny, To: Bad},
	{From: Bad, On: GiveUp, To: Bad},

	{From: Mute, On: Affirm, To: Good, Do: []Effect{Calm}},
	{From: Mute, On: Deny, To: Bad, Do: []Effect{Alert}},
	{From: Mute, On: GiveUp, To: Mute},
}

// A move is what came of an event.
type move struct {
	alert, told bool
	rows        []audit.Row
}

// step moves r. What changes its state is audited; a verdict like the one before
// changes nothing.
func (r *Round) step(on Event, why string, now time.Time) (move, error) {
	row, err := Table.Step(r.State, on)
	if err != nil {
		return move{}, fmt.Errorf("attestation of %s: %w", r.Device, err)
	}
	before := r.State
	r.State = row.To
	m := move{alert: slices.Contains(row.Do, Alert)}
	m.told = m.alert || slices.Contains(row.Do, Calm)
	if before != r.State {
		r.Since = now
		m.rows = append(m.rows, audit.Row{
			Actor: "system", Action: "attestation." + string(r.State), Subject: string(r.Device), Reason: why,
			Before: string(before), After: string(r.State), At: now,
		})
	}
	return m, nil
}
