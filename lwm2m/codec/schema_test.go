package codec_test

import (
	"encoding/json"
	"slices"
	"strings"

	"steward/lwm2m"
)

// kinds is a schema made of the kinds that vectors expect.
type kinds map[[2]uint16]lwm2m.ResourceInfo

func (k kinds) Resource(object, resource uint16) (lwm2m.ResourceInfo, bool) {
	info, ok := k[[2]uint16{object, resource}]
	return info, ok
}

// schema prefers what a case itself says: some paths are placeholders.
type schema struct{ own, rest kinds }

func (s schema) Resource(object, resource uint16) (lwm2m.ResourceInfo, bool) {
	if info, ok := s.own.Resource(object, resource); ok {
		return info, true
	}
	return s.rest.Resource(object, resource)
}

func schemaOf(cases ...vector) kinds {
	out := kinds{}
	for _, c := range cases {
		var rows [][]any
		if json.Unmarshal(c.Decoded, &rows) != nil {
			continue
		}
		for _, r := range rows {
			name, _ := r[0].(string)
			kind, _ := r[1].(string)
			k, _ := lwm2m.ParseKind(kind)
			for name != "" && (name[1] < '0' || name[1] > '9') { // a prefix
				_, rest, _ := strings.Cut(name[1:], "/")
				name = "/" + rest
			}
			p, err := lwm2m.ParsePath(strings.ReplaceAll(name, "/65535/", "/0/"))
			if err == nil && p.Len() >= 3 {
				out[[2]uint16{p.ID(0), p.ID(2)}] = lwm2m.ResourceInfo{Kind: k, Multiple: p.Len() == 4}
			}
		}
	}
	return out
}

func equal(a, b lwm2m.Pack) bool {
	if len(a.Entries) != len(b.Entries) {
		return false
	}
	for i, x := range a.Entries {
		y := b.Entries[i]
		if x.Path != y.Path || x.Value != y.Value || !x.Time.Equal(y.Time) || a.Prefix(i) != b.Prefix(i) {
			return false
		}
	}
	return true
}

// sorted returns p in the order of prefixes and paths.
func sorted(p lwm2m.Pack) lwm2m.Pack {
	order := make([]int, len(p.Entries))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if c := strings.Compare(p.Prefix(i), p.Prefix(j)); c != 0 {
			return c
		}
		return p.Entries[i].Path.Compare(p.Entries[j].Path)
	})
	var out lwm2m.Pack
	for _, i := range order {
		out.Add(p.Prefix(i), p.Entries[i])
	}
	return out
}
