package sbom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Status says how a product stands to a vulnerability, in the words of VEX
// (Minimum Requirements for VEX §3.2).
type Status string

// The statuses.
const (
	Affected      Status = "affected"
	Investigation Status = "under_investigation"
	Fixed         Status = "fixed"
	NotAffected   Status = "not_affected"
)

// An Advisory is what a list says of one vulnerability.
type Advisory struct {
	ID         string      `json:"id"`
	Aliases    []string    `json:"aliases,omitempty"`
	Summary    string      `json:"summary,omitempty"`
	Severity   string      `json:"severity,omitempty"` // in words, or a CVSS vector
	Statements []Statement `json:"statements"`
}

// A Statement says how some versions of a package stand to the vulnerability.
type Statement struct {
	// Key names the package whatever its version, Ref a component of a document;
	// one of them may be empty. Both empty is the product as a whole.
	Key string `json:"key,omitempty"`
	Ref string `json:"ref,omitempty"`
	// Name is for components that have no package URL.
	Name string `json:"name,omitempty"`
	// Product is the key of what the package is part of, and ProductVersion its
	// version; empty for any.
	Product        string `json:"product,omitempty"`
	ProductVersion string `json:"product_version,omitempty"`
	// Versions and Ranges are the versions meant; none for all.
	Versions []string `json:"versions,omitempty"`
	Ranges   []Range  `json:"ranges,omitempty"`
	Status   Status   `json:"status"`
	// Analysed tells a statement about a product (VEX) from an entry of a database.
	Analysed bool   `json:"analysed,omitempty"`
	Detail   string `json:"detail,omitempty"` // justification, impact, action
}

// A Range is of versions. Empty bounds do not bound.
type Range struct {
	From    string `json:"from,omitempty"`
	After   string `json:"after,omitempty"`   // From, itself left out
	Before  string `json:"before,omitempty"`  // the first that is fixed
	Through string `json:"through,omitempty"` // the last that is affected
}

// has reports whether v lies in the range.
func (r Range) has(v string) bool {
	return (r.From == "" || compare(v, r.From) >= 0) && (r.After == "" || compare(v, r.After) > 0) &&
		(r.Before == "" || compare(v, r.Before) < 0) && (r.Through == "" || compare(v, r.Through) <= 0)
}

// A List is a document of advisories.
type List struct {
	Format     string     `json:"format"` // as people call it: "OSV", "OpenVEX", "CycloneDX 1.6"
	Advisories []Advisory `json:"advisories"`
}

// ParseList reads vulnerabilities in OSV (one, an array, or {"vulns": […]}),
// OpenVEX, or CycloneDX (JSON). It returns ErrFormat, ErrSyntax or ErrLimit.
func ParseList(raw []byte) (List, error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && trimmed[0] == '[' {
		return parseOSV(raw)
	}
	var head struct {
		Format  string          `json:"bomFormat"`
		Context json.RawMessage `json:"@context"`
		ID      string          `json:"id"`
		Vulns   json.RawMessage `json:"vulns"`
	}
	if err := decode(raw, &head); err != nil {
		return List{}, err
	}
	switch {
	case head.Format == cycloneFormat:
		return parseCycloneList(raw)
	case bytes.Contains(head.Context, []byte("openvex.dev/ns")):
		return parseOpenVEX(raw)
	case head.ID != "" || head.Vulns != nil:
		return parseOSV(raw)
	}
	return List{}, fmt.Errorf("%w: neither OSV, OpenVEX nor CycloneDX", ErrFormat)
}

// add checks an advisory and appends it.
func (l *List) add(a Advisory) (err error) {
	if len(l.Advisories) == MaxAdvisories {
		return fmt.Errorf("%w: more than %d vulnerabilities", ErrLimit, MaxAdvisories)
	}
	if len(a.Statements) > maxStatements || len(a.Aliases) > maxAliases {
		return fmt.Errorf("%w: %d statements, %d aliases", ErrLimit, len(a.Statements), len(a.Aliases))
	}
	if a.ID, err = name("identifier", a.ID); err != nil {
		return err
	}
	if a.ID == "" {
		return fmt.Errorf("%w: a vulnerability without identifier", ErrSyntax)
	}
	for i := range a.Aliases {
		if a.Aliases[i], err = name("alias", a.Aliases[i]); err != nil {
			return err
		}
	}
	a.Summary, a.Severity = prose(a.Summary), prose(a.Severity)
	for i := range a.Statements {
		s := &a.Statements[i]
		if err := s.check(); err != nil {
			return fmt.Errorf("%s: %w", a.ID, err)
		}
		s.Detail = prose(s.Detail)
	}
	l.Advisories = append(l.Advisories, a)
	return nil
}

func (s *Statement) check() error {
	if len(s.Versions) > MaxParts || len(s.Ranges) > maxRanges {
		return fmt.Errorf("%w: %d versions, %d ranges", ErrLimit, len(s.Versions), len(s.Ranges))
	}
	texts := append([]string{s.Key, s.Ref, s.Name, s.Product, s.ProductVersion}, s.Versions...)
	for _, r := range s.Ranges {
		texts = append(texts, r.From, r.After, r.Before, r.Through)
	}
	for _, text := range texts {
		if _, err := name("name or version", text); err != nil {
			return err
		}
	}
	return nil
}

// canonical returns the name by which an advisory is known best: its CVE, if it has
// one.
func (a *Advisory) canonical() string {
	names := append([]string{a.ID}, a.Aliases...)
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, "CVE-") }); i >= 0 {
		return names[i]
	}
	return a.ID
}
