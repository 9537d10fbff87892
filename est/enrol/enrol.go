// Package enrol leads devices through the life of their operational certificates
// by object Enrolment: it asks each to renew in good time before its certificate
// ends, sees whether the new one is used, tries again where that fails, and says
// what became of those that were asleep when theirs ended.
//
// It issues nothing itself: a device that is asked comes to the authority by
// /sren, over the certificate that it has (RFC 9148 §4.3). Nothing here, nor any
// failure, ends a certificate: the old one stays valid until the authority has
// seen the new one in use. Of the devices whose time has not come nothing is in
// memory.
package enrol

import (
	"errors"
	"time"

	"steward/est"
	"steward/lwm2m/fleet"
)

// Errors of this package.
var (
	// ErrUnknown reports a device that never had a certificate here.
	ErrUnknown = errors.New("device has no enrolment here")
	// ErrConflict reports an enrolment that somebody else changed since it was read.
	ErrConflict = errors.New("enrolment changed meanwhile")
	// ErrState reports an order that the state of the enrolment does not allow.
	ErrState = errors.New("enrolment is not in a state for that")
	// ErrPolicy reports a Policy that cannot be used.
	ErrPolicy = errors.New("unusable renewal policy")
	// ErrOptions reports Options without what a Runner needs.
	ErrOptions = errors.New("unusable options")
)

// Errors that a Devices returns so that a Runner can tell silence from a refusal.
var (
	// ErrUnreachable reports a device that cannot be asked now, or did not answer.
	ErrUnreachable = errors.New("device cannot be reached now")
	// ErrAsleep reports a device in queue mode that does not listen now.
	ErrAsleep = errors.New("device is asleep")
	// ErrRefused reports a device that answered with an error of its own.
	ErrRefused = errors.New("device refused")
)

// A Request is what a device is asked for.
type Request string

// The requests. Renewal always makes a new key pair on the device.
const (
	Renewal Request = "renew" // of the operational certificate and its key
	Rekey   Request = "rekey" // of the factory certificate (transfer protocol §6)
)

// An Enrolment is how a device stands with its operational certificate.
type Enrolment struct {
	Device      fleet.ID
	State       State
	Certificate est.Hash // the newest; zero: none
	Profile     string   // of that certificate
	IssuedAt    time.Time
	NotAfter    time.Time
	Proven      bool // that certificate was used; until then the one before is good as well
	// Due is when the Runner looks at the device next; zero: not before something
	// happens.
	Due      time.Time
	Want     Request   // what the device is or will be asked for
	Tries    int       // that failed in this round
	Why      string    // the last failure, or what is waited for, in words; "": nothing
	FailedAt time.Time // of the last failure; zero: none since the last success
	// ChangedAt is when State, Why or Tries changed last.
	ChangedAt time.Time
	Version   int64 // 1 when inserted
}

// An Issuance is a certificate that the authority gave to a device.
type Issuance struct {
	Position    int64    // in the order of issue; grows
	Device      fleet.ID // "" for a certificate whose device is not known here
	Certificate est.Hash
	Profile     string
	IssuedAt    time.Time
	NotAfter    time.Time
	Renews      bool // it was asked for by the certificate before
}
