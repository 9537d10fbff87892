package queuetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
)

var noon = time.UnixMicro(1_700_000_000_000_000).UTC()

func operation(id string, device fleet.ID, kind, path string) queue.Operation {
	return queue.Operation{
		ID: id, Device: device, Kind: kind, Path: path, Body: []byte(`{"a":1}`), Actor: "operator:alice", Held: true,
		Writes: kind == "write", Repeats: kind != "execute", State: queue.Queued, CreatedAt: noon,
		ExpiresAt: noon.Add(time.Hour),
	}
}

func add(t *testing.T, s queue.Store, all ...queue.Operation) {
	t.Helper()
	for _, o := range all {
		if _, err := s.Add(t.Context(), o, nil); err != nil {
			t.Fatalf("Add %s = %v", o.ID, err)
		}
	}
}

func ids(t *testing.T, s queue.Store, f queue.Filter) (out []string) {
	t.Helper()
	all, err := s.Operations(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		out = append(out, o.ID)
	}
	return out
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s = %q, want %q", what, got, want)
	}
}

// TestStore is the suite of a Store. open returns an empty one that knows the
// devices named.
func TestStore(t *testing.T, open func(t *testing.T, devices ...fleet.ID) queue.Store) {
	for name, test := range map[string]func(*testing.T, queue.Store){
		"steps": testSteps, "order": testOrder, "writes": testWrites, "bounds": testBounds, "prune": testPrune,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t, "A", "B")) })
	}
}

func testSteps(t *testing.T, s queue.Store) {
	t.Helper()
	ctx := t.Context()
	o := operation("1", "A", "read", "/3/0/9")
	if _, err := s.Add(ctx, o, &audit.Row{Actor: "a", Action: "operation.queue", Subject: "A", At: noon}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Operation(ctx, "1")
	if err != nil || !reflect.DeepEqual(got, o) {
		t.Fatalf("Operation = %+v, %v; want %+v", got, err, o)
	}
	o.State, o.Version, o.Tries, o.SentAt, o.Reason = queue.Failed, 1, 2, noon.Add(time.Second), "no"
	o.EndedAt, o.Result, o.Body, o.Action = noon.Add(time.Minute), []byte("{}"), nil, "device.read"
	o.Exchanges = []queue.Exchange{{At: noon, Took: 0.5, Method: "0.01", Path: "/3/0/9", Code: "4.04", Request: []byte{1}}}
	o.Action = ""
	if err := s.Set(ctx, o, &audit.Row{Actor: "a", Action: "operation.end", Subject: "A", At: noon}); err != nil {
		t.Fatal(err)
	}
	if got, err = s.Operation(ctx, "1"); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("after Set: %+v, %v; want %+v", got, err, o)
	}
	if err := s.Set(ctx, o, nil); !errors.Is(err, queue.ErrConflict) {
		t.Errorf("Set of the same version = %v, want ErrConflict", err)
	}
	o.ID = "none"
	if err := s.Set(ctx, o, nil); !errors.Is(err, queue.ErrConflict) {
		t.Errorf("Set of none = %v, want ErrConflict", err)
	}
	if _, err := s.Operation(ctx, "none"); !errors.Is(err, queue.ErrUnknown) {
		t.Errorf("Operation of none = %v, want ErrUnknown", err)
	}
}

