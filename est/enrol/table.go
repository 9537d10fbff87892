package enrol

import "steward/lwm2m/machine"

// A State is how far the life of a device's certificate is.
type State string

// The states of an Enrolment.
const (
	None    State = "none"    // no certificate yet
	Good    State = "good"    // certificate in use; its renewal is planned
	Due     State = "due"     // the device is to be asked
	Asked   State = "asked"   // the device said that it will renew
	Renewed State = "renewed" // the new certificate is not in use yet; the old one is still good
	Failed  State = "failed"  // tried often enough for now; the certificate is still good
	Expired State = "expired" // ended without renewal; the device may come back by its right
	Revoked State = "revoked" // ended by a person or a rule; it may come back by its right
	Left    State = "left"    // the device is another provider's
)

// An Event is what happens to an Enrolment.
type Event string

// The events of an Enrolment.
const (
	Issue   Event = "issue"   // a certificate by the factory certificate
	Succeed Event = "succeed" // a certificate by the certificate before
	Prove   Event = "prove"   // the newest certificate was used
	Time    Event = "time"    // the time to renew has come
	Order   Event = "order"   // a person wants it now
	Wait    Event = "wait"    // the device is asleep
	Ask     Event = "ask"     // the device was asked and agreed
	Fail    Event = "fail"    // it could not be asked, refused, or nothing came of it
	GiveUp  Event = "give-up" // the same, once too often
	Abandon Event = "abandon" // the same of a re-key, which the certificate does not depend on
	Rekeyed Event = "rekeyed" // the key of the device's factory certificate is its own, and known
	Again   Event = "again"   // the pause after giving up is over
	Doubt   Event = "doubt"   // the new certificate was not used for long
	Expire  Event = "expire"  // the certificate's time is over
	Revoke  Event = "revoke"  // the certificate was revoked, and no other is good
	// Withdraw is that of a new certificate before its first use: the one before still
	// is good.
	Withdraw Event = "withdraw"
	Leave    Event = "leave" // the device was handed over
)

// An Effect is what a row changes beside the state.
type Effect string

// The effects of rows. None touches a certificate.
const (
	Plan  Effect = "plan"  // the next renewal, by the policy; tries and failures are forgotten
	Now   Effect = "now"   // look at once; tries are forgotten
	Watch Effect = "watch" // whether it bears fruit
	Retry Effect = "retry" // after a growing pause; it counts as a try
	Pause Effect = "pause" // for long
	Rest  Effect = "rest"  // until something happens
)

