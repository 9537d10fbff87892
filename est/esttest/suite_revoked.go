package esttest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"steward/est"
)

// testRevokedStream checks what CRLs are made of: of one issuer or of all, without
// those that ended.
func testRevokedStream(t *testing.T, b Backend) {
	t.Helper()
	all := map[est.Hash]est.Revocation{}
	for i := range 6 {
		r := record(fmt.Sprintf("%x", i+10))
		r.Issuer = hash(fmt.Sprintf("issuer %d", i%2))
		r.NotAfter = start.Truncate(time.Second).Add(time.Duration(i) * time.Hour)
		commit(t, b.Store, est.Change{Insert: []est.Record{r}})
		if i == 5 { // stays valid
			break
		}
		r.Status, r.Reason, r.RevokedAt = est.StatusRevoked, est.KeyCompromise, start
		commit(t, b.Store, est.Change{Update: []est.Record{r}})
		all[r.Hash] = est.Revocation{
			Hash: r.Hash, Issuer: r.Issuer, Serial: r.Serial, NotAfter: r.NotAfter, At: start, Reason: est.KeyCompromise,
		}
	}
	for _, tt := range []struct {
		issuer est.Hash
		from   int // hours
		want   int
	}{{est.Hash{}, 0, 5}, {est.Hash{}, 3, 2}, {hash("issuer 0"), 0, 3}, {hash("issuer 1"), 2, 1}, {hash("nobody"), 0, 0}} {
		var got []est.Hash
		from := start.Truncate(time.Second).Add(time.Duration(tt.from) * time.Hour)
		err := b.Store.Revoked(t.Context(), tt.issuer, from, func(r est.Revocation) error {
			if r != all[r.Hash] || slices.Contains(got, r.Hash) {
				t.Errorf("Revoked tells %+v, want %+v, once", r, all[r.Hash])
			}
			got = append(got, r.Hash)
			return nil
		})
		if err != nil || len(got) != tt.want {
			t.Errorf("Revoked(%x, %dh) = %d, %v, want %d", tt.issuer[:2], tt.from, len(got), err, tt.want)
		}
	}
	stop := errors.New("enough")
	err := b.Store.Revoked(t.Context(), est.Hash{}, start.Add(-time.Hour), func(est.Revocation) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("Revoked = %v, want the error of fn", err)
	}
}
