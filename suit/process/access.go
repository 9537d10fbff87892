package process

import (
	"slices"

	"steward/suit"
)

// permits reports whether the holder of the key may have a manifest with these
// components, commands and parameters carried out (§9). Components that are only
// read, such as the source of a copy, count as well.
func (a *anchor) permits(m *suit.Manifest, ids []suit.ComponentID) bool {
	if len(a.Components) > 0 {
		for _, id := range ids {
			if !slices.ContainsFunc(a.Components, id.HasPrefix) {
				return false
			}
		}
	}
	for _, seq := range m.Sections {
		if !a.permitsAll(seq) {
			return false
		}
	}
	return true
}

func (a *anchor) permitsAll(seq suit.Sequence) bool {
	for _, c := range seq {
		if a.Commands != nil && !slices.Contains(a.Commands, c.Code) || !a.permitsParameters(c) {
			return false
		}
		for _, nested := range c.Sequences {
			if !a.permitsAll(nested) {
				return false
			}
		}
	}
	return true
}

func (a *anchor) permitsParameters(c suit.Command) bool {
	if a.Parameters == nil {
		return true
	}
	list := slices.Clone(c.Parameters)
	for _, o := range c.PerComponent {
		list = append(list, o.Parameters...)
	}
	return !slices.ContainsFunc(list, func(p suit.Parameter) bool { return !slices.Contains(a.Parameters, p.Key) })
}
