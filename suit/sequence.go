package suit

import (
	"fmt"
)

// A Sequence is a list of commands (§8.4.10), at least one.
type Sequence []Command

// A Command is a condition or a directive with its argument. Which field holds
// the argument depends on the code; the others are zero.
type Command struct {
	Code   Code
	Offset int // bytes from the start of the innermost sequence, for reports

	Policy       Policy      // conditions and most directives
	Index        Index       // set-component-index
	Parameters   []Parameter // override-parameters, set-parameters
	Sequences    []Sequence  // try-each, run-sequence (one)
	OrSucceed    bool        // try-each: succeeds if no alternative does
	PerComponent []Override  // override-multiple
	Copies       []Copy      // copy-params

	argument item
}

// A Policy is a SUIT_Rep_Policy (§8.4.7): which records a report should have.
type Policy uint8

// maxPolicy has all four bits set.
const maxPolicy = 15

// An Index selects components: all of them, or those listed, in that order.
type Index struct {
	All  bool
	List []int

	listed bool // in an array, even if there is but one
}

// An Override gives parameters to one component.
type Override struct {
	Component  int
	Parameters []Parameter
}

// A Copy names parameters to be copied from another component.
type Copy struct {
	Source int // component index
	Keys   []Key
}

// Encoded returns the encoded argument of a decoded command.
func (c *Command) Encoded() []byte { return c.argument }

// ParseSequence reads the content of the byte string of a command sequence of a
// manifest with the given number of components. shared applies the rules of the
// shared sequence. It returns ErrEncoding or ErrStructure.
func ParseSequence(raw []byte, components int, shared bool) (Sequence, error) {
	return parseSequence(raw, indices{components: components}, shared)
}

func parseSequence(raw []byte, x indices, shared bool) (Sequence, error) {
	d := sequenceDecoder{indices: x, shared: shared}
	seq, err := d.sequence(raw, 1)
	if err != nil {
		return nil, err
	}
	// With several components nothing may run before one is chosen (§8.4.10.1).
	if c := seq[0].Code; x.count() > 1 && c != DirectiveSetComponentIndex && c != DirectiveOverrideMultiple {
		return nil, fmt.Errorf("%w: sequence does not begin with %v", ErrStructure, DirectiveSetComponentIndex)
	}
	return seq, nil
}

// A sequenceDecoder holds what the rules of nested sequences depend on.
type sequenceDecoder struct {
	indices indices
	shared  bool
}

func (d sequenceDecoder) sequence(raw []byte, depth int) (Sequence, error) {
	if depth > MaxSequenceDepth {
		return nil, fmt.Errorf("%w: sequences nested deeper than %d", ErrEncoding, MaxSequenceDepth)
	}
	if err := check(raw); err != nil {
		return nil, err
	}
	r := &reader{b: raw}
	n, err := r.count(majorArray)
	if err != nil || n == 0 || n%2 != 0 || n/2 > MaxCommands {
		return nil, fmt.Errorf("%w: sequence of %d items", ErrStructure, n)
	}
	seq := make(Sequence, 0, n/2)
	for range n / 2 {
		at := r.off
		code, err := r.raw()
		if err != nil {
			return nil, err
		}
		argument, err := r.raw()
		if err != nil {
			return nil, err
		}
		command, err := d.command(code, argument, depth)
		if err != nil {
			return nil, fmt.Errorf("command at %d: %w", at, err)
		}
		command.Offset = at
		seq = append(seq, command)
	}
	return seq, nil
}

func (d sequenceDecoder) command(code, argument item, depth int) (Command, error) {
	number, err := code.int()
	if err != nil {
		return Command{}, fmt.Errorf("command code: %w", err)
	}
	c := Command{Code: Code(number), argument: argument}
	info := codes[c.Code]
	if d.shared && !info.shared {
		return Command{}, fmt.Errorf("%w: %v in the shared sequence", ErrStructure, c.Code)
	}
	switch info.argument {
	case argumentPolicy:
		c.Policy, err = policyOf(argument)
	case argumentIndex:
		c.Index, err = d.index(argument)
	case argumentParameters:
		c.Parameters, err = d.parameters(argument)
	case argumentAlternatives:
		c.Sequences, c.OrSucceed, err = d.alternatives(argument, depth)
	case argumentSequence:
		c.Sequences, err = d.nested(argument, depth)
	case argumentMultiple:
		c.PerComponent, err = d.multiple(argument)
	case argumentCopies:
		c.Copies, err = d.copies(argument)
	case argumentAny:
	}
	if err != nil {
		return Command{}, fmt.Errorf("%v: %w", c.Code, err)
	}
	return c, nil
}

