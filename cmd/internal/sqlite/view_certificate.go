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
)

// A CertificateLine is a certificate and the device that it belongs to.
type CertificateLine struct {
	est.Record

	Device fleet.ID // "" for one of no device
}

// A CertificateQuery selects certificates. Zero fields select all.
type CertificateQuery struct {
	State   string // live, expired or revoked
	Text    string // part of the commonName or serial number
	Kind    est.Kind
	Profile string
	Issuer  est.Hash
	SPKI    est.Hash // of its key; not together with Factory
	Factory est.Hash // of the device's factory certificate
	// Until selects those that are live and end before it, the first to end first;
	// zero: all, the newest first. Not together with SPKI or Factory.
	Until  time.Time
	Now    time.Time
	Before est.Hash // the last of the page before; zero asks for the first page
	Limit  int
}

// Certificates returns the certificates that q selects. It returns est.ErrUnknown
// if there is no certificate Before.
func (v View) Certificates(ctx context.Context, q CertificateQuery) ([]CertificateLine, error) {
	var end, before int64 = math.MinInt64, math.MaxInt64
	if q.Before != (est.Hash{}) {
		err := v.db.QueryRow(ctx, "certificate.place", q.Before[:]).Scan(&end, &before)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, est.ErrUnknown
		}
		if err != nil {
			return nil, err
		}
	}
	name := "view.certificates"
	args := []any{
		before, q.Limit, likeText(q.Text), text(q.State), q.Now.UnixMicro(), replaced(q.Now),
		text(string(q.Kind)), text(q.Profile), blob(q.Issuer),
	}
	switch {
	case q.Factory != (est.Hash{}):
		name, args = "view.certificates_of_device", append(args, q.Factory[:])
	case q.SPKI != (est.Hash{}):
		name, args = "view.certificates_of_key", append(args, q.SPKI[:])
	case !q.Until.IsZero():
		name, args = "view.certificates_ending", append(args, q.Until.UnixMicro(), end, before)
	}
	rows, err := v.db.Query(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (CertificateLine, error) { return scanCertificateLine(r) })
}

// replaced is the time before which a renewed certificate was replaced for good.
func replaced(now time.Time) int64 { return now.Add(-est.RekeyOverlap).UnixMicro() }

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
	err = v.db.QueryRow(ctx, "view.certificate_counts", now.UnixMicro(), replaced(now), soon.UnixMicro()).
		Scan(&live, &ending)
	return live, ending, err
}

// A CertificateKind counts the certificates of one kind and profile.
type CertificateKind struct {
	Kind           est.Kind
	Profile        string
	All            int
	Live, Revoked  int // the others have expired
	Daily, Monthly int // issued within a day, and within thirty
}

// CertificateKinds counts the whole inventory.
func (v View) CertificateKinds(ctx context.Context, now time.Time) ([]CertificateKind, error) {
	rows, err := v.db.Query(ctx, "view.certificate_kinds", now.UnixMicro(), replaced(now),
		now.AddDate(0, 0, -1).UnixMicro(), now.AddDate(0, 0, -30).UnixMicro())
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (k CertificateKind, err error) {
		return k, r.Scan(&k.Kind, &k.Profile, &k.All, &k.Live, &k.Revoked, &k.Daily, &k.Monthly)
	})
}

// CertificateEnds returns how many live certificates end in each of the next days,
// counted from now.
func (v View) CertificateEnds(ctx context.Context, now time.Time, days int) ([]int, error) {
	rows, err := v.db.Query(ctx, "view.certificate_ends", now.UnixMicro(), replaced(now),
		now.Add(time.Duration(days)*24*time.Hour).UnixMicro())
	if err != nil {
		return nil, err
	}
	out := make([]int, days)
	_, err = collect(rows, func(r *sql.Rows) (struct{}, error) {
		var day, n int
		err := r.Scan(&day, &n)
		if err == nil && day >= 0 && day < days {
			out[day] = n
		}
		return struct{}{}, err
	})
	return out, err
}

// OwnCertificates returns those of the provider itself, not of devices, that are
// live and end before until, the first to end first.
func (v View) OwnCertificates(ctx context.Context, now, until time.Time, limit int) ([]CertificateLine, error) {
	rows, err := v.db.Query(ctx, "view.own_certificates", now.UnixMicro(), replaced(now), until.UnixMicro(), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (CertificateLine, error) { return scanCertificateLine(r) })
}

// WarnCertificate writes the audit row r, that the certificate ends in so many
// days, unless that was written before. It reports whether it was.
func (db *DB) WarnCertificate(ctx context.Context, hash est.Hash, days int, r audit.Row) (fresh bool, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		res, err := tx.Exec("certificate.warn", hash[:], days, r.At.UnixMicro())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		fresh = true
		return tx.Audit(r)
	})
	return fresh, err
}
