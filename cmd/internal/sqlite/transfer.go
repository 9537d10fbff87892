package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// Transfers implements coordinator.Store.
type Transfers struct{ db *DB }

var _ coordinator.Store = Transfers{}

// Transfers returns the coordinator.Store of db.
func (db *DB) Transfers() Transfers { return Transfers{db} }

// scanDetails reads a row of two columns, details and version, into v.
func scanDetails(row interface{ Scan(dest ...any) error }, v any) (version int64, err error) {
	var details string
	err = row.Scan(&details, &version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, coordinator.ErrUnknown
	}
	if err != nil {
		return 0, err
	}
	return version, json.Unmarshal([]byte(details), v)
}

func scanPartner(row interface{ Scan(dest ...any) error }) (p coordinator.Partner, err error) {
	p.Version, err = scanDetails(row, &p)
	return p, err
}

func scanTransfer(row interface{ Scan(dest ...any) error }) (t coordinator.Transfer, err error) {
	t.Version, err = scanDetails(row, &t)
	return t, err
}

func scanTransferRow(row interface{ Scan(dest ...any) error }) (r coordinator.Row, err error) {
	r.Version, err = scanDetails(row, &r)
	return r, err
}

// Partner implements coordinator.Partners.
func (s Transfers) Partner(ctx context.Context, id string) (coordinator.Partner, error) {
	return scanPartner(s.db.QueryRow(ctx, "partner.get", id))
}

// ListPartners implements coordinator.Partners.
func (s Transfers) ListPartners(ctx context.Context) ([]coordinator.Partner, error) {
	rows, err := s.db.Query(ctx, "partner.list")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (coordinator.Partner, error) { return scanPartner(r) })
}

// PutPartner implements coordinator.Partners.
func (s Transfers) PutPartner(ctx context.Context, p coordinator.Partner, row audit.Row) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := putPartner(tx, p); err != nil {
			return err
		}
		return tx.Audit(row)
	})
}

func putPartner(tx *Tx, p coordinator.Partner) error {
	details, err := json.Marshal(p)
	if err != nil {
		return err
	}
	var tls any // NULL, so that UNIQUE does not apply to service users
	if key := p.TLSKey(); p.TLS != nil {
		tls = key[:]
	}
	var clash int
	if err := tx.QueryRow("partner.clash", p.ID, p.Name, tls).Scan(&clash); err != nil {
		return fmt.Errorf("partner.clash: %w", err)
	}
	if clash > 0 {
		return fmt.Errorf("%w: %s", coordinator.ErrPinned, p.Name)
	}
	if p.Version == 0 {
		return changed(tx.Exec("partner.insert", p.ID, p.Name, tls, string(details)))
	}
	return changed(tx.Exec("partner.set", p.Name, tls, string(details), p.ID, p.Version))
}

// changed returns ErrConflict if a statement changed no row.
func changed(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = coordinator.ErrConflict
	}
	return err
}

// Transfer implements coordinator.Transfers.
func (s Transfers) Transfer(ctx context.Context, id string) (coordinator.Transfer, error) {
	return scanTransfer(s.db.QueryRow(ctx, "transfer.get", id))
}

// Documents implements coordinator.Transfers.
func (s Transfers) Documents(ctx context.Context, id string) (d coordinator.Documents, err error) {
	err = s.db.QueryRow(ctx, "transfer.documents", id).Scan(&d.Mandate, &d.Info, &d.Answer, &d.Offer)
	if errors.Is(err, sql.ErrNoRows) {
		err = coordinator.ErrUnknown
	}
	return d, err
}

// ListTransfers implements coordinator.Transfers.
func (s Transfers) ListTransfers(ctx context.Context, before string, limit int) ([]coordinator.Transfer, error) {
	return s.transfers(ctx, "transfer.list", before, before, limit)
}

// DueTransfers implements coordinator.Transfers.
func (s Transfers) DueTransfers(ctx context.Context, now time.Time, limit int) ([]coordinator.Transfer, error) {
	return s.transfers(ctx, "transfer.due", now.UnixMicro(), limit)
}

