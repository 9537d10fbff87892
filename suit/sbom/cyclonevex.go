package sbom

import (
	"cmp"
	"fmt"
	"strings"
)

type cycloneVulnerability struct {
	ID          string `json:"id"`
	Description string `json:"description"`
	References  []struct {
		ID string `json:"id"`
	} `json:"references"`
	Ratings []struct {
		Severity string `json:"severity"`
		Vector   string `json:"vector"`
	} `json:"ratings"`
	Analysis struct {
		State         string   `json:"state"`
		Justification string   `json:"justification"`
		Detail        string   `json:"detail"`
		Response      []string `json:"response"`
	} `json:"analysis"`
	Affects []cycloneAffected `json:"affects"`
}

type cycloneAffected struct {
	Ref      string `json:"ref"`
	Versions []struct {
		Version string `json:"version"`
		Range   string `json:"range"`
		Status  string `json:"status"`
	} `json:"versions"`
}

// analysisStates maps what CycloneDX calls the states of an analysis. It is never
// changed.
var analysisStates = map[string]Status{
	"exploitable": Affected, "in_triage": Investigation, "not_affected": NotAffected, "false_positive": NotAffected,
	"resolved": Fixed, "resolved_with_pedigree": Fixed, "": Affected,
}

func parseCycloneList(raw []byte) (List, error) {
	d, err := readCyclone(raw)
	if err != nil {
		return List{}, err
	}
	b, err := d.bill()
	if err != nil {
		return List{}, err
	}
	if len(d.Vulnerabilities) == 0 {
		return List{}, fmt.Errorf("%w: no vulnerabilities", ErrSyntax)
	}
	parts := map[string]Part{}
	for _, p := range append(b.Parts, b.Main) {
		parts[p.Ref] = p
	}
	l := List{Format: b.Format}
	for i := range d.Vulnerabilities {
		a, err := d.Vulnerabilities[i].advisory(parts)
		if err != nil {
			return l, err
		}
		if err := l.add(a); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (v *cycloneVulnerability) advisory(parts map[string]Part) (Advisory, error) {
	a := Advisory{ID: v.ID, Summary: v.Description}
	for _, r := range v.References {
		if r.ID != "" && len(a.Aliases) < maxAliases {
			a.Aliases = append(a.Aliases, r.ID)
		}
	}
	for _, r := range v.Ratings {
		a.Severity = cmp.Or(a.Severity, r.Severity, r.Vector)
	}
	status, ok := analysisStates[v.Analysis.State]
	if !ok {
		return a, fmt.Errorf("%w: analysis state %.40q", ErrSyntax, v.Analysis.State)
	}
	words := []string{strings.ReplaceAll(v.Analysis.Justification, "_", " "), v.Analysis.Detail}
	words = append(words, v.Analysis.Response...)
	s := Statement{
		Status: status, Analysed: v.Analysis.State != "",
		Detail: strings.TrimPrefix(strings.Join(words, ": "), ": "),
	}
	for i := range v.Affects {
		one, err := v.Affects[i].statements(s, parts)
		if err != nil {
			return a, err
		}
		a.Statements = append(a.Statements, one...)
	}
	return a, nil
}

// statements are about a component of the document, or of another one to which a
// BOM-Link leads: urn:cdx:serial/version#bom-ref.
func (c *cycloneAffected) statements(base Statement, parts map[string]Part) ([]Statement, error) {
	only := c.name(&base, parts)
	if len(c.Versions) == 0 {
		if only != "" {
			base.Versions = []string{only}
		}
		return []Statement{base}, nil
	}
	byStatus := map[Status]*Statement{}
	var out []Statement
	for _, v := range c.Versions {
		status := base.Status
		switch v.Status {
		case "unaffected":
			status = NotAffected
		case "unknown":
			status = Investigation
		}
		s := byStatus[status]
		if s == nil {
			one := base
			one.Status, s = status, &one
			byStatus[status] = s
		}
		if err := s.addVersion(v.Version, v.Range); err != nil {
			return nil, err
		}
	}
	for _, status := range []Status{Affected, Investigation, Fixed, NotAffected} {
		if s := byStatus[status]; s != nil {
			out = append(out, *s)
		}
	}
	return out, nil
}

// name says which component s is about, and returns its version, "" if unsaid.
func (c *cycloneAffected) name(s *Statement, parts map[string]Part) (version string) {
	s.Ref = c.Ref
	if _, ref, linked := strings.Cut(c.Ref, "#"); linked && strings.HasPrefix(c.Ref, "urn:cdx:") {
		s.Ref = ref
	}
	p, known := parts[s.Ref]
	if !known {
		p.PURL = s.Ref // many tools name components by it
	}
	s.Name = p.Name
	u, err := parsePURL(p.PURL)
	if err == nil {
		s.Key = u.key
	}
	return cmp.Or(p.Version, u.version)
}

func (s *Statement) addVersion(version, vers string) error {
	if version != "" {
		s.Versions = append(s.Versions, version)
	}
	if vers == "" {
		return nil
	}
	ranges, versions, err := parseVers(vers)
	s.Ranges, s.Versions = append(s.Ranges, ranges...), append(s.Versions, versions...)
	return err
}

// parseVers reads a version range: vers:type/constraint|constraint, where
// constraints come in the order of versions (ECMA-428).
func parseVers(text string) (ranges []Range, versions []string, err error) {
	rest, ok := strings.CutPrefix(text, "vers:")
	_, list, slash := strings.Cut(rest, "/")
	if !ok || !slash || list == "" || len(text) > maxName*2 {
		return nil, nil, fmt.Errorf("%w: version range %.60q", ErrSyntax, text)
	}
	open := false
	upper := func(set func(*Range)) {
		if !open {
			ranges = append(ranges, Range{})
		}
		set(&ranges[len(ranges)-1])
		open = false
	}
	for constraint := range strings.SplitSeq(list, "|") {
		constraint = strings.TrimSpace(constraint)
		switch {
		case constraint == "*":
			ranges, open = append(ranges, Range{}), false
		case strings.HasPrefix(constraint, ">="):
			ranges, open = append(ranges, Range{From: constraint[2:]}), true
		case strings.HasPrefix(constraint, "<="):
			upper(func(r *Range) { r.Through = constraint[2:] })
		case strings.HasPrefix(constraint, ">"):
			ranges, open = append(ranges, Range{After: constraint[1:]}), true
		case strings.HasPrefix(constraint, "<"):
			upper(func(r *Range) { r.Before = constraint[1:] })
		case constraint == "" || strings.HasPrefix(constraint, "!"):
			return nil, nil, fmt.Errorf("%w: version range %.60q", ErrSyntax, text)
		default:
			versions = append(versions, strings.TrimPrefix(constraint, "="))
		}
	}
	return ranges, versions, nil
}
