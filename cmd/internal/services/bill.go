package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"

	"steward/cmd/internal/sqlite"
	"steward/suit/rollout"
	"steward/suit/sbom"
	"steward/web"
)

// bills implements web.Bills.
type bills struct{ *base }

func (b *base) showBill(ctx context.Context, bill rollout.Bill) (web.BillSummary, error) {
	counts, err := b.view.FindingCounts(ctx, bill.Release)
	out := web.BillSummary{
		Format: bill.Format, Parts: len(bill.Parts), Digest: bill.Digest, AddedAt: bill.AddedAt, AddedBy: bill.AddedBy,
		Findings: web.Counts{},
	}
	for status, n := range counts {
		out.Findings[string(status)] = n
	}
	return out, translate(err)
}

// hexSum is the SHA-256 of a document.
func hexSum(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:])
}

// SetBill implements web.Bills.
func (s *bills) SetBill(
	ctx context.Context, by web.Actor, release string, document []byte,
) (web.BillSummary, error) {
	if _, err := s.release(ctx, release); err != nil {
		return web.BillSummary{}, err
	}
	parsed, err := sbom.ParseBill(document)
	if err != nil {
		return web.BillSummary{}, about("bill", err)
	}
	s.findings.Lock()
	defer s.findings.Unlock()
	lists, err := s.DB.Bills().Lists(ctx)
	if err != nil {
		return web.BillSummary{}, translate(err)
	}
	b := rollout.Bill{
		Bill: parsed, Release: release, Digest: hexSum(document), AddedAt: s.Now(), AddedBy: by.String(),
	}
	found := rollout.Compare([]rollout.Bill{b}, lists)[release]
	if err := s.DB.Bills().SetBill(ctx, b, document, found); err != nil {
		return web.BillSummary{}, translate(err)
	}
	return s.showBill(ctx, b)
}

// Bill implements web.Bills.
func (s *bills) Bill(ctx context.Context, release string) ([]byte, error) {
	if _, err := s.release(ctx, release); err != nil {
		return nil, err
	}
	document, err := s.DB.Bills().Document(ctx, release)
	return document, translate(err)
}

// Parts implements web.Bills. Its cursors are positions in the bill.
func (s *bills) Parts(ctx context.Context, release string, p web.Page) (web.List[web.Part], error) {
	b, err := s.bill(ctx, release)
	if err != nil {
		return web.List[web.Part]{}, err
	}
	from, err := position(p)
	if err != nil || from > int64(len(b.Parts)) {
		return web.List[web.Part]{}, errCursor()
	}
	out := web.List[web.Part]{Items: web.Array[web.Part]{}}
	rest := b.Parts[from:]
	if size := pageSize(p); len(rest) > size {
		rest, out.Next = rest[:size], strconv.FormatInt(from+int64(size), 10)
	}
	for _, part := range rest {
		out.Items = append(out.Items, showPart(part))
	}
	return out, nil
}

// bill returns the bill of a release; one without any is as good as an empty one.
func (s *bills) bill(ctx context.Context, release string) (rollout.Bill, error) {
	if _, err := s.release(ctx, release); err != nil {
		return rollout.Bill{}, err
	}
	b, err := s.DB.Bills().Bill(ctx, release)
	if errors.Is(err, rollout.ErrNoBill) {
		return rollout.Bill{}, nil
	}
	return b, translate(err)
}

// position reads a cursor that is a number.
func position(p web.Page) (int64, error) {
	if p.After == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(p.After, 10, 64)
	if err != nil || n < 0 {
		return 0, errCursor()
	}
	return n, nil
}

func showPart(p sbom.Part) web.Part {
	return web.Part{Name: p.Name, Version: p.Version, PURL: p.PURL, Supplier: p.Supplier, License: p.License}
}

// statusLevels says how the statuses of VEX are to be taken.
var statusLevels = map[sbom.Status]web.Level{
	sbom.Affected: web.LevelBad, sbom.Investigation: web.LevelWarning, sbom.Fixed: web.LevelGood,
	sbom.NotAffected: web.LevelGood,
}

// Findings implements web.Bills.
func (s *bills) Findings(ctx context.Context, release string, p web.Page) (web.List[web.Finding], error) {
	if _, err := s.release(ctx, release); err != nil {
		return web.List[web.Finding]{}, err
	}
	after, err := position(p)
	if err != nil {
		return web.List[web.Finding]{}, err
	}
	rows, err := s.view.Findings(ctx, release, after, limit(p))
	if err != nil {
		return web.List[web.Finding]{}, translate(err)
	}
	names := make([]string, 0, len(rows))
	for i := range rows {
		names = append(names, rows[i].Vulnerability)
	}
	exposed, err := s.view.ExposedBy(ctx, names)
	if err != nil {
		return web.List[web.Finding]{}, translate(err)
	}
	return paged(p, rows, func(f sqlite.FindingLine) string { return strconv.FormatInt(f.Position, 10) },
		func(f sqlite.FindingLine) (web.Finding, error) {
			return web.Finding{
				Vulnerability: f.Vulnerability, Aliases: f.Aliases, Summary: f.Summary, Severity: f.Severity,
				Part: showPart(f.Part), Status: string(f.Status), Level: statusLevels[f.Status], Detail: f.Detail,
				FixedIn: f.FixedIn, Exposed: exposed[f.Vulnerability],
			}, nil
		})
}
