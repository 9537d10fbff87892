package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

	path       []int        // from the root manifest to the dependency k, by component indices; empty in the root
	walk       []int        // the same, counting dependencies, as reports do
	stage      suit.Section // section of the root manifest
	section    suit.Section // section of k: the same, or the shared sequence
	parameters map[suit.ComponentID]map[suit.Key]setting
	selected   []int
	steps      int   // commands carried out in this procedure
	soft       *bool // parameter soft-failure; nil outside try-each and run-sequence

	verified   map[link]*Package // dependencies whose integrity was verified
	unproven   map[suit.ComponentID]bool
	references map[suit.ComponentID]int // nil until something is unlinked
	measured   []suit.Parameter         // by the present command, for reports
}

// A setting is a parameter and the manifest that set it: URIs of integrated
// payloads and component indices mean those of that manifest.
type setting struct {
	suit.Parameter

	by *Package
}

func (k *Package) machine(area Staging) *machine {
	return &machine{
		p: k.p, k: k, area: area, parameters: map[suit.ComponentID]map[suit.Key]setting{},
		verified: map[link]*Package{}, unproven: map[suit.ComponentID]bool{},
	}
}

// run runs one section, if the manifest has it, after the shared sequence.
func (m *machine) run(ctx context.Context, section suit.Section) error {
	if len(m.path) == 0 {
		m.stage = section
	}
	seq, ok := m.k.Manifest.Sections[section]
	if !ok {
		if _, severed := m.k.Manifest.Severed[section.Element()]; severed {
			m.section = section
			return m.refuse(ReasonOperation, errors.New("section is severed and not available"))
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
	for _, i := range m.targets(c) {
		if err := m.step(ctx); err != nil {
			return err
		}
		if m.p.o.Trace != nil {
			m.p.o.Trace(Step{
				Path: slices.Clone(m.path), Section: m.section, Offset: c.Offset, Command: c.Code, Component: i,
			})
		}
		m.measured = nil
		err := run(ctx, m, c, i)
		if err != nil {
			err = m.failed(c, err)
		}
		m.record(c, i, err)
		if err != nil {
			return err
		}
	}
	return nil
}

// targets returns the components on which a command runs: those selected, or
// those it names itself.
func (m *machine) targets(c *suit.Command) []int {
	if c.Code != suit.DirectiveOverrideMultiple {
		return slices.Clone(m.selected)
	}
	list := make([]int, 0, len(c.PerComponent))
	for _, o := range c.PerComponent {
		list = append(list, o.Component)
	}
	return list
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

// wrote notes that the content of a component is another now.
func (m *machine) wrote(id suit.ComponentID, proven bool) {
	delete(m.unproven, id)
	if !proven {
		m.unproven[id] = true
	}
	maps.DeleteFunc(m.verified, func(l link, _ *Package) bool { return l.id == id })
}

// proven returns ErrUnproven if content of unknown origin would go into force.
func (m *machine) proven(section suit.Section) error {
	for id := range m.unproven {
		return refuse(Stage(section), ReasonUnauthorised, fmt.Errorf("%w: component %v", ErrUnproven, id))
	}
	return nil
}

// lookUp finds the handler of a command: in the table, or the vendor's own.
func (m *machine) lookUp(c *suit.Command) (handler, error) {
	if run, ok := m.p.commands[c.Code]; ok {
		return run, nil
	}
	if custom, ok := m.p.custom(c.Code); ok {
		return func(ctx context.Context, m *machine, c *suit.Command, i int) error {
			return custom.Run(ctx, m.id(i), c.Encoded())
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

// refuse makes an *Error. Its stage is the section of the root manifest that ran.
func (m *machine) refuse(reason Reason, err error) *Error {
	if len(m.path) > 0 {
		return refuse(Stage(m.stage), reason, fmt.Errorf("dependency %v: %w", m.path, err))
	}
	return refuse(Stage(m.section), reason, err)
}

// parameter returns a parameter of component i, or ErrUnset.
func (m *machine) parameter(i int, key suit.Key) (setting, error) {
	p, ok := m.parameters[m.id(i)][key]
	if !ok {
		return setting{}, fmt.Errorf("%w: %v", ErrUnset, key)
	}
	return p, nil
}

func (m *machine) id(i int) suit.ComponentID { return m.k.id(i) }
