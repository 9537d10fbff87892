package process

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"steward/suit"
)

// A handler carries out a command on component i. Its error becomes the reason
// of the failure unless it is an *Error already.
type handler func(ctx context.Context, m *machine, c *suit.Command, i int) error

// commandTable is the processor: each command that it carries out, and how. What
// is not here is refused when it is met.
func commandTable() map[suit.Code]handler {
	return map[suit.Code]handler{
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
}

// understood are the parameters that commands of the table use; strict-order is
// a permission that a processor which never reorders may ignore.
var understood = map[suit.Key]bool{
	suit.ParameterVendor: true, suit.ParameterClass: true, suit.ParameterDevice: true,
	suit.ParameterImageDigest: true, suit.ParameterImageSize: true, suit.ParameterComponentSlot: true,
	suit.ParameterStrictOrder: true, suit.ParameterSoftFailure: true, suit.ParameterContent: true,
	suit.ParameterURI: true, suit.ParameterSourceComponent: true, suit.ParameterInvokeArgs: true,
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
	return ok && e.Reason == ReasonCondition
}

// overrideParameters sets parameters of one component (§8.4.10.6).
func overrideParameters(_ context.Context, m *machine, c *suit.Command, i int) error {
	return m.set(i, c.Parameters)
}

// overrideMultiple sets parameters of several components, whatever is selected.
func overrideMultiple(_ context.Context, m *machine, c *suit.Command, _ int) error {
	for _, o := range c.PerComponent {
		if err := m.set(o.Component, o.Parameters); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) set(i int, list []suit.Parameter) error {
	for _, p := range list {
		if err := m.accept(p.Key); err != nil {
			return err
		}
		if p.Key == suit.ParameterSoftFailure {
			if m.soft == nil {
				return errors.New("soft-failure set outside try-each and run-sequence")
			}
			*m.soft = p.Bool()
			continue
		}
		m.parameters[i][p.Key] = p
	}
	return nil
}

// accept refuses parameters that no command here would heed.
func (m *machine) accept(key suit.Key) error {
	if understood[key] {
		return nil
	}
	for _, custom := range m.p.o.Custom {
		if slices.Contains(custom.Parameters, key) {
			return nil
		}
	}
	err := fmt.Errorf("%v", key)
	if key.Known() {
		err = fmt.Errorf("%w: %v", suit.ErrNotImplemented, key)
	}
	return m.refuse(ReasonParameter, err)
}