func policyOf(i item) (Policy, error) {
	n, err := i.uint()
	if err != nil {
		return 0, fmt.Errorf("reporting policy: %w", err)
	}
	if n > maxPolicy {
		return 0, fmt.Errorf("%w: reporting policy %d", ErrStructure, n)
	}
	return Policy(n), nil
}

// index reads true, one index, or a list of different indices.
func (d sequenceDecoder) index(i item) (Index, error) {
	if all, err := i.bool(); err == nil && all {
		return Index{All: true}, nil
	}
	if i.major() != majorArray {
		n, err := d.component(i)
		return Index{List: []int{n}}, err
	}
	members, err := i.array()
	if err != nil {
		return Index{}, err
	}
	if len(members) == 0 || len(members) > d.indices.count() {
		return Index{}, fmt.Errorf("%w: %d component indices", ErrStructure, len(members))
	}
	seen := make(map[int]bool, len(members))
	index := Index{listed: true}
	for _, m := range members {
		n, err := d.component(m)
		if err != nil {
			return Index{}, err
		}
		if seen[n] {
			return Index{}, fmt.Errorf("%w: component index %d twice", ErrStructure, n)
		}
		seen[n] = true
		index.List = append(index.List, n)
	}
	return index, nil
}

func (d sequenceDecoder) component(i item) (int, error) {
	n, err := i.uint()
	if err != nil {
		return 0, fmt.Errorf("component index: %w", err)
	}
	if !d.indices.has(n) {
		return 0, fmt.Errorf("%w: component index %d of %d", ErrStructure, n, d.indices.count())
	}
	return int(n), nil //nolint:gosec // one of the indices
}

// parameters refuses custom ones in the shared sequence (§8.4.5).
func (d sequenceDecoder) parameters(i item) ([]Parameter, error) {
	list, err := parametersOf(i)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if d.shared && p.Key < 0 {
			return nil, fmt.Errorf("%w: custom parameter %v in the shared sequence", ErrStructure, p.Key)
		}
	}
	return list, nil
}

// alternatives reads at least two sequences and an optional final null.
func (d sequenceDecoder) alternatives(i item, depth int) ([]Sequence, bool, error) {
	members, err := i.array()
	if err != nil {
		return nil, false, err
	}
	last := len(members) - 1
	orSucceed := last >= 0 && members[last].null()
	if orSucceed {
		members = members[:last]
	}
	if len(members) < 2 {
		return nil, false, fmt.Errorf("%w: %d alternatives", ErrStructure, len(members))
	}
	list := make([]Sequence, 0, len(members))
	for _, m := range members {
		one, err := d.nested(m, depth)
		if err != nil {
			return nil, false, err
		}
		list = append(list, one...)
	}
	return list, orSucceed, nil
}

// nested reads one wrapped sequence.
func (d sequenceDecoder) nested(i item, depth int) ([]Sequence, error) {
	content, err := i.bytes()
	if err != nil {
		return nil, err
	}
	seq, err := d.sequence(content, depth+1)
	if err != nil {
		return nil, err
	}
	return []Sequence{seq}, nil
}

// multiple reads a map from component index to parameters.
func (d sequenceDecoder) multiple(i item) ([]Override, error) {
	pairs, err := i.pairs()
	if err != nil || len(pairs) == 0 {
		return nil, fmt.Errorf("%w: not a map with entries", ErrStructure)
	}
	list := make([]Override, 0, len(pairs))
	for _, p := range pairs {
		n, err := d.component(p.key)
		if err != nil {
			return nil, err
		}
		parameters, err := d.parameters(p.value)
		if err != nil {
			return nil, err
		}
		list = append(list, Override{Component: n, Parameters: parameters})
	}
	return list, nil
}

// copies reads a map from component index to the keys of parameters.
func (d sequenceDecoder) copies(i item) ([]Copy, error) {
	pairs, err := i.pairs()
	if err != nil || len(pairs) == 0 {
		return nil, fmt.Errorf("%w: not a map with entries", ErrStructure)
	}
	list := make([]Copy, 0, len(pairs))
	for _, p := range pairs {
		c := Copy{}
		if c.Source, err = d.component(p.key); err != nil {
			return nil, err
		}
		members, err := p.value.array()
		if err != nil || len(members) == 0 {
			return nil, fmt.Errorf("%w: no parameters to copy", ErrStructure)
		}
		for _, m := range members {
			key, err := m.int()
			if err != nil {
				return nil, fmt.Errorf("parameter key: %w", err)
			}
			c.Keys = append(c.Keys, Key(key))
		}
		list = append(list, c)
	}
	return list, nil
}
