package sbom

import (
	"cmp"
	"slices"
	"strings"
)

// A Finding is a part of a bill that a vulnerability concerns.
type Finding struct {
	Vulnerability string   `json:"vulnerability"` // its CVE, if it has one
	Aliases       []string `json:"aliases,omitempty"`
	Summary       string   `json:"summary,omitempty"`
	Severity      string   `json:"severity,omitempty"`
	Part          Part     `json:"part"`
	Status        Status   `json:"status"`
	Detail        string   `json:"detail,omitempty"`
	FixedIn       string   `json:"fixed_in,omitempty"` // first versions without it, as far as lists say
	Analysed      bool     `json:"analysed,omitempty"` // somebody looked at this product
}

// A matcher holds a bill by what lists call its parts.
type matcher struct {
	bill     Bill
	main     purl
	byKey    map[string][]int
	byRef    map[string][]int
	byName   map[string][]int // only those without a package URL
	aliases  map[string]string
	findings map[finding]*Finding
}

// A finding names a vulnerability of a part.
type finding struct {
	vulnerability string
	part          int
}

// Match returns what lists, the oldest first, say of the parts of b: those affected
// first. A statement about a product counts more than an entry of a database, and a
// later one more than an earlier one. A part whose version is not known, or that is
// known by name only, is under investigation rather than affected.
func (b Bill) Match(lists ...List) []Finding {
	m := newMatcher(b)
	for i := range lists {
		m.learn(&lists[i])
	}
	for _, analysed := range []bool{false, true} {
		for i := range lists {
			for n := range lists[i].Advisories {
				m.advisory(&lists[i].Advisories[n], analysed)
			}
		}
	}
	out := make([]Finding, 0, len(m.findings))
	for _, f := range m.findings {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(order[a.Status], order[b.Status]), cmp.Compare(a.Vulnerability, b.Vulnerability),
			cmp.Compare(a.Part.Name, b.Part.Name), cmp.Compare(a.Part.Version, b.Part.Version),
			cmp.Compare(a.Part.Ref, b.Part.Ref))
	})
	return out
}

// order puts first what needs people most.
var order = map[Status]int{Affected: 0, Investigation: 1, Fixed: 2, NotAffected: 3}

func newMatcher(b Bill) *matcher {
	m := &matcher{
		bill: b, byKey: map[string][]int{}, byRef: map[string][]int{}, byName: map[string][]int{},
		aliases: map[string]string{}, findings: map[finding]*Finding{},
	}
	m.main, _ = parsePURL(b.Main.PURL) // none: nothing is known of the whole
	if m.main.version == "" {
		m.main.version = b.Main.Version
	}
	for i := range b.Parts {
		p := &b.Parts[i]
		if p.Ref != "" {
			m.byRef[p.Ref] = append(m.byRef[p.Ref], i)
		}
		if u, err := parsePURL(p.PURL); err == nil {
			m.byKey[u.key] = append(m.byKey[u.key], i)
			continue
		}
		folded := strings.ToLower(p.Name)
		m.byName[folded] = append(m.byName[folded], i)
	}
	return m
}

// learn notes under which name each vulnerability goes.
func (m *matcher) learn(l *List) {
	for i := range l.Advisories {
		a := &l.Advisories[i]
		best := a.canonical()
		for _, n := range append([]string{a.ID}, a.Aliases...) {
			if known := m.aliases[n]; known == "" || !strings.HasPrefix(known, "CVE-") {
				m.aliases[n] = best
			}
		}
	}
}

// advisory applies the statements of one kind.
func (m *matcher) advisory(a *Advisory, analysed bool) {
	id := cmp.Or(m.aliases[a.ID], a.ID)
	for i := range a.Statements {
		s := &a.Statements[i]
		if s.Analysed != analysed {
			continue
		}
		if m.whole(s) {
			m.all(id, s)
			continue
		}
		if s.Product != "" && !m.is(s.Product, s.ProductVersion) {
			continue
		}
		for part, certain := range m.parts(s) {
			m.find(id, a, s, part, certain)
		}
	}
}

// is reports whether the bill is of that product.
func (m *matcher) is(key, version string) bool {
	same := version == "" || m.main.version == "" || compare(version, m.main.version) == 0
	return m.main.key != "" && key == m.main.key && same
}

// whole reports whether s is about all that the bill is of.
func (m *matcher) whole(s *Statement) bool {
	if s.Ref != "" && s.Ref == m.bill.Main.Ref {
		return true
	}
	if s.Key == "" || s.Product != "" || len(m.byKey[s.Key]) > 0 {
		return false
	}
	version := ""
	if len(s.Versions) == 1 {
		version = s.Versions[0]
	}
	return m.is(s.Key, version)
}

// all applies a statement about the whole to what is known of its parts.
func (m *matcher) all(id string, s *Statement) {
	for key, f := range m.findings {
		if key.vulnerability == id {
			f.Status, f.Detail, f.Analysed = s.Status, s.Detail, s.Analysed
		}
	}
}

// parts returns the parts that s names, and whether it does so for certain.
func (m *matcher) parts(s *Statement) map[int]bool {
	out := map[int]bool{}
	for _, i := range m.byName[strings.ToLower(s.Name)] {
		out[i] = false
	}
	for _, i := range slices.Concat(m.byRef[s.Ref], m.byKey[s.Key]) {
		out[i] = true
	}
	return out
}

// find notes what s says of a part, if it means its version.
func (m *matcher) find(id string, a *Advisory, s *Statement, part int, certain bool) {
	p := m.bill.Parts[part]
	status, detail := s.Status, s.Detail
	switch meant := s.means(p.Version); {
	case meant == no:
		return
	case status == Affected && meant == perhaps:
		status, detail = Investigation, "the bill does not say which version this is"
	case status == Affected && !certain:
		status, detail = Investigation, "known by its name only"
	}
	key := finding{id, part}
	f := m.findings[key]
	if f == nil {
		f = &Finding{Vulnerability: id, Part: p}
		m.findings[key] = f
	} else if f.Status == Affected && status == Investigation && !s.Analysed {
		return // an entry that is more certain stands
	}
	f.Status, f.Detail, f.Analysed = status, detail, s.Analysed
	f.Summary, f.Severity = cmp.Or(f.Summary, a.Summary), cmp.Or(f.Severity, a.Severity)
	for _, n := range append([]string{a.ID}, a.Aliases...) {
		if n != id && !slices.Contains(f.Aliases, n) {
			f.Aliases = append(f.Aliases, n)
		}
	}
	if fixed := s.fixedAfter(p.Version); fixed != "" {
		f.FixedIn = fixed
	}
}

// The answers of means.
const (
	no = iota
	perhaps
	yes
)

// means reports whether s is about a version.
func (s *Statement) means(version string) int {
	switch {
	case len(s.Versions) == 0 && len(s.Ranges) == 0:
		return yes
	case version == "":
		return perhaps
	case slices.ContainsFunc(s.Versions, func(v string) bool { return v == version || compare(v, version) == 0 }),
		slices.ContainsFunc(s.Ranges, func(r Range) bool { return r.has(version) }):
		return yes
	}
	return no
}

// fixedAfter returns the version that ends the range which version lies in.
func (s *Statement) fixedAfter(version string) string {
	for _, r := range s.Ranges {
		if r.Before != "" && (version == "" || r.has(version)) {
			return r.Before
		}
	}
	return ""
}
