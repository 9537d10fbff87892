package process

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"steward/suit"
)

// A machine runs the sections of one procedure (§6.4). Parameters belong to
// components and are kept from section to section; the selection of components
// starts anew in each.
type machine struct {
	p    *Processor
	k    *Package
	area Staging

	section    suit.Section
	parameters []map[suit.Key]suit.Parameter // by component index
	selected   []int
	steps      int   // commands carried out in this procedure
	soft       *bool // parameter soft-failure; nil outside try-each and run-sequence
}

func (k *Package) machine(area Staging) *machine {
	m := &machine{p: k.p, k: k, area: area}
	for range k.Manifest.Components {
		m.parameters = append(m.parameters, map[suit.Key]suit.Parameter{})
	}
	return m
}

// sectionElement names the element in which a severable section stands.
var sectionElement = map[suit.Section]suit.Element{
	suit.SectionFetch:   suit.ElementPayloadFetch,
	suit.SectionInstall: suit.ElementInstall,
}

// run runs one section, if the manifest has it, after the shared sequence.
func (m *machine) run(ctx context.Context, section suit.Section) error {
	seq, ok := m.k.Manifest.Sections[section]
	if !ok {
		element, severable := sectionElement[section]
		if _, severed := m.k.Manifest.Severed[element]; severable && severed {
			return refuse(Stage(section), ReasonOperation, errors.New("section is severed and not available"))
		}
		return nil
	}
	if err := m.top(ctx, suit.SectionShared, m.k.Manifest.Sections[suit.SectionShared]); err != nil {
		return err
	}
	return m.top(ctx, section, seq)
}

// top runs a sequence that is not nested. It begins with component 0 selected:
// manifests of one component do not select it.
func (m *machine) top(ctx context.Context, section suit.Section, seq suit.Sequence) error {
	m.section, m.selected, m.soft = section, []int{0}, nil
	return m.sequence(ctx, seq)
}

// sequence runs commands until one fails.
func (m *machine) sequence(ctx context.Context, seq suit.Sequence) error {
	for i := range seq {
		if err := m.command(ctx, &seq[i]); err != nil {
			return err
		}
	}
	return nil
}

// command runs one command, once for each selected component.
func (m *machine) command(ctx context.Context, c *suit.Command) error {
	if c.Code == suit.DirectiveSetComponentIndex {
		m.selected = m.selection(c.Index)
		return nil
	}
	run, err := m.lookUp(c)
	if err != nil {
		return err
	}
	for _, i := range slices.Clone(m.selected) {
		if err := m.step(ctx); err != nil {
			return err
		}
		if m.p.o.Trace != nil {
			m.p.o.Trace(Step{Section: m.section, Offset: c.Offset, Command: c.Code, Component: i})
		}
		if err := run(ctx, m, c, i); err != nil {
			return m.failed(c, err)
		}
	}
	return nil
}

// maxSteps bounds the commands of one procedure: nested sequences that select all
// components again multiply. A/B updates of 32 components stay below 2000.
const maxSteps = 10_000

// step counts one command and returns an error if the procedure must end.
func (m *machine) step(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return m.refuse(ReasonOperation, err)
	}
	if m.steps++; m.steps > maxSteps {
		return m.refuse(ReasonOperation, fmt.Errorf("more than %d commands", maxSteps))
	}
	return nil
}

func (m *machine) selection(x suit.Index) []int {
	if !x.All {
		return x.List
	}
	all := make([]int, len(m.k.Manifest.Components))
	for i := range all {
		all[i] = i
	}
	return all
}

// lookUp finds the handler of a command: in the table, or the vendor's own.
func (m *machine) lookUp(c *suit.Command) (handler, error) {
	if run, ok := m.p.commands[c.Code]; ok {
		return run, nil
	}
	if custom, ok := m.p.custom(c.Code); ok {
		return func(ctx context.Context, m *machine, c *suit.Command, i int) error {
			return custom.Run(ctx, m.k.Manifest.Components[i], c.Encoded())
		}, nil
	}
	err := fmt.Errorf("%v", c.Code)
	if c.Code.Known() {
		err = fmt.Errorf("%w: %v", suit.ErrNotImplemented, c.Code)
	}
	return nil, m.refuse(ReasonCommand, err)
}

// failed makes an *Error of what a handler returned. The failure of a condition
// is one that try-each and run-sequence may swallow, that of a directive not.
func (m *machine) failed(c *suit.Command, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	reason := ReasonOperation
	if c.Code.Condition() {
		reason = ReasonCondition
	}
	return m.refuse(reason, fmt.Errorf("%v: %w", c.Code, err))
}

func (m *machine) refuse(reason Reason, err error) *Error {
	return refuse(Stage(m.section), reason, err)
}

// parameter returns a parameter of component i, or ErrUnset.
func (m *machine) parameter(i int, key suit.Key) (suit.Parameter, error) {
	p, ok := m.parameters[i][key]
	if !ok {
		return suit.Parameter{}, fmt.Errorf("%w: %v", ErrUnset, key)
	}
	return p, nil
}

func (m *machine) id(i int) suit.ComponentID { return m.k.Manifest.Components[i] }
