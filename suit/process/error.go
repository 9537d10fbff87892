package process

import (
	"errors"
	"fmt"

	"steward/suit"
	"steward/suit/cose"
)

// A Stage is how far a manifest got (§6).
type Stage string

// The stages before commands run, in their order. Afterwards the stage is the
// section whose commands run; StageCommit ends an update.
const (
	StageParse        Stage = "parse"
	StageAuthenticate Stage = "authenticate"
	StageManifest     Stage = "manifest"
	StageSeverable    Stage = "severable"
	StagePrecheck     Stage = "precheck"
	StageShared       Stage = Stage(suit.SectionShared)
	StageDependencies Stage = Stage(suit.SectionDependencies)
	StageCandidate    Stage = Stage(suit.SectionCandidate)
	StageUninstall    Stage = Stage(suit.SectionUninstall)
	StageFetch        Stage = Stage(suit.SectionFetch)
	StageInstall      Stage = Stage(suit.SectionInstall)
	StageValidate     Stage = Stage(suit.SectionValidate)
	StageLoad         Stage = Stage(suit.SectionLoad)
	StageInvoke       Stage = Stage(suit.SectionInvoke)
	StageCommit       Stage = "commit"
)

// A Reason says in the operator's words why a manifest was refused.
type Reason string

// The reasons.
const (
	ReasonEncoding     Reason = "malformed CBOR"
	ReasonStructure    Reason = "malformed manifest"
	ReasonCOSE         Reason = "unacceptable signature format"
	ReasonAlgorithm    Reason = "unsupported algorithm"
	ReasonUnauthorised Reason = "not authentic"
	ReasonVersion      Reason = "unsupported manifest version"
	ReasonRollback     Reason = "older than the installed version"
	ReasonComponent    Reason = "component not on this device"
	ReasonAccess       Reason = "signer may not change this component"
	ReasonCommand      Reason = "unsupported command"
	ReasonParameter    Reason = "unsupported parameter"
	ReasonUnsupported  Reason = "unsupported feature"
	ReasonCondition    Reason = "condition not met"
	ReasonOperation    Reason = "operation failed"
)

// Conditions that fail in a way worth telling apart.
var (
	// ErrMismatch reports content that differs from the digest or size which the
	// manifest gives.
	ErrMismatch = errors.New("image differs from the manifest")
	// ErrNotForDevice reports a manifest made for another vendor, class or device.
	ErrNotForDevice = errors.New("not made for this device")
	// ErrUnset reports a command whose parameter was not set.
	ErrUnset = errors.New("parameter not set")
	// ErrUnproven reports content that was decrypted with an algorithm which does
	// not authenticate, and then not compared with a digest.
	ErrUnproven = errors.New("decrypted content was not compared with its digest")
)

// An Error is why a manifest was not carried out. Its text is for operators.
type Error struct {
	Stage  Stage
	Reason Reason
	Err    error // details; may wrap the sentinels of this package and of suit

	final bool         // not to be swallowed by try-each: a dependency aborted
	at    *suit.Record // the command that failed first; nil if none did
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Stage, e.Reason)
	}
	return fmt.Sprintf("%s: %s: %v", e.Stage, e.Reason, e.Err)
}

// Unwrap returns the details.
func (e *Error) Unwrap() error { return e.Err }

// refuse makes an *Error.
func refuse(stage Stage, reason Reason, err error) *Error {
	return &Error{Stage: stage, Reason: reason, Err: err}
}

// The values of resource Update Result of LwM2M Firmware Update (object 5
// v1.2, resource 5) that this package uses.
const (
	ResultSuccess             = 1
	ResultNoStorage           = 2
	ResultConnectionLost      = 4
	ResultIntegrity           = 5
	ResultUnsupportedPackage  = 6
	ResultInvalidURI          = 7
	ResultFailed              = 8
	ResultUnsupportedProtocol = 9
)

// resultsByCause go before resultsByReason.
var resultsByCause = []struct {
	err    error
	result int
}{
	{ErrNoSpace, ResultNoStorage},
	{ErrConnection, ResultConnectionLost},
	{ErrMismatch, ResultIntegrity},
	{ErrURI, ResultInvalidURI},
	{ErrScheme, ResultUnsupportedProtocol},
	{cose.ErrDecrypt, ResultIntegrity},
	{cose.ErrNoRecipient, ResultIntegrity},
	{cose.ErrSignature, ResultIntegrity},
}

// resultsByReason is the rest of the mapping; what it does not name is
// ResultFailed.
var resultsByReason = map[Reason]int{
	ReasonEncoding:     ResultUnsupportedPackage,
	ReasonStructure:    ResultUnsupportedPackage,
	ReasonCOSE:         ResultUnsupportedPackage,
	ReasonAlgorithm:    ResultUnsupportedPackage,
	ReasonVersion:      ResultUnsupportedPackage,
	ReasonComponent:    ResultUnsupportedPackage,
	ReasonCommand:      ResultUnsupportedPackage,
	ReasonParameter:    ResultUnsupportedPackage,
	ReasonUnsupported:  ResultUnsupportedPackage,
	ReasonUnauthorised: ResultIntegrity,
}

// innermost returns the *Error that says most: where a condition failed because a
// dependency was refused, the reason of that. It returns nil if there is none.
func innermost(err error) *Error {
	var last *Error
	for {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return last
		}
		last, err = e, e.Err
	}
}

// Result returns the Update Result of the LwM2M Firmware Update object for the
// outcome of an update: ResultSuccess for nil. No specification defines this
// mapping.
func Result(err error) int {
	if err == nil {
		return ResultSuccess
	}
	for _, row := range resultsByCause {
		if errors.Is(err, row.err) {
			return row.result
		}
	}
	if e := innermost(err); e != nil {
		if result, ok := resultsByReason[e.Reason]; ok {
			return result
		}
	}
	return ResultFailed
}
