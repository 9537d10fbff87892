package est

import (
	"time"

	"steward/lwm2m/machine"
)

// A RightState is the state of a permission to enrol one factory certificate
// (transfer protocol §8).
type RightState string

// The states of a right.
const (
	RightClosed    RightState = "closed"    // granted; the time has not come
	RightOpen      RightState = "open"      // one enrolment, for the key it is bound to
	RightConsumed  RightState = "consumed"  // enrolled; only the same key is answered
	RightSuspended RightState = "suspended" // the device is moving to another provider
	RightDeleted   RightState = "deleted"   // the device is another provider's
)

// A RightEvent is what can happen to a right.
type RightEvent string

// The events of a right.
const (
	EventGrant   RightEvent = "grant"   // the provider registers the certificate
	EventNote    RightEvent = "note"    // the key is known from the device's receipt
	EventOpen    RightEvent = "open"    // the provider lets it enrol
	EventClose   RightEvent = "close"   // the provider withdraws before it enrolled
	EventEnrol   RightEvent = "enrol"   // the device asks for a certificate and may have it
	EventRenew   RightEvent = "renew"   // the same, by its operational certificate
	EventSuspend RightEvent = "suspend" // the device was committed to another provider
	EventReopen  RightEvent = "reopen"  // it came back, or lost its key
	EventResume  RightEvent = "resume"  // it never left: all is as before it was suspended
	EventDelete  RightEvent = "delete"  // the other provider has it
	EventFollow  RightEvent = "follow"  // the device has another factory certificate in place of the one before
)

// A RightEffect is part of what an event changes beside the state.
type RightEffect string

// The effects of the rows of RightTable.
const (
	EffectForget RightEffect = "forget" // unbind from every key
	EffectBind   RightEffect = "bind"   // bind to the key of the event; another is ErrWrongKey
	EffectRaise  RightEffect = "raise"  // count one epoch more
	EffectIssue  RightEffect = "issue"  // record the new certificate and its key
	// EffectSupersede revokes every other live operational certificate of the
	// device, in the same transaction as the issue.
	EffectSupersede RightEffect = "supersede"
	// EffectReplace leaves the certificate that asked valid until the new one is
	// first used, or RekeyOverlap has passed.
	EffectReplace RightEffect = "replace"
	EffectRevoke  RightEffect = "revoke" // revoke every live operational certificate of the device
	// EffectRename names the right, its certificates and the device by the new factory
	// certificate.
	EffectRename RightEffect = "rename"
)

// RightTable is the machine of a right. It starts in RightClosed. Providers repeat
// what they asked for, so note, open and reopen are accepted again where they were
// already done, for the same key.
var RightTable = machine.Table[RightState, RightEvent, RightEffect]{
	{From: RightClosed, On: EventGrant, To: RightClosed},
	{From: RightClosed, On: EventNote, To: RightClosed, Do: []RightEffect{EffectForget, EffectBind}},
	{From: RightClosed, On: EventOpen, To: RightOpen, Do: []RightEffect{EffectBind}},
	{From: RightClosed, On: EventClose, To: RightClosed},
	{From: RightClosed, On: EventDelete, To: RightDeleted, Do: []RightEffect{EffectRevoke, EffectForget}},

	{From: RightOpen, On: EventNote, To: RightOpen, Do: []RightEffect{EffectBind}},
	{From: RightOpen, On: EventOpen, To: RightOpen, Do: []RightEffect{EffectBind}},
	{From: RightOpen, On: EventReopen, To: RightOpen, Do: []RightEffect{EffectBind}},
	{From: RightOpen, On: EventEnrol, To: RightConsumed, Do: []RightEffect{EffectIssue, EffectSupersede}},
	{From: RightOpen, On: EventClose, To: RightClosed},
	{From: RightOpen, On: EventSuspend, To: RightSuspended},
	{From: RightOpen, On: EventFollow, To: RightOpen, Do: []RightEffect{EffectRename}},
	{From: RightOpen, On: EventDelete, To: RightDeleted, Do: []RightEffect{EffectRevoke, EffectForget}},

	{From: RightConsumed, On: EventEnrol, To: RightConsumed, Do: []RightEffect{EffectIssue, EffectSupersede}},
	{From: RightConsumed, On: EventRenew, To: RightConsumed, Do: []RightEffect{EffectIssue, EffectReplace}},
	{From: RightConsumed, On: EventNote, To: RightConsumed, Do: []RightEffect{EffectBind}},
	{From: RightConsumed, On: EventOpen, To: RightConsumed, Do: []RightEffect{EffectBind}},
	{From: RightConsumed, On: EventReopen, To: RightOpen, Do: []RightEffect{EffectForget, EffectBind}},
	{From: RightConsumed, On: EventSuspend, To: RightSuspended},
	{From: RightConsumed, On: EventFollow, To: RightConsumed, Do: []RightEffect{EffectRename}},
	{From: RightConsumed, On: EventDelete, To: RightDeleted, Do: []RightEffect{EffectRevoke, EffectForget}},

	{From: RightSuspended, On: EventSuspend, To: RightSuspended},
	{From: RightSuspended, On: EventResume, To: RightConsumed},
	{From: RightSuspended, On: EventReopen, To: RightOpen, Do: []RightEffect{EffectForget, EffectBind}},
	{From: RightSuspended, On: EventDelete, To: RightDeleted, Do: []RightEffect{EffectRevoke, EffectForget}},

	{From: RightDeleted, On: EventDelete, To: RightDeleted},
	{From: RightDeleted, On: EventGrant, To: RightClosed, Do: []RightEffect{EffectForget, EffectRaise}},
}

// A Right is the permission to enrol one factory certificate once.
type Right struct {
	Factory    Hash   // of FactoryDER; the right's name
	FactoryDER []byte // the factory certificate; nil: the device has none, see BootstrapRight
	Endpoint   string // its commonName, and that of every certificate issued
	State      RightState
	// Epoch counts the grants: it rises when the device comes back after its
	// right was deleted. The first is 1.
	Epoch uint32
	SPKI  Hash // the key it is bound to; zero: any, until it is consumed
	// Issued is the newest operational certificate; zero: none yet.
	Issued Hash
	// From and Until are the window. Before From the right answers as if closed.
	// After Until it refuses whoever has not enrolled: the provider that the device
	// comes from may open its own right then, and no two are open at once. A right that
	// is reopened for the key of a device that returned has no window. Zero: no limit.
	From, Until time.Time
	ChangedAt   time.Time
	Version     int64 // 1 when inserted
}

// RightStatus is what a CA states about a right, to be signed by it and shown to
// the other provider (RightStatus of the transfer protocol). A deleted right is
// reported closed, and one never granted too.
type RightStatus struct {
	Issuer  string // commonName of the CA
	At      time.Time
	Factory Hash
	State   RightState // closed, open, consumed or suspended
	SPKI    Hash       // zero: none
	Issued  Hash       // zero: none
}