func (s Transfers) transfers(ctx context.Context, query string, args ...any) ([]coordinator.Transfer, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (coordinator.Transfer, error) { return scanTransfer(r) })
}

// Answer implements coordinator.Transfers.
func (s Transfers) Answer(ctx context.Context, partner, key string) (coordinator.Answer, error) {
	a := coordinator.Answer{Partner: partner, Key: key}
	var request []byte
	var at int64
	err := s.db.QueryRow(ctx, "transfer_answer.get", partner, key).
		Scan(&request, &a.Reply.ContentType, &a.Reply.Body, &at)
	if errors.Is(err, sql.ErrNoRows) {
		err = coordinator.ErrUnknown
	}
	copy(a.Request[:], request)
	a.At = fromMicro(at)
	return a, err
}

// Commit implements coordinator.Transfers.
func (s Transfers) Commit(ctx context.Context, ch coordinator.Change) error {
	return s.db.Update(ctx, func(tx *Tx) error {
		if err := putHead(tx, ch); err != nil {
			return err
		}
		for _, r := range ch.Rows {
			if err := putTransferRow(tx, r); err != nil {
				return err
			}
		}
		return putEvidence(tx, ch)
	})
}

// putHead stores what a change says of the transfer as a whole, and of the partner.
func putHead(tx *Tx, ch coordinator.Change) error {
	if ch.Partner != nil {
		if err := putPartner(tx, *ch.Partner); err != nil {
			return err
		}
	}
	if ch.Transfer == nil {
		return nil
	}
	if err := putTransfer(tx, *ch.Transfer, ch.Documents); err != nil {
		return err
	}
	return putPapers(tx, ch.Transfer.ID, ch.Papers)
}

// putEvidence stores what a change leaves behind: receipts, the answer, the audit.
func putEvidence(tx *Tx, ch coordinator.Change) error {
	for _, r := range ch.Receipts {
		if _, err := tx.Exec("transfer_receipt.insert", r.Transfer, r.Short, r.Hash[:], string(r.State), r.Raw,
			r.At.UnixMicro()); err != nil {
			return err
		}
	}
	if a := ch.Answer; a != nil {
		if _, err := tx.Exec("transfer_answer.put", a.Partner, a.Key, a.Request[:], a.Reply.ContentType,
			a.Reply.Body, a.At.UnixMicro()); err != nil {
			return err
		}
	}
	for _, row := range ch.Audit {
		if err := tx.Audit(row); err != nil {
			return err
		}
	}
	return nil
}

func putTransfer(tx *Tx, t coordinator.Transfer, d coordinator.Documents) error {
	details, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if t.Version == 0 {
		err = changed(tx.Exec("transfer.insert", t.ID, t.Partner, string(t.State), dueColumn(t.Due), string(details)))
	} else {
		err = changed(tx.Exec("transfer.set", string(t.State), dueColumn(t.Due), string(details), t.ID, t.Version))
	}
	if err != nil || d.Mandate == nil && d.Info == nil && d.Answer == nil && d.Offer == nil {
		return err
	}
	_, err = tx.Exec("transfer.put_documents", t.ID, documentColumn(d.Mandate), documentColumn(d.Info),
		documentColumn(d.Answer), documentColumn(d.Offer))
	return err
}

