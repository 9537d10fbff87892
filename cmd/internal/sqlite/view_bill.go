package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"

	"steward/suit/sbom"
)

// A FindingLine is a finding with its place in the list of its release.
type FindingLine struct {
	sbom.Finding

	Position int64
}

// Findings returns what lists say of a release, those affected first.
func (v View) Findings(ctx context.Context, release string, after int64, limit int) ([]FindingLine, error) {
	rows, err := v.db.Query(ctx, "view.findings", release, after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (l FindingLine, err error) {
		var details string
		if err := r.Scan(&l.Position, &details); err != nil {
			return l, err
		}
		return l, json.Unmarshal([]byte(details), &l.Finding)
	})
}

// FindingCounts returns how many findings of a release have each status.
func (v View) FindingCounts(ctx context.Context, release string) (map[sbom.Status]int, error) {
	rows, err := v.db.Query(ctx, "view.finding_counts", release)
	if err != nil {
		return nil, err
	}
	counts := map[sbom.Status]int{}
	_, err = collect(rows, func(r *sql.Rows) (s sbom.Status, err error) {
		var n int
		err = r.Scan(&s, &n)
		counts[s] = n
		return s, err
	})
	return counts, err
}

// ExposedBy returns how many devices run a release that a vulnerability affects.
// Those that expose none are left out.
func (v View) ExposedBy(ctx context.Context, vulnerabilities []string) (map[string]int, error) {
	names, err := json.Marshal(append([]string{}, vulnerabilities...))
	if err != nil {
		return nil, err
	}
	rows, err := v.db.Query(ctx, "view.exposed_by", string(names))
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	_, err = collect(rows, func(r *sql.Rows) (name string, err error) {
		var n int
		err = r.Scan(&name, &n)
		counts[name] = n
		return name, err
	})
	return counts, err
}

// Exposed returns how many devices run a release with any affected part.
func (v View) Exposed(ctx context.Context) (n int, err error) {
	err = v.db.QueryRow(ctx, "view.exposed").Scan(&n)
	return n, err
}

// Running returns how many devices run a release, as their jobs know.
func (v View) Running(ctx context.Context, release string) (n int, err error) {
	err = v.db.QueryRow(ctx, "view.installed", release).Scan(&n)
	return n, err
}

// A VulnerabilityLine is a vulnerability and how many findings name it.
type VulnerabilityLine struct {
	sbom.Finding // one of them

	Affected, Investigated, All int
	Releases                    int // with an affected part
}

// Vulnerabilities returns those that some release has a finding of, by name.
func (v View) Vulnerabilities(ctx context.Context, after string, limit int) ([]VulnerabilityLine, error) {
	rows, err := v.db.Query(ctx, "view.vulnerabilities", after, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (l VulnerabilityLine, err error) {
		var name, details string
		if err := r.Scan(&name, &l.Affected, &l.Investigated, &l.All, &details, &l.Releases); err != nil {
			return l, err
		}
		return l, json.Unmarshal([]byte(details), &l.Finding)
	})
}
