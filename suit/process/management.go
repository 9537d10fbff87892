package process

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"steward/suit"
)

// Management answers what update management asks of the device
// (draft-ietf-suit-update-management). A nil field refuses manifests with the
// command that would need it. Errors are the reason why a condition fails.
type Management struct {
	// Now is the time, for condition-use-before.
	Now func() time.Time
	// Battery is the charge in mWh, for condition-minimum-battery.
	Battery func(ctx context.Context) (uint64, error)
	// Authorize asks the user for leave to update, for
	// condition-update-authorized. What a priority means is the device's.
	Authorize func(ctx context.Context, priority int64) error
	// Version is that of the content of a component, for condition-version.
	Version func(ctx context.Context, id suit.ComponentID) (suit.Version, error)
	// Wait returns when all events have come, for directive-wait.
	Wait func(ctx context.Context, w suit.Wait) error
	// Describe gives a component that was written, in area, its metadata. Nil
	// refuses parameter component-metadata.
	Describe func(ctx context.Context, area Staging, id suit.ComponentID, d suit.Metadata) error
}

// commands are those for which there is an answer.
func (g *Management) commands() map[suit.Code]handler {
	if g == nil {
		return nil
	}
	table := map[suit.Code]handler{suit.DirectiveCopyParams: copyParams}
	for _, row := range []struct {
		code suit.Code
		ok   bool
		run  handler
	}{
		{suit.ConditionUseBefore, g.Now != nil, useBefore},
		{suit.ConditionMinimumBattery, g.Battery != nil, minimumBattery},
		{suit.ConditionUpdateAuthorized, g.Authorize != nil, updateAuthorized},
		{suit.ConditionVersion, g.Version != nil, version},
		{suit.DirectiveWait, g.Wait != nil, wait},
	} {
		if row.ok {
			table[row.code] = row.run
		}
	}
	return table
}

// useBefore holds until the time of the parameter, in seconds since 1970.
func useBefore(_ context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterUseBefore)
	if err != nil {
		return err
	}
	now := max(m.p.o.Management.Now().Unix(), 0)
	m.measure(suit.ParameterUseBefore, uint64(now))
	if uint64(now) >= p.Uint() {
		return fmt.Errorf("expired at %d, it is %d", p.Uint(), now)
	}
	return nil
}

func minimumBattery(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterMinimumBattery)
	if err != nil {
		return err
	}
	have, err := m.p.o.Management.Battery(ctx)
	if err != nil {
		return err
	}
	m.measure(suit.ParameterMinimumBattery, have)
	if have < p.Uint() {
		return fmt.Errorf("battery has %d mWh, %d needed", have, p.Uint())
	}
	return nil
}

func updateAuthorized(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterUpdatePriority)
	if err != nil {
		return err
	}
	return m.p.o.Management.Authorize(ctx, p.Int())
}

func version(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterVersion)
	if err != nil {
		return err
	}
	have, err := m.p.o.Management.Version(ctx, m.id(i))
	if err != nil {
		return err
	}
	m.measure(suit.ParameterVersion, suit.VersionMatch{Comparison: suit.Equal, Version: have})
	if want := p.Version(); !want.Holds(have) {
		return fmt.Errorf("version is %v, not %v", have, want)
	}
	return nil
}

func wait(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterWaitInfo)
	if err != nil {
		return err
	}
	return m.p.o.Management.Wait(ctx, p.Wait())
}

// copyParams sets parameters to what they are for other components.
func copyParams(_ context.Context, m *machine, c *suit.Command, i int) error {
	for _, one := range c.Copies {
		for _, key := range one.Keys {
			p, err := m.parameter(one.Source, key)
			if err != nil {
				return err
			}
			if err := m.set(m.id(i), []suit.Parameter{p.Parameter}, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe applies parameter component-metadata, if it is set.
func (m *machine) describe(ctx context.Context, i int) error {
	p, err := m.parameter(i, suit.ParameterComponentDetails)
	if errors.Is(err, ErrUnset) {
		return nil
	}
	return m.p.o.Management.Describe(ctx, m.area, m.id(i), p.Metadata())
}

var errLink = errors.New("symbolic link leads out of the components of the device")

// checkLink refuses a symbolic link to anything but a component of the device:
// otherwise whoever may write one component could reach all files.
func (m *machine) checkLink(ctx context.Context, i int, target []byte) error {
	p, err := m.parameter(i, suit.ParameterComponentDetails)
	if errors.Is(err, ErrUnset) || p.Metadata().FileType != suit.FileSymlink {
		return nil
	}
	path, absolute := strings.CutPrefix(string(target), "/")
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsRune(segment, 0) {
			return fmt.Errorf("%w: %q", errLink, target)
		}
	}
	if _, err := m.p.o.Target.Component(ctx, suit.ComponentPath(path)); err != nil || !absolute {
		return fmt.Errorf("%w: %q", errLink, target)
	}
	return nil
}
