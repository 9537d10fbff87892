package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) bill() web.BillSummary {
	return web.BillSummary{
		Format: f.Text, Parts: listSize, Digest: "ab12", AddedAt: Noon, AddedBy: f.Text,
		Findings: web.Counts{"affected": 1},
	}
}

// SetBill implements web.Bills.
func (f *Fake) SetBill(_ context.Context, by web.Actor, release string, document []byte) (web.BillSummary, error) {
	return f.bill(), f.note("SetBill", by, release, string(document))
}

// Bill implements web.Bills.
func (f *Fake) Bill(_ context.Context, release string) ([]byte, error) {
	return []byte(`{}`), f.known(release)
}

func (f *Fake) part() web.Part {
	return web.Part{Name: f.Text, Version: f.Text, PURL: f.Text, Supplier: f.Text, License: f.Text}
}

// Parts implements web.Bills.
func (f *Fake) Parts(_ context.Context, release string, p web.Page) (web.List[web.Part], error) {
	if err := f.known(release); err != nil {
		return web.List[web.Part]{}, err
	}
	return list(f, p, f.part())
}

// Findings implements web.Bills.
func (f *Fake) Findings(_ context.Context, release string, p web.Page) (web.List[web.Finding], error) {
	if err := f.known(release); err != nil {
		return web.List[web.Finding]{}, err
	}
	return list(f, p, web.Finding{
		Vulnerability: f.Text, Aliases: []string{f.Text}, Summary: f.Text, Severity: f.Text, Part: f.part(),
		Status: f.Text, Level: web.LevelBad, Detail: f.Text, FixedIn: f.Text, Exposed: 2,
	})
}

// ListVulnerabilities implements web.Vulnerabilities.
func (f *Fake) ListVulnerabilities(_ context.Context, p web.Page) (web.List[web.Vulnerability], error) {
	return list(f, p, web.Vulnerability{
		ID: f.Text, Summary: f.Text, Severity: f.Text, Affected: 1, Investigated: 2, Releases: 1, Exposed: 3,
		Level: web.LevelBad,
	})
}

func (f *Fake) vulnerabilities() web.VulnerabilityList {
	return web.VulnerabilityList{
		ID: ID, Name: f.Text, Format: f.Text, Count: 2, Digest: "ab12", AddedAt: Noon, AddedBy: f.Text,
	}
}

// VulnerabilityLists implements web.Vulnerabilities.
func (f *Fake) VulnerabilityLists(context.Context) ([]web.VulnerabilityList, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.VulnerabilityList{f.vulnerabilities()}, nil
}

// ImportVulnerabilities implements web.Vulnerabilities.
func (f *Fake) ImportVulnerabilities(
	_ context.Context, by web.Actor, name string, document []byte,
) (web.VulnerabilityList, error) {
	return f.vulnerabilities(), f.note("ImportVulnerabilities", by, "", name+" "+string(document))
}

// RemoveVulnerabilities implements web.Vulnerabilities.
func (f *Fake) RemoveVulnerabilities(_ context.Context, by web.Actor, id, reason string) error {
	return f.note("RemoveVulnerabilities", by, id, reason)
}
