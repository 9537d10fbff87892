package rollout

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"steward/suit"
	"steward/suit/author"
)

// Requirements are what a manifest asks of a device that is to accept it. The
// manifest is the only policy: nobody writes down again what it says.
type Requirements struct {
	// Vendors, Classes and Devices are the identifiers that its conditions name, in
	// any alternative; nil if there is no such condition.
	Vendors, Classes, Devices [][]byte
	Sequence                  uint64
	Components                []suit.ComponentID // without those that hold manifests or pass images on
	Size                      uint64             // of all images together, bytes; 0: the manifest does not say
	Schemes                   []string           // of the URIs that the device fetches from, sorted
}

// RequirementsOf reads an envelope. It returns ErrRelease.
func RequirementsOf(envelope []byte) (Requirements, error) {
	e, err := suit.Decode(envelope, suit.Limits{})
	if err != nil {
		return Requirements{}, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	m, err := e.Manifest()
	if err != nil {
		return Requirements{}, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	q := Requirements{Sequence: m.Sequence}
	passing := map[uint64]bool{} // components that only hold what goes elsewhere
	for i := range m.Components {
		set := m.Parameters(i)
		q.Size += set[suit.ParameterImageSize].Uint()
		if source, ok := set[suit.ParameterSourceComponent]; ok {
			passing[source.Uint()] = true
		}
	}
	for i, id := range m.Components {
		if _, manifest := m.Dependency(i); !manifest && !passing[uint64(i)] {
			q.Components = append(q.Components, id)
		}
	}
	conditions, values := map[suit.Code]bool{}, map[suit.Key][][]byte{}
	for _, s := range m.Sections {
		survey(s, conditions, values)
	}
	q.Vendors = asked(conditions[suit.ConditionVendor], values[suit.ParameterVendor])
	q.Classes = asked(conditions[suit.ConditionClass], values[suit.ParameterClass])
	q.Devices = asked(conditions[suit.ConditionDevice], values[suit.ParameterDevice])
	for _, uri := range values[suit.ParameterURI] {
		if u, err := url.Parse(string(uri)); err == nil && u.Scheme != "" {
			q.Schemes = append(q.Schemes, strings.ToLower(u.Scheme))
		}
	}
	slices.Sort(q.Schemes)
	q.Schemes = slices.Compact(q.Schemes)
	return q, nil
}

func asked(condition bool, values [][]byte) [][]byte {
	if !condition {
		return nil
	}
	return values
}

// survey notes which conditions a sequence has, in any alternative, and what it sets
// the parameters to.
func survey(s suit.Sequence, conditions map[suit.Code]bool, values map[suit.Key][][]byte) {
	note := func(parameters []suit.Parameter) {
		for _, p := range parameters {
			if p.Key == suit.ParameterURI {
				values[p.Key] = append(values[p.Key], []byte(p.Text()))
				continue
			}
			values[p.Key] = append(values[p.Key], p.Bytes())
		}
	}
	for i := range s {
		conditions[s[i].Code] = true
		note(s[i].Parameters)
		for _, o := range s[i].PerComponent {
			note(o.Parameters)
		}
		for _, inner := range s[i].Sequences {
			survey(inner, conditions, values)
		}
	}
}

// identifiers returns UUIDs in words.
func identifiers(list [][]byte) string {
	words := make([]string, 0, len(list))
	for _, b := range list {
		words = append(words, uuidText(b))
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " or ")
}

// identifier reads what a device calls itself: a UUID as text or in bytes. It
// returns nil for what is none.
func identifier(text string) []byte {
	if id, err := author.ParseUUID(strings.TrimPrefix(strings.ToLower(text), "urn:uuid:")); err == nil {
		return id[:]
	}
	if len(text) == len(author.UUID{}) {
		return []byte(text)
	}
	return nil
}
