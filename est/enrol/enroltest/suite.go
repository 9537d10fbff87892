package enroltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"steward/est"
	"steward/est/enrol"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
)

// A World is an empty Store and what surrounds it.
type World struct {
	Store enrol.Store
	// Device makes a device and returns its id, which is higher than those before.
	Device func(t *testing.T) fleet.ID
	// Issue has the authority give a device a certificate, and returns its hash.
	Issue func(t *testing.T, device fleet.ID, issued, ends time.Time, renews bool) est.Hash
	// Audit returns the actions of the audit rows of enrolments so far.
	Audit func(t *testing.T) []string
}

// TestStore has a Store show what it promises. fresh makes a new World.
func TestStore(t *testing.T, fresh func(t *testing.T) World) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, World){
		"an enrolment is kept": testKept, "conflicts": testConflict, "due in order": testDue,
		"issued once": testIssued, "counts": testCounts, "all or nothing": testAtomic,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

var begin = time.Date(2027, 3, 1, 12, 0, 0, 123_456_000, time.UTC)

func put(t *testing.T, s enrol.Store, all ...enrol.Enrolment) {
	t.Helper()
	if err := s.Commit(t.Context(), enrol.Change{Enrolments: all}); err != nil {
		t.Fatalf("Commit = %v", err)
	}
}

func testKept(t *testing.T, w World) {
	t.Helper()
	device := w.Device(t)
	if _, err := w.Store.Enrolment(t.Context(), device); !errors.Is(err, enrol.ErrUnknown) {
		t.Errorf("Enrolment of a new device = %v, want ErrUnknown", err)
	}
	want := enrol.Enrolment{
		Device: device, State: enrol.Failed, Certificate: est.Hash{1, 2}, Profile: "operational", IssuedAt: begin,
		NotAfter: begin.Add(time.Hour), Proven: true, Due: begin.Add(time.Minute), Want: enrol.Rekey, Tries: 3,
		Why: "no answer", FailedAt: begin.Add(time.Second), ChangedAt: begin.Add(2 * time.Second),
	}
	put(t, w.Store, want)
	got, err := w.Store.Enrolment(t.Context(), device)
	if want.Version = 1; err != nil || got != want {
		t.Errorf("Enrolment = %+v, %v, want %+v", got, err, want)
	}
	want.State, want.Due, want.FailedAt, want.Why, want.Proven = enrol.Left, time.Time{}, time.Time{}, "", false
	put(t, w.Store, want)
	got, err = w.Store.Enrolment(t.Context(), device)
	if want.Version = 2; err != nil || got != want {
		t.Errorf("Enrolment = %+v, %v, want %+v", got, err, want)
	}
}

func testConflict(t *testing.T, w World) {
	t.Helper()
	e := enrol.Enrolment{Device: w.Device(t), State: enrol.Good, ChangedAt: begin}
	put(t, w.Store, e)
	for _, version := range []int64{0, 2} {
		e.Version = version
		err := w.Store.Commit(t.Context(), enrol.Change{Enrolments: []enrol.Enrolment{e}})
		if !errors.Is(err, enrol.ErrConflict) {
			t.Errorf("Commit of version %d over 1 = %v, want ErrConflict", version, err)
		}
	}
}

func testDue(t *testing.T, w World) {
	t.Helper()
	var want []fleet.ID
	for i := range 5 {
		device := w.Device(t)
		put(t, w.Store, enrol.Enrolment{
			Device: device, State: enrol.Good, Due: begin.Add(time.Duration(i/2) * time.Second), ChangedAt: begin,
		})
		want = append(want, device)
	}
	put(t, w.Store, enrol.Enrolment{Device: w.Device(t), State: enrol.Expired, ChangedAt: begin},
		enrol.Enrolment{Device: w.Device(t), State: enrol.Good, Due: begin.Add(time.Hour), ChangedAt: begin})
	var got []fleet.ID
	var last enrol.Enrolment
	for {
		page, err := w.Store.Due(t.Context(), begin.Add(time.Minute), last, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			got, last = append(got, e.Device), e
		}
		if len(page) < 2 {
			break
		}
	}
	if len(got) != len(want) {
		t.Fatalf("Due = %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("Due[%d] = %v, want %v", i, got[i], want[i])
		}
	}
}

func testIssued(t *testing.T, w World) {
	t.Helper()
	device := w.Device(t)
	first := w.Issue(t, device, begin, begin.Add(time.Hour), false)
	second := w.Issue(t, device, begin.Add(time.Second), begin.Add(2*time.Hour), true)
	all, err := w.Store.Issued(t.Context(), 10)
	if err != nil || len(all) != 2 || all[0].Certificate != first || all[1].Certificate != second {
		t.Fatalf("Issued = %+v, %v, want %x and %x", all, err, first[:4], second[:4])
	}
	if i := all[1]; i.Device != device || !i.Renews || all[0].Renews || !i.IssuedAt.Equal(begin.Add(time.Second)) ||
		!i.NotAfter.Equal(begin.Add(2*time.Hour)) || i.Position <= all[0].Position {
		t.Errorf("Issued = %+v", all)
	}
	one, err := w.Store.Issued(t.Context(), 1)
	if err != nil || len(one) != 1 || one[0].Certificate != first {
		t.Errorf("Issued(1) = %+v, %v", one, err)
	}
	if err := w.Store.Commit(t.Context(), enrol.Change{Position: all[0].Position}); err != nil {
		t.Fatal(err)
	}
	left, err := w.Store.Issued(t.Context(), 10)
	if err != nil || len(left) != 1 || left[0].Certificate != second {
		t.Errorf("Issued after the first was taken over = %+v, %v", left, err)
	}
}

func testCounts(t *testing.T, w World) {
	t.Helper()
	for _, state := range []enrol.State{enrol.Good, enrol.Failed, enrol.Failed, enrol.Due} {
		put(t, w.Store, enrol.Enrolment{Device: w.Device(t), State: state, ChangedAt: begin})
	}
	got, err := w.Store.Counts(t.Context())
	if err != nil || len(got) != 2 || got[enrol.Failed] != 2 || got[enrol.Due] != 1 {
		t.Errorf("Counts = %v, %v, want 2 failed, 1 due", got, err)
	}
}

func testAtomic(t *testing.T, w World) {
	t.Helper()
	a, b := w.Device(t), w.Device(t)
	put(t, w.Store, enrol.Enrolment{Device: b, State: enrol.Good, ChangedAt: begin})
	row := audit.Row{Actor: "system", Action: "enrolment.issue", Subject: string(a), At: begin}
	change := enrol.Change{
		Enrolments: []enrol.Enrolment{{Device: a, State: enrol.Good, ChangedAt: begin}, {Device: b, ChangedAt: begin}},
		Audit:      []audit.Row{row},
	}
	if err := w.Store.Commit(t.Context(), change); !errors.Is(err, enrol.ErrConflict) {
		t.Errorf("Commit = %v, want ErrConflict", err)
	}
	if _, err := w.Store.Enrolment(t.Context(), a); !errors.Is(err, enrol.ErrUnknown) {
		t.Errorf("Enrolment after a conflict = %v, want ErrUnknown: half of it was stored", err)
	}
	if rows := w.Audit(t); len(rows) != 0 {
		t.Errorf("audit after a conflict: %v", rows)
	}
	change.Enrolments = change.Enrolments[:1]
	if err := w.Store.Commit(context.Background(), change); err != nil {
		t.Fatal(err)
	}
	if rows := w.Audit(t); len(rows) != 1 || rows[0] != row.Action {
		t.Errorf("audit = %v, want %s", rows, row.Action)
	}
}
