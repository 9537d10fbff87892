package rollout

import (
	"fmt"
	"maps"
	"slices"

	"steward/suit"
)

// A Description is an envelope for people.
type Description struct {
	Sequence     uint64
	Digest       suit.Digest
	Signatures   []string // one for each authentication block
	Components   []string
	Dependencies []string
	Steps        []string // what changes the device, in the order of the manifest
	Texts        []string // by the author
	Diagnostic   string   // each command
}

// maxSteps bounds what a page lists of a manifest.
const maxSteps = 200

// Describe reads an envelope. It proves nothing. It returns ErrRelease.
func Describe(envelope []byte) (Description, error) {
	e, err := suit.Decode(envelope, suit.Limits{})
	if err != nil {
		return Description{}, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	m, err := e.Manifest(suit.SHA256, suit.SHA384, suit.SHA512, suit.SHAKE128, suit.SHAKE256)
	if err != nil {
		return Description{}, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	d := Description{Sequence: m.Sequence, Digest: e.Digest, Signatures: e.Signatures(), Diagnostic: e.Inspect()}
	for _, c := range m.Components {
		d.Components = append(d.Components, c.String())
	}
	for _, one := range m.Dependencies {
		if one.Index < len(m.Components) {
			d.Dependencies = append(d.Dependencies, m.Components[one.Index].String())
		}
	}
	for _, section := range []suit.Section{
		suit.SectionDependencies, suit.SectionFetch, suit.SectionCandidate, suit.SectionInstall, suit.SectionLoad,
		suit.SectionInvoke, suit.SectionUninstall,
	} {
		s := stepper{d: &d, m: m, section: section}
		s.sequence(m.Sections[section], []int{0})
	}
	for _, t := range m.Text {
		for _, key := range slices.Sorted(maps.Keys(t.Manifest)) {
			d.Texts = append(d.Texts, t.Language+": "+t.Manifest[key])
		}
	}
	return d, nil
}

// A stepper walks through a section.
type stepper struct {
	d       *Description
	m       *suit.Manifest
	section suit.Section
}

// actions are the commands that change the device, in words. It is never changed.
var actions = map[suit.Code]string{
	suit.DirectiveFetch: "fetch", suit.DirectiveCopy: "copy into", suit.DirectiveWrite: "write",
	suit.DirectiveSwap: "swap", suit.DirectiveInvoke: "start", suit.DirectiveUnlink: "unlink",
	suit.DirectiveProcessDependency: "carry out",
}

// sequence lists what seq does to the components chosen.
func (s *stepper) sequence(seq suit.Sequence, chosen []int) {
	for i := range seq {
		c := &seq[i]
		if c.Code == suit.DirectiveSetComponentIndex {
			chosen = s.choose(c.Index)
		}
		if action, ok := actions[c.Code]; ok {
			for _, n := range chosen {
				s.add(action, n)
			}
		}
		for _, inner := range c.Sequences {
			s.sequence(inner, chosen)
		}
	}
}

// choose returns the components that an index names.
func (s *stepper) choose(x suit.Index) []int {
	if !x.All {
		return x.List
	}
	all := make([]int, len(s.m.Components))
	for n := range all {
		all[n] = n
	}
	return all
}

func (s *stepper) add(action string, n int) {
	if len(s.d.Steps) == maxSteps || n >= len(s.m.Components) {
		return
	}
	s.d.Steps = append(s.d.Steps, fmt.Sprintf("%s: %s %v", s.section, action, s.m.Components[n]))
}
