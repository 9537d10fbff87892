package webtest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"steward/web"
)

// EventLog is a web.EventLog in memory. Its zero value is ready.
type EventLog struct {
	mu  sync.Mutex // guards all
	all []web.Logged
}

// Append implements web.EventLog.
func (l *EventLog) Append(_ context.Context, events []web.Logged) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, events...)
	return nil
}

// After implements web.EventLog.
func (l *EventLog) After(_ context.Context, id uint64, limit int) ([]web.Logged, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.all, id+1, func(e web.Logged, id uint64) int { return cmp.Compare(e.ID, id) })
	return slices.Clone(l.all[i:min(i+limit, len(l.all))]), nil
}

// Bounds implements web.EventLog.
func (l *EventLog) Bounds(context.Context) (oldest, newest uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return 0, 0, nil
	}
	return l.all[0].ID, l.all[len(l.all)-1].ID, nil
}

// Prune implements web.EventLog.
func (l *EventLog) Prune(_ context.Context, before time.Time, keep int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(e web.Logged) bool { return e.At.Before(before) })
	l.all = l.all[max(0, len(l.all)-keep):]
	return nil
}

// TestEventLog checks that the logs that open returns keep the promises of
// web.EventLog.
func TestEventLog(t *testing.T, open func(t *testing.T) web.EventLog) {
	t.Helper()
	l := open(t)
	bounds := func(oldest, newest uint64) {
		t.Helper()
		o, n, err := l.Bounds(t.Context())
		if o != oldest || n != newest || err != nil {
			t.Errorf("Bounds = %d, %d, %v; want %d, %d", o, n, err, oldest, newest)
		}
	}
	ids := func(after uint64, limit int, want ...uint64) {
		t.Helper()
		got, err := l.After(t.Context(), after, limit)
		if err != nil || len(got) != len(want) {
			t.Fatalf("After(%d, %d) = %v, %v; want %v", after, limit, got, err, want)
		}
		for i, e := range got {
			if e.ID != want[i] || e.Type != web.EventDevice || e.Subject != "d" || string(e.Data) != "{}" ||
				!e.At.Equal(second(e.ID)) {
				t.Errorf("After(%d, %d) has %+v, want %d", after, limit, e, want[i])
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	bounds(0, 0)
	ids(0, 10)
	must(l.Prune(t.Context(), Noon, 1))
	var events []web.Logged
	for _, id := range []uint64{3, 5, 6, 9} {
		events = append(events, web.Logged{
			ID: id, At: second(id),
			Event: web.Event{Type: web.EventDevice, Subject: "d", Data: []byte("{}")},
		})
	}
	must(l.Append(t.Context(), events[:3]))
	must(l.Append(t.Context(), events[3:]))
	must(l.Append(t.Context(), nil))
	bounds(3, 9)
	ids(0, 10, 3, 5, 6, 9)
	ids(3, 2, 5, 6)
	ids(4, 1, 5)
	ids(9, 10)
	must(l.Prune(t.Context(), Noon.Add(5*time.Second), 10))
	ids(0, 10, 5, 6, 9)
	must(l.Prune(t.Context(), Noon, 2))
	ids(0, 10, 6, 9)
	bounds(6, 9)
}

// second returns a time for an id.
func second(id uint64) time.Time {
	return Noon.Add(time.Duration(id) * time.Second) //nolint:gosec // G115: ids of tests are small
}
