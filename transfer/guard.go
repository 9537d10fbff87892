package transfer

import (
	"slices"

	"steward/lwm2m"
)

// A Party is what a session is to the device's objects, by the anchor under
// which its peer stands.
type Party string

// The parties of the rule table (§3).
const (
	CurrentDM   Party = "current DM"
	NewDM       Party = "new domain's DM" // host of label 11, issuer in label 8
	FallbackDM  Party = "fallback anchor"
	CurrentBoot Party = "bootstrap server of the current domain"
	AnyoneElse  Party = "anyone else"
)

// An Operation is what a session asks for.
type Operation string

// The operations. Read includes Observe, Discover and Write-Attributes, which
// changes nothing but what the asking server is told.
const (
	OpRead     Operation = "read"
	OpWrite    Operation = "write"
	OpCreate   Operation = "create"
	OpDelete   Operation = "delete"
	OpExecute  Operation = "execute"
	OpRegister Operation = "register" // the device at the party
	OpEnrol    Operation = "enrol"    // the device at the party
)

// A Place is the part of the object tree that an operation touches.
type Place string

// The places that rules tell apart.
const (
	AtTruststore Place = "truststore"
	AtEnrolment  Place = "enrolment"
	AtMessage    Place = "transfer message"
	AtMandate    Place = "transfer mandate"
	AtCommit     Place = "transfer commit"
	AtAbort      Place = "transfer abort"
	AtFinalise   Place = "transfer finalise"
	AtReturn     Place = "transfer return"
	AtRetire     Place = "transfer retire"
	AtTransfer   Place = "rest of transfer"
	AtFirmware   Place = "firmware update"
	AtElsewhere  Place = "everything else"
)

// Resources of the Transfer object that rules name.
const (
	resourceMessage  = 0
	resourceCommit   = 1
	resourceAbort    = 2
	resourceFinalise = 11
	resourceReturn   = 12
	resourceMandate  = 13
	resourceRetire   = 14
	firmwareObject   = 5

	advancedFirmwareObject = 33629
)

// PlaceOf returns the place of a path on a device with these object ids. A path
// of the Transfer object that ends above a resource is AtTransfer.
func PlaceOf(p lwm2m.Path, ids ObjectIDs) Place {
	if p.Len() == 0 {
		return AtElsewhere
	}
	switch p.Object() {
	case ids.Truststore:
		return AtTruststore
	case ids.Enrolment:
		return AtEnrolment
	case firmwareObject, advancedFirmwareObject:
		return AtFirmware
	case ids.Transfer:
		if p.Len() < 3 {
			return AtTransfer
		}
		return placeInTransfer(p.ID(2))
	}
	return AtElsewhere
}

func placeInTransfer(resource uint16) Place {
	places := map[uint16]Place{
		resourceMessage: AtMessage, resourceMandate: AtMandate, resourceCommit: AtCommit,
		resourceAbort: AtAbort, resourceFinalise: AtFinalise, resourceReturn: AtReturn,
		resourceRetire: AtRetire,
	}
	if place, ok := places[resource]; ok {
		return place
	}
	return AtTransfer
}

// A Rule permits operations; what no rule permits is refused.
type Rule struct {
	In    []DeviceState
	Party Party
	Do    []Operation
	At    []Place
}

var (
	atRest     = []DeviceState{Idle, Finalised, FellBack, Expired}
	change     = []Operation{OpWrite, OpCreate, OpDelete}
	everywhere = []Place{
		AtTruststore, AtEnrolment, AtMessage, AtMandate, AtCommit, AtAbort, AtFinalise, AtReturn, AtRetire, AtTransfer,
		AtFirmware, AtElsewhere,
	}
)

// GuardTable is the rule table by which the objects guard themselves (§3), for
// the three objects, Firmware Update and everything else. Access Control only
// mirrors it. A rewrite of the message in READY passes the table and then meets
// the acceptance check, which knows whether it is the identical one.
func GuardTable() []Rule {
	return []Rule{
		{In: atRest, Party: CurrentDM, Do: []Operation{OpRead, OpRegister, OpEnrol}, At: everywhere},
		{In: atRest, Party: CurrentDM, Do: change, At: []Place{AtTruststore, AtEnrolment}},
		{In: atRest, Party: CurrentDM, Do: []Operation{OpWrite}, At: []Place{AtMessage, AtMandate}},
		{In: atRest, Party: CurrentDM, Do: []Operation{OpExecute}, At: []Place{AtEnrolment}}, // renewal
		{In: atRest, Party: CurrentDM, Do: []Operation{OpExecute}, At: []Place{AtRetire}},
		{In: atRest, Party: CurrentDM, Do: append(slices.Clone(change), OpExecute), At: []Place{AtFirmware, AtElsewhere}},
		// The answer to these may have been lost: repeating them changes nothing.
		{In: []DeviceState{Finalised}, Party: CurrentDM, Do: []Operation{OpExecute}, At: []Place{AtFinalise}},
		{In: []DeviceState{Expired}, Party: CurrentDM, Do: []Operation{OpExecute}, At: []Place{AtAbort}},

		{
			In: atRest, Party: CurrentBoot, Do: append(slices.Clone(change), OpRead),
			At: []Place{AtTruststore, AtEnrolment, AtElsewhere},
		},

		{In: []DeviceState{Ready}, Party: CurrentDM, Do: []Operation{OpRead, OpRegister, OpEnrol}, At: everywhere},
		{In: []DeviceState{Ready}, Party: CurrentDM, Do: []Operation{OpExecute}, At: []Place{AtCommit, AtAbort}},
		{In: []DeviceState{Ready}, Party: CurrentDM, Do: []Operation{OpWrite}, At: []Place{AtMessage}},
		{In: []DeviceState{Ready}, Party: CurrentDM, Do: append(slices.Clone(change), OpExecute), At: []Place{AtElsewhere}},

		{In: []DeviceState{Done}, Party: NewDM, Do: []Operation{OpRead}, At: everywhere},
		{In: []DeviceState{Done}, Party: NewDM, Do: []Operation{OpExecute}, At: []Place{AtFinalise, AtReturn}},

		{In: []DeviceState{InFall}, Party: FallbackDM, Do: []Operation{OpRead, OpRegister, OpEnrol}, At: everywhere},
	}
}

// Permitted reports whether the table lets party do op at place in state.
func Permitted(state DeviceState, party Party, op Operation, at Place) bool {
	return slices.ContainsFunc(GuardTable(), func(r Rule) bool {
		return r.Party == party && slices.Contains(r.In, state) && slices.Contains(r.Do, op) && slices.Contains(r.At, at)
	})
}
