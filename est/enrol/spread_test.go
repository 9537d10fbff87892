package enrol_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"steward/est/enrol"
	"steward/lwm2m/fleet"
)

// TestSpread: ten thousand devices that enrolled within one minute renew over days,
// never faster than allowed, and all in time.
func TestSpread(t *testing.T) {
	bubble(t, func(w *world) {
		const n, rate = 10_000, 60
		for range n {
			w.add(30 * day)
		}
		defer w.start(enrol.RunnerOptions{Rate: rate})()
		time.Sleep(29 * day)
		minutes := map[int64]int{}
		hours := map[int64]int{}
		w.set(func() {
			for id, d := range w.devices {
				if len(d.asked) != 1 || !d.ends.After(time.Now()) {
					t.Fatalf("%s was asked %d times", id, len(d.asked))
				}
				minutes[d.asked[0].Unix()/60]++
				hours[d.asked[0].Unix()/3600]++
			}
		})
		for _, k := range minutes {
			if k > rate+1 {
				t.Errorf("%d devices asked in a minute, want up to %d", k, rate)
			}
		}
		// 3 days of jitter are 72 hours: 139 in an hour on average
		for _, k := range hours {
			if k > 250 {
				t.Errorf("%d devices asked in one hour", k)
			}
		}
		if len(hours) < 70 {
			t.Errorf("spread over %d hours only", len(hours))
		}
		if m := w.runner.Stats(); m.Events[enrol.Prove] != n || m.Events[enrol.Fail] != 0 {
			t.Errorf("events = %v", m.Events)
		}
	})
}

// TestRateAfterAnOutage: a server that was off for long asks thousands that are
// overdue no faster than allowed.
func TestRateAfterAnOutage(t *testing.T) {
	bubble(t, func(w *world) {
		const n, rate = 600, 60
		for range n {
			w.add(30 * day)
		}
		time.Sleep(27 * day)
		begin := time.Now()
		defer w.start(enrol.RunnerOptions{Rate: rate})()
		time.Sleep(time.Hour)
		var last time.Time
		w.set(func() {
			for _, d := range w.devices {
				if len(d.asked) != 1 {
					t.Fatalf("asked %d times", len(d.asked))
				}
				if d.asked[0].After(last) {
					last = d.asked[0]
				}
			}
		})
		if took := last.Sub(begin); took < (n/rate-1)*time.Minute || took > (n/rate+1)*time.Minute {
			t.Errorf("%d devices at %d a minute took %v", n, rate, took)
		}
	})
}

// A countingStore counts looks at devices.
type countingStore struct {
	enrol.Store

	looks atomic.Int64
}

func (s *countingStore) Enrolment(ctx context.Context, id fleet.ID) (enrol.Enrolment, error) {
	s.looks.Add(1)
	return s.Store.Enrolment(ctx, id)
}

// TestChattyDevice: one that sends much costs nothing while it is not to be asked, and
// at most a look a second while its new certificate is awaited.
func TestChattyDevice(t *testing.T) {
	bubble(t, func(w *world) {
		counting := &countingStore{Store: &w.Store}
		defer w.start(enrol.RunnerOptions{Store: counting})()
		id, d := w.add(90 * day)
		w.set(func() { d.fails = fmt.Errorf("%w: 4.05", enrol.ErrRefused) })
		w.state(id)
		if _, err := w.runner.Order(t.Context(), id, enrol.Renewal, "operator:x", ""); err != nil {
			t.Fatal(err)
		}
		w.state(id)
		chat := func(seconds int) int64 {
			before := counting.looks.Load()
			for range seconds {
				for range 50 {
					w.runner.Wake(id)
				}
				time.Sleep(time.Second)
			}
			return counting.looks.Load() - before
		}
		if n := chat(20); n != 0 { // the first pause is 22 s at least
			t.Errorf("%d looks during a pause", n)
		}
		w.set(func() { d.fails, d.unused = nil, true })
		if _, err := w.runner.Order(t.Context(), id, enrol.Renewal, "operator:x", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if e := w.state(id); e.State != enrol.Renewed {
			t.Fatalf("state %s, want renewed", e.State)
		}
		if n := chat(60); n < 50 || n > 70 {
			t.Errorf("%d looks in 60 s, want one a second", n)
		}
	})
}
