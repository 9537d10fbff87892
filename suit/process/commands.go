package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"steward/suit"
)

// A handler carries out a command on component i. Its error becomes the reason
// of the failure unless it is an *Error already.
type handler func(ctx context.Context, m *machine, c *suit.Command, i int) error

// commands is the processor: each command that it carries out, and how. What is
// not here is refused when it is met.
func (o *Options) commands() map[suit.Code]handler {
	table := map[suit.Code]handler{
		suit.ConditionVendor:             identity(suit.ParameterVendor),
		suit.ConditionClass:              identity(suit.ParameterClass),
		suit.ConditionDevice:             identity(suit.ParameterDevice),
		suit.ConditionImageMatch:         imageMatch,
		suit.ConditionImageNotMatch:      imageNotMatch,
		suit.ConditionComponentSlot:      componentSlot,
		suit.ConditionCheckContent:       checkContent,
		suit.ConditionAbort:              abort,
		suit.DirectiveTryEach:            tryEach,
		suit.DirectiveRunSequence:        runSequence,
		suit.DirectiveOverrideParameters: overrideParameters,
		suit.DirectiveOverrideMultiple:   overrideMultiple,
		suit.DirectiveFetch:              fetch,
		suit.DirectiveCopy:               copyComponent,
		suit.DirectiveWrite:              write,
		suit.DirectiveSwap:               swap,
		suit.DirectiveInvoke:             invoke,
	}
	if o.TrustDomains {
		maps.Copy(table, map[suit.Code]handler{
			suit.ConditionDependencyIntegrity: dependencyIntegrity,
			suit.ConditionIsDependency:        isDependency,
			suit.DirectiveProcessDependency:   processDependency,
			suit.DirectiveSetParameters:       setParameters,
			suit.DirectiveUnlink:              unlink,
		})
	}
	maps.Copy(table, o.Management.commands())
	return table
}

// parameters are those that commands of the table use; strict-order is a
// permission that a processor which never reorders may ignore.
func (o *Options) parameters() map[suit.Key]bool {
	understood := map[suit.Key]bool{
		suit.ParameterVendor: true, suit.ParameterClass: true, suit.ParameterDevice: true,
		suit.ParameterImageDigest: true, suit.ParameterImageSize: true, suit.ParameterComponentSlot: true,
		suit.ParameterStrictOrder: true, suit.ParameterSoftFailure: true, suit.ParameterContent: true,
		suit.ParameterURI: true, suit.ParameterSourceComponent: true, suit.ParameterInvokeArgs: true,
		suit.ParameterEncryptionInfo: len(o.Keys) > 0,
	}
	_, understood[suit.ParameterFetchArguments] = o.Fetch.(ArgumentFetcher)
	if o.Management != nil {
		for _, key := range []suit.Key{
			suit.ParameterUseBefore, suit.ParameterMinimumBattery, suit.ParameterUpdatePriority,
			suit.ParameterVersion, suit.ParameterWaitInfo,
		} {
			understood[key] = true
		}
		understood[suit.ParameterComponentDetails] = o.Management.Describe != nil
	}
	for _, c := range o.Custom {
		for _, key := range c.Parameters {
			understood[key] = true
		}
	}
	return understood
}

func abort(context.Context, *machine, *suit.Command, int) error { return errors.New("abort") }

// tryEach runs alternatives until one succeeds (§8.4.10.2).
func tryEach(ctx context.Context, m *machine, c *suit.Command, i int) error {
	var last error
	for _, alternative := range c.Sequences {
		soft, err := m.nested(ctx, alternative, i, true)
		if err == nil {
			return nil
		}
		if !conditionFailed(err) || !soft {
			return err
		}
		last = err
	}
	if c.OrSucceed {
		return nil
	}
	return m.refuse(ReasonCondition, fmt.Errorf("no alternative succeeded, the last one: %w", last))
}

// runSequence runs a sequence whose failure is hard unless it says otherwise.
func runSequence(ctx context.Context, m *machine, c *suit.Command, i int) error {
	soft, err := m.nested(ctx, c.Sequences[0], i, false)
	if err != nil && conditionFailed(err) && soft {
		return nil
	}
	return err
}

// nested runs a sequence for one component. soft-failure has the given value at
// its beginning and returns to what it was at its end, as does the selection.
func (m *machine) nested(ctx context.Context, seq suit.Sequence, i int, soft bool) (softly bool, err error) {
	outer, selected := m.soft, m.selected
	m.soft, m.selected = &soft, []int{i}
	err = m.sequence(ctx, seq)
	m.soft, m.selected = outer, selected
	return soft, err
}

// conditionFailed reports whether err is the failure of a condition.
func conditionFailed(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Reason == ReasonCondition && !e.final
}

// overrideParameters sets parameters of one component (§8.4.10.6).
func overrideParameters(_ context.Context, m *machine, c *suit.Command, i int) error {
	return m.set(m.id(i), c.Parameters, true)
}

// setParameters sets those parameters that are not set: a manifest on which this
// one is a dependency has the last word (draft-ietf-suit-trust-domains §6.3).
func setParameters(_ context.Context, m *machine, c *suit.Command, i int) error {
	return m.set(m.id(i), c.Parameters, false)
}

// overrideMultiple sets parameters of several components, whatever is selected.
func overrideMultiple(_ context.Context, m *machine, c *suit.Command, i int) error {
	at := slices.IndexFunc(c.PerComponent, func(o suit.Override) bool { return o.Component == i })
	return m.set(m.id(i), c.PerComponent[at].Parameters, true)
}

func (m *machine) set(id suit.ComponentID, list []suit.Parameter, override bool) error {
	for _, p := range list {
		if !m.p.parameters[p.Key] {
			return m.unknown(p.Key)
		}
		if p.Key == suit.ParameterSoftFailure {
			if m.soft == nil {
				return errors.New("soft-failure set outside try-each and run-sequence")
			}
			*m.soft = p.Bool()
			continue
		}
		if m.parameters[id] == nil {
			m.parameters[id] = map[suit.Key]setting{}
		}
		if _, taken := m.parameters[id][p.Key]; override || !taken {
			m.parameters[id][p.Key] = setting{Parameter: p, by: m.k}
		}
	}
	return nil
}

// unknown refuses a parameter that no command here would heed.
func (m *machine) unknown(key suit.Key) error {
	err := fmt.Errorf("%v", key)
	if key.Known() {
		err = fmt.Errorf("%w: %v", suit.ErrNotImplemented, key)
	}
	return m.refuse(ReasonParameter, err)
}
