package sqlite_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/keys"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/audit"
	"steward/web/once"
	"steward/web/once/oncetest"
)

func replies(t *testing.T, path string) (sqlite.Replies, *sqlite.DB) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	seal, err := keys.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return db.Replies(seal), db
}

func TestReplies(t *testing.T) {
	oncetest.TestStore(t, func(t *testing.T) (once.Store, func(context.Context) error) {
		t.Helper()
		s, db := replies(t, filepath.Join(t.TempDir(), "steward.db"))
		return s, func(ctx context.Context) error {
			return db.Audit(ctx, audit.Row{Actor: "a", Action: "b", At: time.Unix(1, 0)})
		}
	})
}

// TestRepliesAreSealed holds that an answer with a secret is not in the file.
func TestRepliesAreSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steward.db")
	s, db := replies(t, path)
	r := once.Reply{Key: once.Key{1}, Caller: "a", State: once.Running, Run: "one", At: time.Unix(1, 0)}
	if _, _, err := s.Begin(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r.State, r.Status, r.Body = once.Done, 201, []byte("a-very-secret-link")
	if err := s.Finish(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, r.Body) {
		t.Error("the answer stands in the database in the clear")
	}
}

// TestFailedWorkIsNotApplied: what is undone has changed nothing for its key.
func TestFailedWorkIsNotApplied(t *testing.T) {
	s, db := replies(t, filepath.Join(t.TempDir(), "steward.db"))
	r := once.Reply{Key: once.Key{1}, Caller: "a", State: once.Running, Run: "one", At: time.Unix(1, 0)}
	if _, _, err := s.Begin(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	err := db.Update(once.With(t.Context(), r.Key), func(*sqlite.Tx) error { return os.ErrInvalid })
	if err == nil {
		t.Fatal("Update succeeded")
	}
	r.Run = "two"
	if _, begun, err := s.Begin(t.Context(), r); err != nil || !begun {
		t.Errorf("Begin of another process = %v, %v; want to begin anew", begun, err)
	}
}

// TestReplyLimit keeps as many replies as may be, and one of somebody else.
func TestReplyLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("keeps as many as may be")
	}
	s, _ := replies(t, filepath.Join(t.TempDir(), "steward.db"))
	reply := func(i int) once.Reply {
		r := once.Reply{Caller: "a", State: once.Running, Run: "one", At: time.Unix(1, 0)}
		binary.BigEndian.PutUint64(r.Key[:], uint64(i))
		return r
	}
	var all sync.WaitGroup
	const workers = 200 // share commits
	for w := range workers {
		all.Go(func() {
			for i := w; i < once.MaxReplies; i += workers {
				if _, begun, err := s.Begin(t.Context(), reply(i)); err != nil || !begun {
					t.Errorf("Begin of %d = %v, %v", i, begun, err)
					return
				}
			}
		})
	}
	all.Wait()
	last := reply(once.MaxReplies)
	if _, _, err := s.Begin(t.Context(), last); !errors.Is(err, once.ErrFull) {
		t.Errorf("Begin beyond MaxReplies = %v, want ErrFull", err)
	}
	last.Caller = "b"
	if _, begun, err := s.Begin(t.Context(), last); err != nil || !begun {
		t.Errorf("Begin of another caller = %v, %v", begun, err)
	}
}
