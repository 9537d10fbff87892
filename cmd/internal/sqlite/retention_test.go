package sqlite

import (
	"database/sql"
	"os"
	"regexp"
	"testing"
	"time"
)

// TestRetention holds that ARCHITECTURE.md says of every table, and of none that there
// is not, for how long its rows are kept.
func TestRetention(t *testing.T) {
	text, err := os.ReadFile("../../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?s)<!-- retention -->(.*)<!-- end of retention -->`).FindSubmatch(text)
	if section == nil {
		t.Fatal("ARCHITECTURE.md has no section on retention")
	}
	said := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\| [^|]{8,} \\|$").FindAllSubmatch(section[1], -1) {
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllSubmatch(row[1], -1) {
			said[string(name[1])] = true
		}
	}
	rows, err := open(t).read.QueryContext(t.Context(),
		"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	names, err := collect(rows, func(r *sql.Rows) (s string, err error) { return s, r.Scan(&s) })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !said[name] {
			t.Errorf("ARCHITECTURE.md does not say for how long rows of %s are kept", name)
		}
		delete(said, name)
	}
	for name := range said {
		t.Errorf("ARCHITECTURE.md speaks of %s, which is no table", name)
	}
}

// TestForget forgets old answers and warnings, and keeps the others.
func TestForget(t *testing.T) {
	db := open(t)
	now := time.Now()
	err := db.Update(t.Context(), func(tx *Tx) error {
		for _, age := range []time.Duration{keptLong + time.Hour, keptLong - time.Hour} {
			_, err := tx.w.conn.ExecContext(t.Context(), "INSERT INTO certificate_warning (hash, days, at) VALUES (x'00', ?, ?)",
				int(age.Hours()), now.Add(-age).UnixMicro())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Forget(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	var left int
	err = db.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM certificate_warning").Scan(&left)
	if err != nil || left != 1 {
		t.Errorf("%d are left, %v; want 1", left, err)
	}
}
