package sbom

import (
	"bytes"
	"cmp"
	"fmt"
	"time"
)

// An osvEntry is what is read of the Open Source Vulnerability format (1.x).
type osvEntry struct {
	ID        string    `json:"id"`
	Aliases   []string  `json:"aliases"`
	Upstream  []string  `json:"upstream"`
	Summary   string    `json:"summary"`
	Details   string    `json:"details"`
	Withdrawn time.Time `json:"withdrawn"`
	Severity  []struct {
		Score string `json:"score"`
	} `json:"severity"`
	Database osvDatabase  `json:"database_specific"`
	Affected []osvPackage `json:"affected"`
}

type osvDatabase struct {
	Severity any `json:"severity"` // a word, where it is a string
}

type osvPackage struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
		PURL      string `json:"purl"`
	} `json:"package"`
	Ranges []struct {
		Type   string     `json:"type"`
		Events []osvEvent `json:"events"`
	} `json:"ranges"`
	Versions []string `json:"versions"`
}

type osvEvent struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
}

func parseOSV(raw []byte) (List, error) {
	var entries []osvEntry
	var err error
	if bytes.TrimSpace(raw)[0] == '[' {
		err = decode(raw, &entries)
	} else {
		var one struct {
			osvEntry

			Vulns []osvEntry `json:"vulns"`
		}
		err = decode(raw, &one)
		if entries = one.Vulns; one.ID != "" {
			entries = append(entries, one.osvEntry)
		}
	}
	if err != nil {
		return List{}, err
	}
	l := List{Format: "OSV"}
	for i := range entries {
		if !entries[i].Withdrawn.IsZero() {
			continue
		}
		a, err := entries[i].advisory()
		if err != nil {
			return l, err
		}
		if err := l.add(a); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (e *osvEntry) advisory() (Advisory, error) {
	a := Advisory{ID: e.ID, Aliases: append(e.Aliases, e.Upstream...), Summary: cmp.Or(e.Summary, e.Details)}
	a.Severity, _ = e.Database.Severity.(string)
	for _, s := range e.Severity {
		a.Severity = cmp.Or(a.Severity, s.Score)
	}
	for i := range e.Affected {
		p := &e.Affected[i]
		s := Statement{Status: Affected, Name: p.Package.Name, Versions: p.Versions}
		s.Key = ecosystemKey(p.Package.Ecosystem, p.Package.Name)
		if p.Package.PURL != "" {
			u, err := parsePURL(p.Package.PURL)
			if err != nil {
				return a, err
			}
			s.Key = u.key
		}
		a.Statements = append(a.Statements, p.ranged(s))
	}
	if len(a.Statements) == 0 {
		return a, fmt.Errorf("%w: %.40q affects no package", ErrSyntax, e.ID)
	}
	return a, nil
}

// ranged returns s with the ranges of p.
func (p *osvPackage) ranged(s Statement) Statement {
	for _, r := range p.Ranges {
		if r.Type == "SEMVER" || r.Type == "ECOSYSTEM" { // commits say nothing about versions
			s.Ranges = append(s.Ranges, rangesOf(r.Events)...)
		}
	}
	if len(s.Versions) == 0 && len(s.Ranges) == 0 && len(p.Ranges) > 0 {
		s.Status = Investigation
		s.Detail = "affected versions are given as commits"
	}
	return s
}

// rangesOf pairs the events of a range, which come in the order of versions.
func rangesOf(events []osvEvent) (out []Range) {
	open := false
	for _, e := range events {
		switch {
		case e.Introduced == "0":
			out, open = append(out, Range{}), true
		case e.Introduced != "":
			out, open = append(out, Range{From: e.Introduced}), true
		case e.Fixed != "" && open:
			out[len(out)-1].Before, open = e.Fixed, false
		case e.LastAffected != "" && open:
			out[len(out)-1].Through, open = e.LastAffected, false
		}
	}
	return out
}
