package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// An AuditQuery selects audit rows. Zero fields select all.
type AuditQuery struct {
	Subject, Actor string
	Action         string // how the action begins
	Before         int64  // id of the last of the page before; 0 asks for the newest
	Limit          int
}

// AuditRows returns the rows that q selects, the newest first.
func (v View) AuditRows(ctx context.Context, q AuditQuery) ([]audit.Record, error) {
	if q.Before <= 0 {
		q.Before = math.MaxInt64
	}
	name, args := "view.audit", []any{q.Before, q.Limit, text(q.Action)}
	switch {
	case q.Subject != "":
		name, args = "view.audit_of_subject", append(args, text(q.Actor), q.Subject)
	case q.Actor != "":
		name, args = "view.audit_of_actor", append(args, q.Actor)
	}
	rows, err := v.db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanAudit)
}

// A CertificateLine is a certificate and the device that it belongs to.
type CertificateLine struct {
	est.Record

	Device fleet.ID // "" for one of no device
}

// A CertificateQuery selects certificates. Zero fields select all.
type CertificateQuery struct {
	State   string   // live, expired or revoked
	Text    string   // part of the commonName or serial number
	Factory est.Hash // of the device's factory certificate
	Now     time.Time
	Before  est.Hash // the last of the page before; zero asks for the newest
	Limit   int
}

// Certificates returns the certificates that q selects, the newest first. It
// returns est.ErrUnknown if there is no certificate Before.
func (v View) Certificates(ctx context.Context, q CertificateQuery) ([]CertificateLine, error) {
	before := int64(math.MaxInt64)
	if q.Before != (est.Hash{}) {
		err := v.db.QueryRow(ctx, "certificate.position", q.Before[:]).Scan(&before)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, est.ErrUnknown
		}
		if err != nil {
			return nil, err
		}
	}
	name := "view.certificates"
	args := []any{
		before, q.Limit, text(q.Text), text(q.State), q.Now.UnixMicro(), q.Now.Add(-est.RekeyOverlap).UnixMicro(),
	}
	if q.Factory != (est.Hash{}) {
		name, args = "view.certificates_of_device", append(args, q.Factory[:])
	}
	rows, err := v.db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (CertificateLine, error) { return scanCertificateLine(r) })
}

// Certificate returns the certificate with that hash, or est.ErrUnknown.
func (v View) Certificate(ctx context.Context, hash est.Hash) (CertificateLine, error) {
	l, err := scanCertificateLine(v.db.QueryRow(ctx, "view.certificate", hash[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return l, est.ErrUnknown
	}
	return l, err
}

func scanCertificateLine(row scanner) (l CertificateLine, err error) {
	l.Record, err = scanCertificate(also{row, []any{&l.Device}})
	return l, err
}

// CertificateCounts returns how many certificates are live now, and how many of
// them end before soon.
func (v View) CertificateCounts(ctx context.Context, now, soon time.Time) (live, ending int, err error) {
	err = v.db.QueryRow(ctx, "view.certificate_counts", now.UnixMicro(), now.Add(-est.RekeyOverlap).UnixMicro(),
		soon.UnixMicro()).Scan(&live, &ending)
	return live, ending, err
}

// A JobLine is a job and the name of its device.
type JobLine struct {
	rollout.Job

	Endpoint string
}

// Jobs returns up to limit jobs of a campaign in order of their devices' ids,
// after the given one; "" starts at the first. tally selects those that count as
// it; "" all.
func (v View) Jobs(ctx context.Context, campaign, tally string, after fleet.ID, limit int) ([]JobLine, error) {
	rows, err := v.db.Query(ctx, "view.jobs", campaign, string(after), limit, text(tally))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (l JobLine, err error) {
		l.Job, err = scanJob(also{r, []any{&l.Endpoint}})
		return l, err
	})
}

// RunningCampaigns counts the campaigns under way.
func (v View) RunningCampaigns(ctx context.Context) (n int, err error) {
	err = v.db.QueryRow(ctx, "view.running").Scan(&n)
	return n, err
}

// Deliveries returns the ways in which a release can be brought to devices, or
// rollout.ErrUnknown.
func (v View) Deliveries(ctx context.Context, release string) ([]rollout.Delivery, error) {
	var push, pull bool
	err := v.db.QueryRow(ctx, "view.deliveries", release).Scan(&push, &pull)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, rollout.ErrUnknown
	}
	var out []rollout.Delivery
	if push {
		out = append(out, rollout.Push)
	}
	if pull {
		out = append(out, rollout.Pull)
	}
	return out, err
}
