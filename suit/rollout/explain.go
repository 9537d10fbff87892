package rollout

import (
	"fmt"

	"steward/suit"
)

// explanations say what the failure of a command means. It is never changed.
var explanations = map[suit.Code]string{
	suit.ConditionVendor:              "made for another vendor",
	suit.ConditionClass:               "made for another class of devices",
	suit.ConditionDevice:              "made for another device",
	suit.ConditionImageMatch:          "image digest does not match",
	suit.ConditionImageNotMatch:       "that image is there already",
	suit.ConditionUseBefore:           "the update has expired",
	suit.ConditionComponentSlot:       "no slot of the component fits",
	suit.ConditionCheckContent:        "the component holds something else",
	suit.ConditionDependencyIntegrity: "a manifest that it depends on is not there or not authentic",
	suit.ConditionIsDependency:        "the component holds no manifest",
	suit.ConditionMinimumBattery:      "the battery is too low",
	suit.ConditionUpdateAuthorized:    "the user did not agree",
	suit.ConditionVersion:             "another version is installed than it needs",
	suit.ConditionAbort:               "the manifest itself ends here",
	suit.DirectiveTryEach:             "none of the alternatives fits the device",
	suit.DirectiveFetch:               "the image cannot be fetched",
	suit.DirectiveCopy:                "the image cannot be copied",
	suit.DirectiveWrite:               "the content cannot be written",
	suit.DirectiveSwap:                "the images cannot be exchanged",
	suit.DirectiveInvoke:              "the image does not start",
	suit.DirectiveProcessDependency:   "a manifest that it depends on failed",
}

// Explain returns a failure in words, for example "image digest does not match
// (condition-image-match, component 0)". m is the manifest; nil if it is not known,
// and then only the reason that all devices share is.
func Explain(f *suit.Failure, m *suit.Manifest) string {
	code, ok := commandAt(m, f.Record)
	if !ok {
		return fmt.Sprintf("%s (reason %d, code %d)", f.Reason, uint64(f.Reason), f.Code)
	}
	text, ok := explanations[code]
	if !ok {
		text = f.Reason.String()
	}
	return fmt.Sprintf("%s (%v, component %d)", text, code, f.Record.Component)
}

// commandAt returns the command of a record. Offsets count from the innermost
// sequence: where several commands stand at the same, none is told.
func commandAt(m *suit.Manifest, r suit.Record) (code suit.Code, ok bool) {
	if m == nil || len(r.Manifest) > 0 { // of a dependency, which is not here
		return 0, false
	}
	found := map[suit.Code]bool{}
	for section, sequence := range m.Sections {
		if section.Element() == r.Section {
			commandsAt(sequence, r.Offset, found)
		}
	}
	for code = range found {
	}
	return code, len(found) == 1
}

func commandsAt(s suit.Sequence, offset int, found map[suit.Code]bool) {
	for i := range s {
		if s[i].Offset == offset {
			found[s[i].Code] = true
		}
		for _, inner := range s[i].Sequences {
			commandsAt(inner, offset, found)
		}
	}
}
