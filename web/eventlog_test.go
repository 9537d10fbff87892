package web_test

import (
	"strings"
	"testing"
	"time"

	"steward/web"
	"steward/web/webtest"
)

func TestMemoryLog(t *testing.T) {
	webtest.TestEventLog(t, func(*testing.T) web.EventLog { return &webtest.EventLog{} })
}

// ids returns the ids of the next n events of a feed, with "gap" before one that is.
func (f *feed) ids(t *testing.T, n int) string {
	t.Helper()
	var out []string
	for range n {
		id := strings.TrimPrefix(f.line(t), "id: ")
		if strings.Contains(f.line(t), `"events.gap"`) {
			id = "gap " + id
		}
		out = append(out, id)
	}
	return strings.Join(out, " ")
}

// TestReplay has a client come back to a server that was started anew.
func TestReplay(t *testing.T) {
	log := &webtest.EventLog{}
	before := &web.Stream{}
	for n := range 20 {
		e := before.Publish(event("d", n))
		if n%2 == 1 { // others are not kept: values
			continue
		}
		if err := log.Append(t.Context(), []web.Logged{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Prune(t.Context(), time.Time{}, 5); err != nil { // 11, 13, 15, 17, 19
		t.Fatal(err)
	}
	s := &web.Stream{Log: log}
	_, newest, err := log.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Resume(newest)
	s.Publish(event("other", 1))
	s.Publish(event("d", 1)) // 100021
	for last, want := range map[string]string{
		"15":     "17 19 100021",
		"10":     "11 13 15 17 19 100021",
		"3":      "gap 10 11 13 15 17 19 100021",
		"100020": "100021",
		"999999": "gap 100021",
	} {
		f := watch(t, s, last)
		if got := f.ids(t, len(strings.Fields(strings.ReplaceAll(want, "gap ", "")))); got != want {
			t.Errorf("after %s: %s, want %s", last, got, want)
		}
		f.stop()
	}
	none := &web.Stream{}
	none.Resume(19)
	none.Publish(event("d", 1))
	f := watch(t, none, "3")
	if got := f.ids(t, 2); got != "gap 100019 100020" {
		t.Errorf("without a log: %s", got)
	}
}
