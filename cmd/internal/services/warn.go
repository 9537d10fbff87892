package services

import (
	"context"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/lwm2m/audit"
)

// warnAt are the numbers of days before the end of a certificate of the provider's
// own at which the audit tells of it, each once.
var warnAt = []int{daysBad, daysWarning, daysAhead}

// WarnOfEnds writes into the audit which of the provider's own certificates end
// within 7, 30 or 90 days, once for each number, and returns how many rows it wrote.
func WarnOfEnds(ctx context.Context, o Options) (int, error) {
	b := &base{Options: o, view: o.DB.View()}
	now := o.Now()
	alerts, err := b.alerts(ctx, now)
	if err != nil {
		return 0, err
	}
	var n int
	for _, a := range alerts {
		hash, _ := parseHash(a.Certificate) // it was made of one
		fresh, err := warnOnce(ctx, o.DB, hash, a.Days, audit.Row{
			Actor: "system", Action: "certificate.ending", Subject: a.Certificate, Reason: a.Text, At: now,
		})
		if err != nil {
			return n, err
		}
		if fresh {
			n++
		}
	}
	return n, nil
}

// warnOnce writes the row of the nearest number of days, if it is not there yet.
func warnOnce(ctx context.Context, db *sqlite.DB, hash est.Hash, left int, row audit.Row) (bool, error) {
	for _, days := range warnAt {
		if left < days {
			return db.WarnCertificate(ctx, hash, days, row)
		}
	}
	return false, nil
}
