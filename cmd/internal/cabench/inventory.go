package cabench

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/cmd/internal/sqlite"
	"steward/est"
)

// pageSize is that of a page in the dashboard.
const pageSize = 50

// inventory fills the inventory and reads it as pages do, and as the CRL does.
func (r *run) inventory(ctx context.Context) error {
	r.say("filling the inventory with %d certificates …", r.o.Certificates)
	if err := r.fill(ctx); err != nil {
		return err
	}
	r.result.Certificates = r.o.Certificates
	if err := r.pages(ctx); err != nil {
		return err
	}
	return r.crl(ctx)
}

// crl makes the CRL as the first after a start: nothing of it is in memory.
func (r *run) crl(ctx context.Context) error {
	if err := r.open(); err != nil {
		return err
	}
	begun := time.Now()
	crl, err := r.ca.CRL(ctx, est.CRLScope{Issuer: sha256.Sum256(r.issuing.Raw)}, time.Hour)
	r.result.CRLMillis = milliseconds(time.Since(begun))
	r.result.CRLEntries, r.result.CRLBytes = crl.Entries, len(crl.DER)
	return err
}

func (r *run) fill(ctx context.Context) error {
	const batch = 1000
	key, err := newKey()
	if err != nil {
		return err
	}
	issuer := sha256.Sum256(r.issuing.Raw)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < r.o.Certificates; first += batch {
		g.Go(func() error {
			var records []est.Record
			for i := first; i < min(first+batch, r.o.Certificates); i++ {
				record, err := r.record(fmt.Sprintf("stock-%07d", i), key.Public(), issuer)
				if err != nil {
					return err
				}
				if i%2 == 1 {
					record.Status, record.Reason, record.RevokedAt = est.StatusRevoked, est.Superseded, record.IssuedAt
				}
				records = append(records, record)
			}
			return r.db.Inventory().Commit(ctx, est.Change{Insert: records})
		})
	}
	return g.Wait()
}

// record issues a certificate of the inventory.
func (r *run) record(name string, key any, issuer est.Hash) (est.Record, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	token, err := r.issuer.Prepare(est.DefaultProfiles().Operational, est.Subject{Name: name, Key: key}, now)
	if err != nil {
		return est.Record{}, err
	}
	c, err := r.issuer.Issue(token)
	if err != nil {
		return est.Record{}, err
	}
	return est.Record{
		Hash: sha256.Sum256(c.Raw), Issuer: issuer, Serial: fmt.Sprintf("%x", c.SerialNumber),
		SPKI: sha256.Sum256([]byte(name)), Kind: est.KindOperational, Profile: "operational", Name: name,
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), IssuedAt: now, DER: c.Raw, Version: 1,
		Status: est.StatusValid,
	}, nil
}

// pages reads what pages show, several times, and keeps the slow ones.
func (r *run) pages(ctx context.Context) error {
	const times = 20
	view, now := r.db.View(), time.Now()
	far := now.AddDate(10, 0, 0) //nolint:mnd // all that are live
	half := r.o.Certificates / 2 //nolint:mnd // the middle
	last, err := view.Certificates(ctx, sqlite.CertificateQuery{Now: now, Limit: max(1, half)})
	if err != nil {
		return err
	}
	middle := last[len(last)-1].Hash
	for _, page := range []struct {
		name string
		q    sqlite.CertificateQuery
	}{
		{"newest", sqlite.CertificateQuery{}},
		{"from the middle on", sqlite.CertificateQuery{Before: middle}},
		{"live", sqlite.CertificateQuery{State: "live"}},
		{"expired (none)", sqlite.CertificateQuery{State: "expired"}},
		{"by text, one", sqlite.CertificateQuery{Text: "stock-0000002"}},
		{"by text, none", sqlite.CertificateQuery{Text: "nowhere"}},
		{"by key", sqlite.CertificateQuery{SPKI: sha256.Sum256([]byte("stock-0000002"))}},
		{"by kind, few", sqlite.CertificateQuery{Kind: est.KindIssuing}},
		{"ending soon", sqlite.CertificateQuery{Until: far}},
	} {
		q := page.q
		q.Now, q.Limit = now, pageSize
		err := r.page(page.name, times, func() error {
			_, err := view.Certificates(ctx, q)
			return err
		})
		if err != nil {
			return err
		}
	}
	return cmp.Or(
		r.page("counts", times, func() error {
			_, err := view.CertificateKinds(ctx, now)
			return err
		}),
		r.page("calendar", times, func() error {
			_, err := view.CertificateEnds(ctx, now, 90) //nolint:mnd // as the page has
			return err
		}),
	)
}

// page measures one, and keeps the 95th percentile.
func (r *run) page(name string, times int, read func() error) error {
	took := make([]float64, 0, times)
	for range times {
		begun := time.Now()
		if err := read(); err != nil {
			return err
		}
		took = append(took, milliseconds(time.Since(begun)))
	}
	slices.Sort(took)
	const p95 = 95
	r.result.Pages = append(r.result.Pages, Page{name, took[(len(took)*p95-1)/100]})
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