// Table is the machine of an Enrolment. It starts in None and never ends: from
// each state, a device that may still enrol here has a way back to Good.
var Table = machine.Table[State, Event, Effect]{
	{From: None, On: Issue, To: Good, Do: []Effect{Plan}},
	{From: None, On: Leave, To: Left, Do: []Effect{Rest}},

	{From: Good, On: Issue, To: Good, Do: []Effect{Plan}},
	{From: Good, On: Succeed, To: Renewed, Do: []Effect{Watch}},
	{From: Good, On: Prove, To: Good, Do: []Effect{Plan}},
	{From: Good, On: Time, To: Due, Do: []Effect{Now}},
	{From: Good, On: Order, To: Due, Do: []Effect{Now}},
	{From: Good, On: Expire, To: Expired, Do: []Effect{Rest}},
	{From: Good, On: Revoke, To: Revoked, Do: []Effect{Rest}},
	{From: Good, On: Leave, To: Left, Do: []Effect{Rest}},

	{From: Due, On: Issue, To: Good, Do: []Effect{Plan}},
	{From: Due, On: Succeed, To: Renewed, Do: []Effect{Watch}},
	{From: Due, On: Prove, To: Good, Do: []Effect{Plan}},
	{From: Due, On: Order, To: Due, Do: []Effect{Now}},
	{From: Due, On: Wait, To: Due},
	{From: Due, On: Ask, To: Asked, Do: []Effect{Watch}},
	{From: Due, On: Fail, To: Due, Do: []Effect{Retry}},
	{From: Due, On: GiveUp, To: Failed, Do: []Effect{Pause}},
	{From: Due, On: Abandon, To: Good, Do: []Effect{Plan}},
	{From: Due, On: Rekeyed, To: Good, Do: []Effect{Plan}},
	{From: Due, On: Expire, To: Expired, Do: []Effect{Rest}},
	{From: Due, On: Revoke, To: Revoked, Do: []Effect{Rest}},
	{From: Due, On: Withdraw, To: Due, Do: []Effect{Now}},
	{From: Due, On: Leave, To: Left, Do: []Effect{Rest}},

	{From: Asked, On: Issue, To: Good, Do: []Effect{Plan}},
	{From: Asked, On: Succeed, To: Renewed, Do: []Effect{Watch}},
	{From: Asked, On: Prove, To: Good, Do: []Effect{Plan}},
	{From: Asked, On: Order, To: Due, Do: []Effect{Now}},
	{From: Asked, On: Fail, To: Due, Do: []Effect{Retry}},
	{From: Asked, On: GiveUp, To: Failed, Do: []Effect{Pause}},
	{From: Asked, On: Abandon, To: Good, Do: []Effect{Plan}},
	{From: Asked, On: Rekeyed, To: Good, Do: []Effect{Plan}},
	{From: Asked, On: Expire, To: Expired, Do: []Effect{Rest}},
	{From: Asked, On: Revoke, To: Revoked, Do: []Effect{Rest}},
	{From: Asked, On: Withdraw, To: Due, Do: []Effect{Now}},
	{From: Asked, On: Leave, To: Left, Do: []Effect{Rest}},

	{From: Renewed, On: Issue, To: Good, Do: []Effect{Plan}},
	{From: Renewed, On: Succeed, To: Renewed, Do: []Effect{Watch}},
	{From: Renewed, On: Prove, To: Good, Do: []Effect{Plan}},
	{From: Renewed, On: Order, To: Due, Do: []Effect{Now}},
	{From: Renewed, On: Doubt, To: Due, Do: []Effect{Now}},
	{From: Renewed, On: Expire, To: Expired, Do: []Effect{Rest}},
	{From: Renewed, On: Revoke, To: Revoked, Do: []Effect{Rest}},
	{From: Renewed, On: Withdraw, To: Due, Do: []Effect{Now}},
	{From: Renewed, On: Leave, To: Left, Do: []Effect{Rest}},

	{From: Failed, On: Issue, To: Good, Do: []Effect{Plan}},
	{From: Failed, On: Succeed, To: Renewed, Do: []Effect{Watch}},
	{From: Failed, On: Prove, To: Good, Do: []Effect{Plan}},
	{From: Failed, On: Order, To: Due, Do: []Effect{Now}},
	{From: Failed, On: Again, To: Due, Do: []Effect{Now}},
	{From: Failed, On: Expire, To: Expired, Do: []Effect{Rest}},
	{From: Failed, On: Revoke, To: Revoked, Do: []Effect{Rest}},
	{From: Failed, On: Withdraw, To: Due, Do: []Effect{Now}},
	{From: Failed, On: Leave, To: Left, Do: []Effect{Rest}},

	{From: Expired, On: Issue, To: Good, Do: []Effect{Plan}},
	{From: Expired, On: Succeed, To: Renewed, Do: []Effect{Watch}},
	{From: Expired, On: Leave, To: Left, Do: []Effect{Rest}},

	{From: Revoked, On: Issue, To: Good, Do: []Effect{Plan}},
	{From: Revoked, On: Succeed, To: Renewed, Do: []Effect{Watch}},
	{From: Revoked, On: Leave, To: Left, Do: []Effect{Rest}},

	{From: Left, On: Issue, To: Good, Do: []Effect{Plan}},
	{From: Left, On: Succeed, To: Renewed, Do: []Effect{Watch}},
}
