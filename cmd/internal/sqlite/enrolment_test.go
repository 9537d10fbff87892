package sqlite

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/enrol/enroltest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

func TestEnrolments(t *testing.T) {
	enroltest.TestStore(t, func(t *testing.T) enroltest.World {
		t.Helper()
		db := open(t)
		n := byte(0)
		return enroltest.World{
			Store: db.Enrolments(),
			Device: func(t *testing.T) fleet.ID {
				t.Helper()
				n++
				d := fleet.Device{
					ID: fleet.ID(fmt.Sprintf("d%03d", n)), Factory: fleet.Factory{n}, Ownership: fleet.Owned,
					Endpoint: lwm2m.Endpoint(fmt.Sprintf("urn:dev:%d", n)), CreatedAt: time.Now(),
				}
				if err := db.Devices().Put(t.Context(), d, "test", ""); err != nil {
					t.Fatal(err)
				}
				return d.ID
			},
			Issue: func(t *testing.T, device fleet.ID, issued, ends time.Time, renews bool) est.Hash {
				t.Helper()
				d, err := db.Devices().Device(t.Context(), device)
				if err != nil {
					t.Fatal(err)
				}
				n++
				r := est.Record{
					Hash: est.Hash{n}, Serial: fmt.Sprint(n), SPKI: est.Hash{n}, Kind: est.KindOperational, Profile: "operational",
					Name: string(d.Endpoint), Factory: est.Hash(d.Factory), NotAfter: ends, IssuedAt: issued, DER: []byte{n},
					Version: 1, Status: est.StatusValid,
				}
				other := r // what no device asked for is nothing to the runner
				other.Hash, other.Serial, other.Kind = est.Hash{n, 1}, r.Serial+"01", est.KindServer
				if renews {
					r.Supersedes = est.Hash{1}
				}
				err = db.Inventory().Commit(t.Context(), est.Change{Insert: []est.Record{other, r}})
				if err != nil {
					t.Fatal(err)
				}
				return r.Hash
			},
			Audit: func(t *testing.T) (out []string) {
				t.Helper()
				records, err := db.AuditBefore(t.Context(), "", 0, 1000)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range slices.Backward(records) {
					if strings.HasPrefix(r.Action, "enrolment.") {
						out = append(out, r.Action)
					}
				}
				return out
			},
		}
	})
}

// TestEnrolmentQueriesUseIndexes: neither a look at what is due nor the feed may
// walk through the fleet.
func TestEnrolmentQueriesUseIndexes(t *testing.T) {
	db := open(t)
	for name, tt := range map[string]struct {
		args []any
		want string
	}{
		"enrolment.due":    {[]any{1, 0, "", 10}, "enrolment_due"},
		"enrolment.issued": {[]any{10}, "INTEGER PRIMARY KEY (rowid>?)"},
		"enrolment.counts": {nil, "enrolment_trouble"},
	} {
		wantPlan(t, db, name, tt.want, tt.args...)
	}
}

// wantPlan checks that a query goes by an index, and sorts nothing.
func wantPlan(t *testing.T, db *DB, name, want string, args ...any) {
	t.Helper()
	rows, err := db.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query(name), args...)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := collect(rows, func(r *sql.Rows) (detail string, err error) {
		var a, b, c int
		err = r.Scan(&a, &b, &c, &detail)
		return detail, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(plan, "; "); !strings.Contains(text, want) || strings.Contains(text, "TEMP B-TREE") {
		t.Errorf("plan of %s: %s, want %s", name, text, want)
	}
}
