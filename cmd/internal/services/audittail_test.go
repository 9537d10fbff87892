package services_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/services"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
	"steward/web"
)

// tail is a database whose audit rows are told on a stream.
type tail struct {
	db     *sqlite.DB
	stream *web.Stream
}

// newTail runs a tail over a database with so many rows, until the test ends.
func newTail(t *testing.T, rows int) *tail {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "steward.db"))
	if err != nil {
		t.Fatal(err)
	}
	w := &tail{db: db, stream: &web.Stream{}}
	w.write(t, rows)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- services.NewAuditTail(services.NewHub(w.stream), db, slog.New(slog.DiscardHandler)).Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return w
}

func (w *tail) write(t *testing.T, rows int) {
	t.Helper()
	for i := range rows {
		if err := w.db.Audit(t.Context(), audit.Row{Actor: "a", Action: "x", Subject: fmt.Sprint("s", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// watch watches for a minute and returns what it is told, as "id" or "after-before".
func (w *tail) watch(t *testing.T, do func()) string {
	t.Helper()
	out := httptest.NewRecorder()
	go func() {
		time.Sleep(time.Second)
		do()
	}()
	r := httptest.NewRequest(http.MethodGet, "/events", nil)
	err := w.stream.Serve(out, r, time.Minute, func(e web.Event) bool { return e.Type == web.EventAudit })
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	for line := range strings.Lines(out.Body.String()) {
		text, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var e struct {
			Subject string
			Data    struct {
				ID      int64
				Subject string
				After   json.RawMessage
				Before  json.RawMessage
			}
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Data.ID == 0:
			fmt.Fprintf(&told, "%s-%s ", e.Data.After, e.Data.Before)
		case e.Subject == e.Data.Subject:
			fmt.Fprintf(&told, "%d ", e.Data.ID)
		}
	}
	return strings.TrimSpace(told.String())
}

func TestAuditTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTail(t, 40)
		if got := w.watch(t, func() { w.write(t, 2) }); got != "41 42" {
			t.Errorf("told of %q, want the two rows that were written", got)
		}
		// Many at once: the newest, and that there are others.
		want := "42-127 127 128 129 130 131 132 133 134 135 136 137 138 139 140 141 142"
		if got := w.watch(t, func() { w.write(t, 100) }); got != want {
			t.Errorf("told of %q, want %q", got, want)
		}
		// A row that was undone is not told, nor what was written while nobody watched.
		w.write(t, 1) // when it is noticed that the watcher went away
		time.Sleep(time.Hour)
		w.write(t, 49)
		synctest.Wait()
		got := w.watch(t, func() {
			err := w.db.Update(t.Context(), func(tx *sqlite.Tx) error {
				return fmt.Errorf("no: %w", tx.Audit(audit.Row{Actor: "a", Action: "undone"}))
			})
			if err == nil {
				t.Error("Update returned no error")
			}
			w.write(t, 1)
		})
		if got != "193" {
			t.Errorf("told of %q, want 193", got)
		}
	})
}

// TestAuditTailUnwatched has nobody watch: nothing is read, so nothing is published.
func TestAuditTailUnwatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTail(t, 0)
		w.write(t, 100)
		synctest.Wait()
		if e := w.stream.Publish(web.Event{}); e.ID != 1 {
			t.Errorf("%d events were published for nobody", e.ID-1)
		}
	})
}
