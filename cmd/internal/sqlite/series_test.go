package sqlite

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

var temperature = lwm2m.NewPath(3303, 0, 5700)

func report(device fleet.ID, p lwm2m.Path, v lwm2m.Value, at time.Time) server.Report {
	return server.Report{Device: device, From: server.FromRead, Entry: lwm2m.Entry{Path: p, Value: v}, At: at}
}

// seriesOf returns the values of a series as text.
func seriesOf(t *testing.T, s Series, device fleet.ID, p lwm2m.Path, from, to time.Time, limit int) (out []string) {
	t.Helper()
	err := s.Each(t.Context(), device, p, from, to, limit, func(v LastValue) bool {
		out = append(out, v.Value.Plain())
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSeries(t *testing.T) {
	db := withDevices(t, "a", "b")
	s := db.Series()
	now := time.Date(2026, 3, 2, 0, 0, 1, 0, time.UTC) // values of two days
	model := lwm2m.NewPath(3, 0, 1)
	measured := lwm2m.Entry{Path: temperature, Value: lwm2m.Float(0.5), Time: now.Add(-time.Hour)}
	wrong := lwm2m.Entry{Path: temperature, Value: lwm2m.Float(9), Time: now.Add(time.Hour)}
	err := db.Server().Record(t.Context(), []server.Report{
		report("a", temperature, lwm2m.Float(1), now.Add(-2*time.Second)),
		report("a", temperature, lwm2m.Float(2), now.Add(-time.Second)),
		report("a", temperature, lwm2m.Float(2), now),
		{Device: "a", From: server.FromSend, Entry: measured, At: now, Past: true},
		{Device: "a", From: server.FromSend, Entry: wrong, At: now.Add(time.Second)}, // its clock is ahead: arrival counts
		report("b", temperature, lwm2m.Float(7), now),
		report("a", model, lwm2m.String("x"), now),
		report("a", model, lwm2m.String("x"), now.Add(time.Second)), // the same text again
		report("a", model, lwm2m.String("y"), now.Add(2*time.Second)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		from, to time.Duration
		limit    int
		want     string
	}{
		{"all", -2 * time.Hour, time.Hour, 100, "[0.5 1 2 2 9]"},
		{"limit over days", -2 * time.Hour, time.Hour, 3, "[0.5 1 2]"},
		{"from is in, to is out", -2 * time.Second, -time.Second, 9, "[1]"},
		{"none", time.Hour, 2 * time.Hour, 9, "[]"},
	} {
		if got := fmt.Sprint(seriesOf(t, s, "a", temperature, now.Add(tt.from), now.Add(tt.to), tt.limit)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := fmt.Sprint(seriesOf(t, s, "a", model, now, now.Add(time.Hour), 9)); got != "[x y]" {
		t.Errorf("texts = %s, want those that are news", got)
	}
	all, err := s.Of(t.Context(), "a")
	if err != nil || len(all) != 2 || all[1].Count != 5 || all[1].Path != temperature ||
		!all[1].First.Equal(measured.Time) {
		t.Errorf("Of = %+v, %v", all, err)
	}
	last, err := db.Server().Values(t.Context(), "a")
	if err != nil || len(last) != 2 || last[1].Value.Plain() != "9" {
		t.Errorf("last values = %+v, %v", last, err)
	}
}

func TestSeriesRules(t *testing.T) {
	db := withDevices(t, "a")
	s, now := db.Series(), time.Now()
	keep := func(days int) {
		t.Helper()
		if err := s.SetRule(t.Context(), SeriesRule{3303, 5700, days}, "test"); err != nil {
			t.Fatal(err)
		}
	}
	put := func(at time.Time) {
		t.Helper()
		err := db.Server().Record(t.Context(), []server.Report{
			report("a", temperature, lwm2m.Float(1), at), report("a", lwm2m.NewPath(3303, 0, 5601), lwm2m.Float(1), at),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	keep(0)
	put(now)
	if all, err := s.Of(t.Context(), "a"); err != nil || len(all) != 1 {
		t.Errorf("with a rule of 0 days: %+v, %v; want the other resource only", all, err)
	}
	keep(2)
	for day := range 40 {
		put(now.AddDate(0, 0, -day))
	}
	if err := s.Prune(t.Context(), now, SeriesBounds{}); err != nil {
		t.Fatal(err)
	}
	all, err := s.Of(t.Context(), "a")
	if err != nil || len(all) != 2 || all[0].Count != DefaultRetention+1 || all[1].Count != 3 {
		t.Errorf("after Prune: %+v, %v; want %d and 3 values", all, err, DefaultRetention+1)
	}
	if err := s.Prune(t.Context(), now, SeriesBounds{Days: 1}); err != nil {
		t.Fatal(err)
	}
	if all, err = s.Of(t.Context(), "a"); err != nil || len(all) != 2 || all[0].Count != 2 || all[1].Count != 2 {
		t.Errorf("after Prune with a day at most: %+v, %v; want 2 and 2 values", all, err)
	}
	if err := s.DropRule(t.Context(), 3303, 5700, "test"); err != nil {
		t.Error(err)
	}
	if err := s.DropRule(t.Context(), 3303, 5700, "test"); !errors.Is(err, ErrNoRule) {
		t.Errorf("DropRule again = %v, want ErrNoRule", err)
	}
	if rules, err := s.Rules(t.Context()); err != nil || len(rules) != 0 {
		t.Errorf("Rules = %v, %v", rules, err)
	}
}

func TestSeriesBounds(t *testing.T) {
	db := withDevices(t, "a", "b")
	s, now := db.Series(), time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	var reports []server.Report
	for i := range 5000 {
		reports = append(reports, report("a", temperature, lwm2m.Integer(int64(i)), now.Add(-time.Duration(i)*time.Second)))
	}
	reports = append(reports, report("b", temperature, lwm2m.Integer(1), now),
		report("b", temperature, lwm2m.Integer(0), now.AddDate(0, 0, -3)))
	if err := db.Server().Record(t.Context(), reports); err != nil {
		t.Fatal(err)
	}
	count := func(device fleet.ID) int {
		return len(seriesOf(t, s, device, temperature, now.AddDate(0, 0, -9), now.Add(time.Hour), 1<<20))
	}
	if err := s.Prune(t.Context(), now, SeriesBounds{PerDeviceDay: 100}); err != nil {
		t.Fatal(err)
	}
	if a, b := count("a"), count("b"); a != 100 || b != 2 {
		t.Errorf("bound of a device: %d and %d values, want 100 and 2", a, b)
	}
	if got := seriesOf(t, s, "a", temperature, now.AddDate(0, 0, -9), now.Add(time.Hour), 1); got[0] != "99" {
		t.Errorf("the oldest left is %s, want 99: the newest stay", got[0])
	}
	if err := s.Prune(t.Context(), now, SeriesBounds{Total: 101}); err != nil {
		t.Fatal(err)
	}
	if a, b := count("a"), count("b"); a != 100 || b != 1 {
		t.Errorf("bound of all: %d and %d values, want 100 and 1: the oldest day goes first", a, b)
	}
}

// TestSeriesOfNotifications checks that of the numbers that are notified between
// two flushes the last is kept, and each change of what is no number.
func TestSeriesOfNotifications(t *testing.T) {
	db := withDevices(t, "a")
	now, door := time.Now(), lwm2m.NewPath(3347, 0, 5500)
	for i := range 4 {
		at := now.Add(time.Duration(i) * time.Second)
		reports := []server.Report{
			report("a", temperature, lwm2m.Integer(int64(i)), at), report("a", door, lwm2m.Boolean(i > 1), at),
		}
		for i := range reports {
			reports[i].From = server.FromNotify
		}
		if err := db.Server().Record(t.Context(), reports); err != nil {
			t.Fatal(err)
		}
	}
	from, to := now.Add(-time.Hour), now.Add(time.Hour)
	if got := fmt.Sprint(seriesOf(t, db.Series(), "a", temperature, from, to, 9)); got != "[3]" {
		t.Errorf("numbers = %s, want [3]", got)
	}
	if got := fmt.Sprint(seriesOf(t, db.Series(), "a", door, from, to, 9)); got != "[0 1]" {
		t.Errorf("switches = %s, want [0 1]", got)
	}
}

func BenchmarkRecord(b *testing.B) {
	db, err := Open(b.Context(), b.TempDir()+"/steward.db")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const devices = 512
	for i := range devices {
		d := fleet.Device{ID: fleet.ID(fmt.Sprintf("01BENCH%019d", i)), Endpoint: lwm2m.Endpoint(fmt.Sprint("ep-", i))}
		if err := db.Devices().Put(b.Context(), d, "test", ""); err != nil {
			b.Fatal(err)
		}
	}
	now := time.Now()
	b.ResetTimer()
	for n := 0; n < b.N; n += devices {
		now = now.Add(time.Second)
		var reports []server.Report
		for i := range devices {
			id := fleet.ID(fmt.Sprintf("01BENCH%019d", i))
			r := report(id, temperature, lwm2m.Float(float64(n)/7), now)
			r.From = server.FromNotify
			reports = append(reports, r)
		}
		if err := db.Server().Record(b.Context(), reports); err != nil {
			b.Fatal(err)
		}
	}
}