func testOrder(t *testing.T, s queue.Store) {
	t.Helper()
	done := operation("3", "A", "read", "/3/0")
	done.State, done.EndedAt = queue.Done, noon
	direct := operation("5", "A", "read", "/3/0")
	direct.State, direct.Held = queue.Sent, false
	late := operation("6", "B", "read", "/3/0")
	late.ExpiresAt = noon.Add(2 * time.Hour)
	add(t, s, operation("2", "A", "read", "/3/0"), operation("9", "B", "read", "/3"),
		operation("1", "A", "execute", "/3/0/4"), done, direct, late)
	same(t, "all", ids(t, s, queue.Filter{}), "6", "5", "3", "1", "9", "2")
	same(t, "of A", ids(t, s, queue.Filter{Device: "A"}), "5", "3", "1", "2")
	same(t, "of A, page 1", ids(t, s, queue.Filter{Device: "A", Limit: 2}), "5", "3")
	same(t, "of A, page 2", ids(t, s, queue.Filter{Device: "A", Limit: 2, After: "3"}), "1", "2")
	same(t, "open of A", ids(t, s, queue.Filter{Device: "A", Open: true}), "2", "1", "5")
	same(t, "open", ids(t, s, queue.Filter{Open: true, Limit: 3}), "2", "9", "1")
	same(t, "open after", ids(t, s, queue.Filter{Open: true, After: "1"}), "5", "6")
	same(t, "expired", ids(t, s, queue.Filter{Open: true, Expired: noon.Add(time.Hour)}), "2", "9", "1")
	same(t, "not yet expired", ids(t, s, queue.Filter{Open: true, Expired: noon}))
	got, err := s.Waiting(t.Context())
	if err != nil || !reflect.DeepEqual(got, map[fleet.ID]int{"A": 2, "B": 2}) {
		t.Errorf("Waiting = %v, %v", got, err)
	}
}

func testWrites(t *testing.T, s queue.Store) {
	t.Helper()
	sent := operation("0", "A", "write", "/1/0/1")
	sent.State = queue.Sent
	add(t, s, sent, operation("1", "A", "write", "/1/0/1"), operation("2", "A", "execute", "/1/0/8"),
		operation("3", "A", "write", "/1/0/1"), operation("4", "A", "write", "/1/0/2"),
		operation("5", "B", "write", "/1/0/1"))
	got, err := s.Add(t.Context(), operation("6", "A", "write", "/1/0/1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "replaced", got, "3") // not what came before the Execute, nor another device's
	o, err := s.Operation(t.Context(), "3")
	if err != nil || o.State != queue.Cancelled || o.Reason != queue.Replaced || o.EndedAt.IsZero() || o.Version != 1 ||
		o.Body != nil {
		t.Errorf("replaced = %+v, %v", o, err)
	}
	same(t, "open of A", ids(t, s, queue.Filter{Device: "A", Open: true}), "0", "1", "2", "4", "6")
	got, err = s.Add(t.Context(), operation("7", "A", "read", "/1/0/1"), nil)
	if err != nil || len(got) != 0 {
		t.Errorf("a read replaced %q, %v", got, err)
	}
}

func testBounds(t *testing.T, s queue.Store) {
	t.Helper()
	for i := range queue.MaxKept + 10 {
		o := operation(fmt.Sprintf("d%d", i), "A", "read", "/3")
		o.State, o.EndedAt = queue.Done, noon
		add(t, s, o)
	}
	for i := range queue.MaxWaiting {
		add(t, s, operation(fmt.Sprintf("q%d", i), "A", "read", "/3"))
	}
	if _, err := s.Add(t.Context(), operation("x", "A", "read", "/3"), nil); !errors.Is(err, queue.ErrFull) {
		t.Errorf("one too many: %v, want ErrFull", err)
	}
	add(t, s, operation("y", "B", "read", "/3"))
	all := ids(t, s, queue.Filter{Device: "A"})
	if n := len(all); n != queue.MaxKept+queue.MaxWaiting {
		t.Errorf("%d are kept, want %d", n, queue.MaxKept+queue.MaxWaiting)
	}
	if slices.Contains(all, "d0") || !slices.Contains(all, "d109") {
		t.Error("not the oldest are forgotten")
	}
}

func testPrune(t *testing.T, s queue.Store) {
	t.Helper()
	old, fresh := operation("1", "A", "read", "/3"), operation("2", "A", "read", "/3")
	old.State, old.EndedAt = queue.Done, noon
	fresh.State, fresh.EndedAt = queue.Done, noon.Add(time.Hour)
	add(t, s, old, fresh, operation("3", "A", "read", "/3"))
	if err := s.Prune(t.Context(), noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	same(t, "left", ids(t, s, queue.Filter{}), "3", "2")
}
