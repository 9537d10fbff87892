package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

// auditLog keeps rows.
type auditLog struct{ rows []audit.Row }

func (l *auditLog) Audit(_ context.Context, r audit.Row) error {
	l.rows = append(l.rows, r)
	return nil
}

// TestFaults checks whose timeline a fault comes to, in which words, and that a
// device that sends nothing else does not fill it.
func TestFaults(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "steward.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i, ep := range []lwm2m.Endpoint{"proved", "open"} {
		d := fleet.Device{ID: fleet.ID("d-" + ep), Endpoint: ep, NoSec: i == 1, CreatedAt: time.Now()}
		if err := db.Devices().Put(t.Context(), d, "test", ""); err != nil {
			t.Fatal(err)
		}
	}
	now, log := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), &auditLog{}
	write := app.FaultWriter(db.Devices(), log, slog.New(slog.DiscardHandler), func() time.Time { return now })
	tell := func(e server.Event) int {
		t.Helper()
		before := len(log.rows)
		if err := write(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		return len(log.rows) - before
	}
	const words = "Its Send cannot be read (x)"
	for _, tt := range []struct {
		name string
		e    server.Event
		want int
	}{
		{"registered", server.Event{Device: "d-1", Endpoint: "one", Reason: words}, 1},
		{"the same again, with another detail", server.Event{Device: "d-1", Reason: "Its Send cannot be read (y)"}, 0},
		{"proved", server.Event{Endpoint: "proved", Reason: words}, 1},
		{"only says so", server.Event{Endpoint: "proved", Claimed: true, Reason: "Its registration is wrong"}, 0},
		{"only says so, and needs no more", server.Event{Endpoint: "open", Claimed: true, Reason: words}, 1},
		{"stranger", server.Event{Endpoint: "nobody", Reason: words}, 0},
		{"hostile text", server.Event{Device: "d-2", Reason: "\x1b[31m\n\u202e" + strings.Repeat("x", 999)}, 1},
	} {
		if got := tell(tt.e); got != tt.want {
			t.Errorf("%s: %d rows, want %d", tt.name, got, tt.want)
		}
	}
	if r := log.rows[2]; r.Actor != "unproved:open" || r.Subject != "d-open" || r.Action != "device.fault" {
		t.Errorf("row of a claim = %+v", r)
	}
	if r := log.rows[3].Reason; strings.ContainsAny(r, "\x1b\n\u202e") || len([]rune(r)) > 301 {
		t.Errorf("hostile text = %q", r)
	}
	total := 0
	for i := range 100 {
		total += tell(server.Event{Device: "d-3", Reason: fmt.Sprint("fault ", i)})
	}
	now = now.Add(24 * time.Hour)
	if again := tell(server.Event{Device: "d-3", Reason: "fault 0"}); total != 8 || again != 1 {
		t.Errorf("%d rows of one device in a day, %d on the next; want 8 and 1", total, again)
	}
}
