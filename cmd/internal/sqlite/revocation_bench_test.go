package sqlite

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// BenchmarkCRL makes the CRL of 100,000 revoked certificates from the database.
func BenchmarkCRL(b *testing.B) {
	const n = 100_000
	db := open(b)
	clock := esttest.NewClock()
	issuer := esttest.NewCA(b, "Alpha", db.Inventory(), clock.Now)
	scope := est.CRLScope{Issuer: issuer.Authorities()[0].Hash()}
	for at := 0; at < n; at += 1000 {
		var insert, update est.Change
		for i := at; i < at+1000; i++ {
			h := sha256.Sum256(fmt.Append(nil, i))
			r := est.Record{
				Hash: h, Issuer: scope.Issuer, Serial: fmt.Sprintf("4%x", h[:15]), SPKI: h, Kind: est.KindOperational,
				Profile: "operational", Name: fmt.Sprintf("urn:dev:%d", i), NotBefore: clock.Now(),
				NotAfter: clock.Now().Add(365 * 24 * time.Hour), IssuedAt: clock.Now(), DER: h[:], Version: 1,
				Status: est.StatusValid,
			}
			insert.Insert = append(insert.Insert, r)
			r.Status, r.Reason, r.RevokedAt = est.StatusRevoked, est.Superseded, clock.Now()
			update.Update = append(update.Update, r)
		}
		for _, ch := range []est.Change{insert, update} {
			if err := db.Inventory().Commit(b.Context(), ch); err != nil {
				b.Fatal(err)
			}
		}
	}
	o := est.Options{Store: db.Inventory(), Now: clock.Now, Parents: issuer.Authorities()[0].Parents}
	o.Signer, o.Issuer = issuer.Authorities()[0].Signer, issuer.Certificate()
	b.ResetTimer()
	for range b.N {
		ca, err := est.NewCA(o) // which has read nothing yet
		if err != nil {
			b.Fatal(err)
		}
		crl, err := ca.CRL(b.Context(), scope, time.Hour)
		if err != nil || crl.Entries != n {
			b.Fatal(crl.Entries, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/CRL")
}
