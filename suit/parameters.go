package suit

import "slices"

// Parameters returns the parameters that the manifest gives to a component
// before its image is fetched or copied, as far as they are certain: those set
// by the shared sequence and by the sections for updates, outside try-each and
// run-sequence. It tells a server for which devices a manifest is made and what
// it will fetch; a processor takes them as it runs.
func (m *Manifest) Parameters(component int) map[Key]Parameter {
	found := make(map[Key]Parameter)
	for _, section := range []Section{SectionShared, SectionFetch, SectionInstall} {
		selected := Index{List: []int{0}}
		for _, c := range m.Sections[section] {
			if c.Code == DirectiveSetComponentIndex {
				selected = c.Index
				continue
			}
			for _, p := range c.sets(component, selected) {
				found[p.Key] = p
			}
		}
	}
	return found
}

// sets returns what c sets for a component.
func (c *Command) sets(component int, selected Index) []Parameter {
	for _, o := range c.PerComponent {
		if o.Component == component {
			return o.Parameters
		}
	}
	if c.Code == DirectiveOverrideParameters && (selected.All || slices.Contains(selected.List, component)) {
		return c.Parameters
	}
	return nil
}
