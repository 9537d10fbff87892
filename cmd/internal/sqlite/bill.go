package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"

	"steward/lwm2m/audit"
	"steward/suit/rollout"
	"steward/suit/sbom"
)

// Bills implements rollout.Bills.
type Bills struct{ db *DB }

// Bills returns the rollout.Bills of db.
func (db *DB) Bills() Bills { return Bills{db} }

// SetBill implements rollout.Bills.
func (s Bills) SetBill(ctx context.Context, b rollout.Bill, document []byte, found []sbom.Finding) error {
	parts, err := json.Marshal(b.Bill)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *Tx) error {
		if _, err := scanRelease(tx.QueryRow("release.get", b.Release)); err != nil {
			return err
		}
		if _, err := tx.Exec("bill.set", b.Release, string(parts), b.Digest, document, b.AddedAt.UnixMicro(),
			b.AddedBy); err != nil {
			return err
		}
		if err := setFindings(tx, b.Release, found); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: b.AddedBy, Action: "release.bill", Subject: b.Release, After: b.Digest,
			Reason: b.Format + ", " + strconv.Itoa(len(b.Parts)) + " components",
		})
	})
}

// setFindings stores all findings of a release.
func setFindings(tx *Tx, release string, found []sbom.Finding) error {
	if _, err := tx.Exec("bill.forget_findings", release); err != nil {
		return err
	}
	for i := range found {
		f := &found[i]
		details, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("bill.add_finding", release, i+1, f.Vulnerability, string(f.Status),
			string(details)); err != nil {
			return err
		}
	}
	return nil
}

// Bill implements rollout.Bills.
func (s Bills) Bill(ctx context.Context, release string) (rollout.Bill, error) {
	return scanBill(s.db.QueryRow(ctx, "bill.get", release))
}

func scanBill(row scanner) (b rollout.Bill, err error) {
	var parts string
	var added int64
	err = row.Scan(&b.Release, &parts, &b.Digest, &added, &b.AddedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return b, rollout.ErrNoBill
	}
	if err != nil {
		return b, err
	}
	b.AddedAt = fromMicro(added)
	return b, json.Unmarshal([]byte(parts), &b.Bill)
}

// Document implements rollout.Bills.
func (s Bills) Document(ctx context.Context, release string) (document []byte, err error) {
	err = s.db.QueryRow(ctx, "bill.document", release).Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, rollout.ErrNoBill
	}
	return document, err
}

// Bills implements rollout.Bills.
func (s Bills) Bills(ctx context.Context) ([]rollout.Bill, error) {
	rows, err := s.db.Query(ctx, "bill.all")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rollout.Bill, error) { return scanBill(r) })
}

// SetLists implements rollout.Bills.
func (s Bills) SetLists(ctx context.Context, add *rollout.VulnerabilityList, remove, by, reason string,
	now rollout.Findings,
) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if remove != "" {
			if err := removeList(tx, remove, by, reason); err != nil {
				return err
			}
		}
		if add != nil {
			if err := addList(tx, *add); err != nil {
				return err
			}
		}
		for _, release := range slices.Sorted(maps.Keys(now)) {
			if err := setFindings(tx, release, now[release]); err != nil {
				return err
			}
		}
		return nil
	})
}

func removeList(tx *Tx, id, by, reason string) error {
	var name string
	err := tx.QueryRow("list.name", id).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return rollout.ErrUnknown
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec("list.delete_name", name); err != nil {
		return err
	}
	return tx.Audit(audit.Row{Actor: by, Action: "vulnerability_list.remove", Subject: id, Reason: reason, Before: name})
}

// addList stores a list in the place of one with the same name.
func addList(tx *Tx, l rollout.VulnerabilityList) error {
	advisories, err := json.Marshal(l.List)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("list.delete_name", l.Name); err != nil {
		return err
	}
	if _, err := tx.Exec("list.insert", l.ID, l.Name, string(advisories), l.Digest, l.AddedAt.UnixMicro(),
		l.AddedBy); err != nil {
		return err
	}
	return tx.Audit(audit.Row{
		Actor: l.AddedBy, Action: "vulnerability_list.import", Subject: l.ID, After: l.Name,
		Reason: l.Format + ", " + strconv.Itoa(len(l.Advisories)) + " vulnerabilities",
	})
}

// Lists implements rollout.Bills.
func (s Bills) Lists(ctx context.Context) ([]rollout.VulnerabilityList, error) {
	rows, err := s.db.Query(ctx, "list.all")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (l rollout.VulnerabilityList, err error) {
		var advisories string
		var added int64
		if err := r.Scan(&l.ID, &l.Name, &advisories, &l.Digest, &added, &l.AddedBy); err != nil {
			return l, err
		}
		l.AddedAt = fromMicro(added)
		return l, json.Unmarshal([]byte(advisories), &l.List)
	})
}
