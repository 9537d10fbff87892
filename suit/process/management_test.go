package process_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"steward/suit"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

// managed is a device of version 1.2 with 100 mWh at time 1000, whose user agrees
// to priorities below zero.
func managed(refuse error) *process.Management {
	return &process.Management{
		Now:     func() time.Time { return time.Unix(1000, 0) },
		Battery: func(context.Context) (uint64, error) { return 100, nil },
		Authorize: func(_ context.Context, priority int64) error {
			if priority < 0 {
				return nil
			}
			return refuse
		},
		Version: func(context.Context, suit.ComponentID) (suit.Version, error) { return suit.Version{1, 2}, nil },
		Wait: func(_ context.Context, w suit.Wait) error {
			if w.Events[suit.WaitTime] > 2000 {
				return refuse
			}
			return nil
		},
		Describe: func(context.Context, process.Staging, suit.ComponentID, suit.Metadata) error { return nil },
	}
}

func TestManagement(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.components[suit.ComponentPath("usr/bin/tool")] = process.Component{Capacity: 64}
	refuse := errors.New("the user says no")
	symlink := []byte{0xa1, 0x05, 0x03}
	link := func(target string) map[suit.Key]any {
		return map[suit.Key]any{suit.ParameterComponentDetails: symlink, suit.ParameterContent: []byte(target)}
	}
	one := func(key suit.Key, value any) map[suit.Key]any { return map[suit.Key]any{key: value} }
	match := func(c suit.Comparison, v ...int64) map[suit.Key]any {
		return one(suit.ParameterVersion, suit.VersionMatch{Comparison: c, Version: v})
	}
	tests := []struct {
		name   string
		set    map[suit.Key]any
		code   suit.Code
		reason process.Reason // empty: succeeds
		text   string
	}{
		{"not expired", one(suit.ParameterUseBefore, uint64(1001)), suit.ConditionUseBefore, "", ""},
		{
			"expires now", one(suit.ParameterUseBefore, uint64(1000)),
			suit.ConditionUseBefore, process.ReasonCondition, "expired",
		},
		{"far future", one(suit.ParameterUseBefore, uint64(1)<<63), suit.ConditionUseBefore, "", ""},
		{"unset", one(suit.ParameterURI, "x"), suit.ConditionUseBefore, process.ReasonCondition, "not set"},
		{"battery", one(suit.ParameterMinimumBattery, uint64(100)), suit.ConditionMinimumBattery, "", ""},
		{
			"battery low", one(suit.ParameterMinimumBattery, uint64(101)),
			suit.ConditionMinimumBattery, process.ReasonCondition, "100 mWh",
		},
		{"urgent", one(suit.ParameterUpdatePriority, int64(-1)), suit.ConditionUpdateAuthorized, "", ""},
		{
			"not urgent", one(suit.ParameterUpdatePriority, int64(1)),
			suit.ConditionUpdateAuthorized, process.ReasonCondition, "says no",
		},
		{"version", match(suit.GreaterEqual, 1, 2), suit.ConditionVersion, "", ""},
		{"version old", match(suit.Greater, 1, 2), suit.ConditionVersion, process.ReasonCondition, "not > 1.2"},
		{
			"wait", one(suit.ParameterWaitInfo, suit.Wait{Events: map[suit.WaitEvent]int64{suit.WaitTime: 1500}}),
			suit.DirectiveWait, "", "",
		},
		{
			"wait too long", one(suit.ParameterWaitInfo, suit.Wait{Events: map[suit.WaitEvent]int64{suit.WaitTime: 2500}}),
			suit.DirectiveWait, process.ReasonOperation, "says no",
		},
		{"link to a component", link("/usr/bin/tool"), suit.DirectiveWrite, "", ""},
		{"link elsewhere", link("/etc/passwd"), suit.DirectiveWrite, process.ReasonOperation, "symbolic link"},
		{"link upwards", link("/usr/bin/../bin/tool"), suit.DirectiveWrite, process.ReasonOperation, "symbolic link"},
		{"relative link", link("usr/bin/tool"), suit.DirectiveWrite, process.ReasonOperation, "symbolic link"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			raw := f.sign(t, &suit.Manifest{
				Version: suit.Version{2, 0}, Components: []suit.ComponentID{f.component},
				Sections: map[suit.Section]suit.Sequence{suit.SectionInstall: {parameters(t, test.set), {Code: test.code}}},
			})
			err := f.managed(t, managed(refuse)).Update(t.Context(), raw)
			e, refused := errors.AsType[*process.Error](err)
			if refused != (test.reason != "") ||
				refused && (e.Reason != test.reason || !strings.Contains(err.Error(), test.text)) {
				t.Errorf("Update = %v, want %q with %q", err, test.reason, test.text)
			}
			for name, m := range map[string]*process.Management{"without management": nil, "without answers": {}} {
				if err := f.managed(t, m).Update(t.Context(), raw); !errors.Is(err, suit.ErrNotImplemented) {
					t.Errorf("%s: Update = %v, want %v", name, err, suit.ErrNotImplemented)
				}
			}
		})
	}
}

func (f *fixture) managed(t *testing.T, m *process.Management) *process.Processor {
	t.Helper()
	p, err := process.New(process.Options{
		Anchors: []process.Anchor{{Key: f.key.Public()}}, Management: m,
		Target: processtest.Open(processtest.NewDisk(), f.components, nil),
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p
}

// TestAccess lets a signer use some commands and parameters only (§9).
func TestAccess(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	raw := f.envelope(t, 1, f.old, true)
	commands := []suit.Code{
		suit.DirectiveOverrideParameters, suit.ConditionVendor, suit.ConditionClass, suit.DirectiveFetch,
		suit.ConditionImageMatch,
	}
	keys := []suit.Key{
		suit.ParameterVendor, suit.ParameterClass, suit.ParameterImageDigest, suit.ParameterImageSize, suit.ParameterURI,
	}
	tests := []struct {
		name   string
		anchor process.Anchor
		ok     bool
	}{
		{"all", process.Anchor{}, true},
		{"just these", process.Anchor{Commands: append(commands, suit.DirectiveInvoke), Parameters: keys}, true},
		{"not invoke", process.Anchor{Commands: commands}, false},
		{"not the URI", process.Anchor{Parameters: keys[:4]}, false},
		{"no parameter", process.Anchor{Parameters: []suit.Key{}}, false},
	}
	for _, test := range tests {
		test.anchor.Key = f.key.Public()
		p, err := process.New(process.Options{
			Anchors:  []process.Anchor{test.anchor},
			Identity: process.Identity{Vendors: [][]byte{f.vendor[:]}, Classes: [][]byte{f.class[:]}},
			Target:   processtest.Open(processtest.NewDisk(), f.components, nil),
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		err = p.Update(t.Context(), raw)
		e, refused := errors.AsType[*process.Error](err)
		if refused == test.ok || refused && e.Reason != process.ReasonAccess {
			t.Errorf("%s: Update = %v", test.name, err)
		}
	}
}