func putPapers(tx *Tx, id string, papers []coordinator.Paper) error {
	for _, p := range papers {
		if _, err := tx.Exec("transfer_paper.insert", id, string(p.Kind), p.Raw, p.At.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// Papers implements coordinator.Papers.
func (s Transfers) Papers(ctx context.Context, id string) ([]coordinator.Paper, error) {
	rows, err := s.db.Query(ctx, "transfer_paper.list", id)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (out coordinator.Paper, err error) {
		var at int64
		err = r.Scan(&out.Kind, &out.Raw, &at)
		out.At = fromMicro(at)
		return out, err
	})
}

// documentColumn is NULL for nil.
func documentColumn(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// dueColumn is 0 for the zero time.
func dueColumn(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func putTransferRow(tx *Tx, r coordinator.Row) error {
	details, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if r.Version > 0 {
		return changed(tx.Exec("transfer_row.set", string(r.State), r.Ended(), len(r.Pending), dueColumn(r.Due),
			string(details), r.Transfer, r.Short, r.Version))
	}
	var busy int
	if err := tx.QueryRow("transfer_row.busy", r.Factory[:]).Scan(&busy); err != nil {
		return fmt.Errorf("transfer_row.busy: %w", err)
	}
	if busy > 0 && !r.Ended() {
		return fmt.Errorf("%w: %s", coordinator.ErrBusy, r.Endpoint)
	}
	return changed(tx.Exec("transfer_row.insert", r.Transfer, r.Short, r.Factory[:], string(r.State), r.Ended(),
		len(r.Pending), dueColumn(r.Due), string(details)))
}

// Row implements coordinator.Rows.
func (s Transfers) Row(ctx context.Context, id, short string) (coordinator.Row, error) {
	return scanTransferRow(s.db.QueryRow(ctx, "transfer_row.get", id, short))
}

// ListRows implements coordinator.Rows.
func (s Transfers) ListRows(ctx context.Context, id, after string, limit int) ([]coordinator.Row, error) {
	return s.rows(ctx, "transfer_row.list", id, after, limit)
}

// OpenRows implements coordinator.Rows.
func (s Transfers) OpenRows(ctx context.Context, factory fleet.Factory) ([]coordinator.Row, error) {
	return s.rows(ctx, "transfer_row.open", factory[:])
}

// EachOpenRow implements coordinator.Open.
func (s Transfers) EachOpenRow(ctx context.Context, fn func(coordinator.Row)) error {
	rows, err := s.db.Query(ctx, "transfer_row.all_open")
	if err != nil {
		return err
	}
	_, err = collect(rows, func(r *sql.Rows) (struct{}, error) {
		var out coordinator.Row
		err := r.Scan(&out.Transfer, &out.Short, &out.Device, &out.Version)
		if err == nil {
			fn(out)
		}
		return struct{}{}, err
	})
	return err
}

// FactoryRows implements coordinator.Open.
func (s Transfers) FactoryRows(ctx context.Context, factory fleet.Factory, limit int) ([]coordinator.Row, error) {
	return s.rows(ctx, "transfer_row.of_factory", factory[:], limit)
}

// DueRows implements coordinator.Rows.
func (s Transfers) DueRows(ctx context.Context, now time.Time, limit int) ([]coordinator.Row, error) {
	return s.rows(ctx, "transfer_row.due", now.UnixMicro(), limit)
}

func (s Transfers) rows(ctx context.Context, query string, args ...any) ([]coordinator.Row, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (coordinator.Row, error) { return scanTransferRow(r) })
}

// Count implements coordinator.Rows.
func (s Transfers) Count(ctx context.Context, id string) (map[transfer.RowState]int, error) {
	rows, err := s.db.Query(ctx, "transfer_row.count", id)
	if err != nil {
		return nil, err
	}
	counts := map[transfer.RowState]int{}
	_, err = collect(rows, func(r *sql.Rows) (struct{}, error) {
		var state transfer.RowState
		var n int
		err := r.Scan(&state, &n)
		counts[state] = n
		return struct{}{}, err
	})
	return counts, err
}

// Ended implements coordinator.Open.
func (s Transfers) Ended(ctx context.Context, id string) (n int, err error) {
	err = s.db.QueryRow(ctx, "transfer_row.ended", id).Scan(&n)
	return n, err
}

// Receipts implements coordinator.Rows.
func (s Transfers) Receipts(ctx context.Context, id, short string) ([]coordinator.Receipt, error) {
	rows, err := s.db.Query(ctx, "transfer_receipt.list", id, short)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (coordinator.Receipt, error) {
		out := coordinator.Receipt{Transfer: id, Short: short}
		var hash []byte
		var at int64
		err := r.Scan(&hash, &out.State, &out.Raw, &at)
		copy(out.Hash[:], hash)
		out.At = fromMicro(at)
		return out, err
	})
}
