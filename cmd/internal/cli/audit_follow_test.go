package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/cli"
	"steward/web"
)

// A log is the part of a provider that audit follow speaks to.
type auditLog struct {
	stream web.Stream

	mu   sync.Mutex
	rows []web.AuditRow // the newest first
}

func (l *auditLog) write(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		id := int64(len(l.rows) + 1)
		l.rows = append([]web.AuditRow{{ID: id, Actor: "a", Action: fmt.Sprint("x", id), At: time.Unix(0, 0)}}, l.rows...)
	}
}

// tell publishes an event of the newest row, and how many there were before.
func (l *auditLog) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	data, _ := json.Marshal(l.rows[0]) //nolint:errchkjson // it can be written
	l.stream.Publish(web.Event{Type: web.EventAudit, Data: data})
}

func (l *auditLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer secret" {
		web.WriteProblem(w, web.ProblemOf(r, web.ErrSignedOut))
		return
	}
	if strings.HasSuffix(r.URL.Path, "/events") {
		r = r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "a", Role: web.RoleViewer}))
		_ = l.stream.Serve(w, r, time.Minute, func(web.Event) bool { return true })
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		web.WriteProblem(w, web.ProblemOf(r, err))
		return
	}
	rows := l.rows
	for p.After != "" && len(rows) > 0 && fmt.Sprint(rows[0].ID+1) != p.After {
		rows = rows[1:]
	}
	list := web.List[web.AuditRow]{Items: rows[:min(len(rows), p.Size)]}
	if len(rows) > p.Size {
		list.Next = fmt.Sprint(rows[p.Size-1].ID)
	}
	_ = web.WriteJSON(w, http.StatusOK, list)
}

// A lineCounter cancels when it was written so many lines.
type lineCounter struct {
	bytes.Buffer

	seen chan int
}

func (c *lineCounter) Write(b []byte) (int, error) {
	n, err := c.Buffer.Write(b)
	c.seen <- bytes.Count(c.Bytes(), []byte("\n"))
	return n, err
}

func TestAuditFollow(t *testing.T) {
	l := &auditLog{}
	l.write(12)
	server := httptest.NewServer(l)
	defer server.Close()
	defer l.stream.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, talk := &lineCounter{seen: make(chan int, 1000)}, &bytes.Buffer{}
	ended := make(chan int, 1)
	go func() {
		args := []string{"audit", "follow", "--rows", "2", "--url", server.URL, "--token-file", token}
		ended <- cli.Run(ctx, args, out, talk)
	}()
	until := func(want int) {
		t.Helper()
		for n := 0; n < want; {
			select {
			case n = <-out.seen:
			case code := <-ended:
				t.Fatalf("it ended after %d lines with exit status %d: %s", n, code, talk)
			}
		}
	}
	until(2)
	l.write(250) // more than a page; it may be seen before the event comes
	l.tell()
	until(252)
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit status %d: %s", code, talk)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, line := range lines {
		if !strings.Contains(line, fmt.Sprintf("  x%d", i+11)) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if err := os.WriteFile(token, []byte("other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code := cli.Run(t.Context(), []string{"audit", "follow", "--url", server.URL, "--token-file", token}, out, talk)
	if code != 1 || !strings.Contains(talk.String(), "401") {
		t.Errorf("with a wrong token: exit status %d, %q", code, talk)
	}
}
