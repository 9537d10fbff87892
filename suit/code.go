package suit

import "strconv"

// A Code is the number of a command: a condition or a directive (§12.2).
type Code int64

// MaxStandardCode bounds the negative numbers that standards may assign; custom
// commands and parameters lie below -MaxStandardCode (§12).
const MaxStandardCode = 256

// The commands of the manifest, of trust domains and of update management.
// Package process says which of them it carries out.
const (
	ConditionVendor              Code = 1
	ConditionClass               Code = 2
	ConditionImageMatch          Code = 3
	ConditionUseBefore           Code = 4
	ConditionComponentSlot       Code = 5
	ConditionCheckContent        Code = 6
	ConditionDependencyIntegrity Code = 7
	ConditionIsDependency        Code = 8
	DirectiveProcessDependency   Code = 11
	DirectiveSetComponentIndex   Code = 12
	ConditionAbort               Code = 14
	DirectiveTryEach             Code = 15
	DirectiveWrite               Code = 18
	DirectiveSetParameters       Code = 19
	DirectiveOverrideParameters  Code = 20
	DirectiveFetch               Code = 21
	DirectiveCopy                Code = 22
	DirectiveInvoke              Code = 23
	ConditionDevice              Code = 24
	ConditionImageNotMatch       Code = 25
	ConditionMinimumBattery      Code = 26
	ConditionUpdateAuthorized    Code = 27
	ConditionVersion             Code = 28
	DirectiveWait                Code = 29
	DirectiveSwap                Code = 31
	DirectiveRunSequence         Code = 32
	DirectiveUnlink              Code = 33
	DirectiveOverrideMultiple    Code = 34
	DirectiveCopyParams          Code = 35
)

// An argument is the type of what follows a command code (§8.4.10).
type argument int

const (
	argumentAny argument = iota // of a command unknown here
	argumentPolicy
	argumentIndex
	argumentParameters
	argumentAlternatives
	argumentSequence
	argumentMultiple
	argumentCopies
)

// A codeInfo is what the decoder must know of a command.
type codeInfo struct {
	name     string
	argument argument
	shared   bool // may stand in the shared sequence (§8.4.5)
}

// codes describes the commands. It is never changed.
var codes = map[Code]codeInfo{
	ConditionVendor:              {"condition-vendor-identifier", argumentPolicy, true},
	ConditionClass:               {"condition-class-identifier", argumentPolicy, true},
	ConditionImageMatch:          {"condition-image-match", argumentPolicy, true},
	ConditionUseBefore:           {"condition-use-before", argumentPolicy, true},
	ConditionComponentSlot:       {"condition-component-slot", argumentPolicy, true},
	ConditionCheckContent:        {"condition-check-content", argumentPolicy, true},
	ConditionDependencyIntegrity: {"condition-dependency-integrity", argumentPolicy, true},
	ConditionIsDependency:        {"condition-is-dependency", argumentPolicy, true},
	DirectiveProcessDependency:   {"directive-process-dependency", argumentPolicy, false},
	DirectiveSetComponentIndex:   {"directive-set-component-index", argumentIndex, true},
	ConditionAbort:               {"condition-abort", argumentPolicy, true},
	DirectiveTryEach:             {"directive-try-each", argumentAlternatives, true},
	DirectiveWrite:               {"directive-write", argumentPolicy, false},
	DirectiveSetParameters:       {"directive-set-parameters", argumentParameters, true},
	DirectiveOverrideParameters:  {"directive-override-parameters", argumentParameters, true},
	DirectiveFetch:               {"directive-fetch", argumentPolicy, false},
	DirectiveCopy:                {"directive-copy", argumentPolicy, false},
	DirectiveInvoke:              {"directive-invoke", argumentPolicy, false},
	ConditionDevice:              {"condition-device-identifier", argumentPolicy, true},
	ConditionImageNotMatch:       {"condition-image-not-match", argumentPolicy, true},
	ConditionMinimumBattery:      {"condition-minimum-battery", argumentPolicy, true},
	ConditionUpdateAuthorized:    {"condition-update-authorized", argumentPolicy, true},
	ConditionVersion:             {"condition-version", argumentPolicy, true},
	DirectiveWait:                {"directive-wait", argumentPolicy, false},
	DirectiveSwap:                {"directive-swap", argumentPolicy, false},
	DirectiveRunSequence:         {"directive-run-sequence", argumentSequence, true},
	DirectiveUnlink:              {"directive-unlink", argumentPolicy, false},
	DirectiveOverrideMultiple:    {"directive-override-multiple", argumentMultiple, true},
	DirectiveCopyParams:          {"directive-copy-params", argumentCopies, false},
}

// String returns the name of the command, or its number if it has none here.
func (c Code) String() string {
	if info, ok := codes[c]; ok {
		return info.name
	}
	return strconv.FormatInt(int64(c), 10)
}

// Known reports whether a SUIT document defines c.
func (c Code) Known() bool {
	_, ok := codes[c]
	return ok
}

// Condition reports whether c is a known condition: it has no side effect, and
// its failure is soft where the manifest says so.
func (c Code) Condition() bool {
	const prefix = "condition"
	name := codes[c].name
	return len(name) > len(prefix) && name[:len(prefix)] == prefix
}
