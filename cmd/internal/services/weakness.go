package services

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"steward/cmd/internal/sqlite"
	"steward/suit/rollout"
	"steward/suit/sbom"
	"steward/web"
)

// weaknesses implements web.Vulnerabilities.
type weaknesses struct{ *base }

// ListVulnerabilities implements web.Vulnerabilities.
func (s *weaknesses) ListVulnerabilities(ctx context.Context, p web.Page) (web.List[web.Vulnerability], error) {
	rows, err := s.view.Vulnerabilities(ctx, p.After, limit(p))
	if err != nil {
		return web.List[web.Vulnerability]{}, translate(err)
	}
	names := make([]string, 0, len(rows))
	for i := range rows {
		names = append(names, rows[i].Vulnerability)
	}
	exposed, err := s.view.ExposedBy(ctx, names)
	if err != nil {
		return web.List[web.Vulnerability]{}, translate(err)
	}
	return paged(p, rows, func(l sqlite.VulnerabilityLine) string { return l.Vulnerability },
		func(l sqlite.VulnerabilityLine) (web.Vulnerability, error) {
			v := web.Vulnerability{
				ID: l.Vulnerability, Summary: l.Summary, Severity: l.Severity, Affected: l.Affected,
				Investigated: l.Investigated, Releases: l.Releases, Exposed: exposed[l.Vulnerability],
				Level: web.LevelGood,
			}
			switch {
			case v.Affected > 0:
				v.Level = web.LevelBad
			case v.Investigated > 0:
				v.Level = web.LevelWarning
			}
			return v, nil
		})
}

// VulnerabilityLists implements web.Vulnerabilities.
func (s *weaknesses) VulnerabilityLists(ctx context.Context) ([]web.VulnerabilityList, error) {
	lists, err := s.DB.Bills().Lists(ctx)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.VulnerabilityList, 0, len(lists))
	for i := range lists {
		out = append(out, showList(lists[i]))
	}
	return out, nil
}

func showList(l rollout.VulnerabilityList) web.VulnerabilityList {
	return web.VulnerabilityList{
		ID: l.ID, Name: l.Name, Format: l.Format, Count: len(l.Advisories), Digest: l.Digest, AddedAt: l.AddedAt,
		AddedBy: l.AddedBy,
	}
}

// ImportVulnerabilities implements web.Vulnerabilities.
func (s *weaknesses) ImportVulnerabilities(
	ctx context.Context, by web.Actor, name string, document []byte,
) (web.VulnerabilityList, error) {
	name = strings.TrimSpace(name)
	if err := checkText("name", name, maxName); err != nil {
		return web.VulnerabilityList{}, err
	}
	parsed, err := sbom.ParseList(document)
	if err != nil {
		return web.VulnerabilityList{}, about("list", err)
	}
	l := rollout.VulnerabilityList{
		List: parsed, ID: s.NewID(), Name: cmp.Or(name, parsed.Format), Digest: hexSum(document), AddedAt: s.Now(),
		AddedBy: by.String(),
	}
	s.findings.Lock()
	defer s.findings.Unlock()
	bills, lists, err := s.both(ctx)
	if err != nil {
		return web.VulnerabilityList{}, err
	}
	lists = slices.DeleteFunc(lists, func(o rollout.VulnerabilityList) bool { return o.Name == l.Name })
	if len(lists) >= rollout.MaxLists {
		return web.VulnerabilityList{}, conflict("there are as many lists as are kept; remove one first")
	}
	err = s.DB.Bills().SetLists(ctx, &l, "", by.String(), "", rollout.Compare(bills, append(lists, l)))
	return showList(l), translate(err)
}

// both returns all that findings follow from.
func (s *weaknesses) both(ctx context.Context) ([]rollout.Bill, []rollout.VulnerabilityList, error) {
	bills, err := s.DB.Bills().Bills(ctx)
	if err != nil {
		return nil, nil, translate(err)
	}
	lists, err := s.DB.Bills().Lists(ctx)
	return bills, lists, translate(err)
}

// RemoveVulnerabilities implements web.Vulnerabilities.
func (s *weaknesses) RemoveVulnerabilities(ctx context.Context, by web.Actor, id, reason string) error {
	if err := checkText("reason", reason, maxReason); err != nil {
		return err
	}
	s.findings.Lock()
	defer s.findings.Unlock()
	bills, lists, err := s.both(ctx)
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(lists, func(l rollout.VulnerabilityList) bool { return l.ID == id })
	return translate(s.DB.Bills().SetLists(ctx, nil, id, by.String(), reason, rollout.Compare(bills, rest)))
}
