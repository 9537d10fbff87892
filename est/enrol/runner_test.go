package enrol_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/enrol"
)

// bubble runs a test in a bubble with a world.
func bubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newWorld(t)) })
}

func TestRenewsInTime(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{})()
		id, d := w.add(90 * day)
		begin := time.Now()
		time.Sleep(200 * day)
		w.set(func() {
			if len(d.asked) < 2 || len(d.asked) > 4 {
				t.Errorf("asked %d times in 200 days with certificates of 90", len(d.asked))
			}
			// two thirds are 60 days, and so are 30 days before the end; then 9 of jitter
			if first := d.asked[0].Sub(begin); first < 60*day || first > 69*day+time.Minute {
				t.Errorf("first asked after %v", first)
			}
			if !d.ends.After(time.Now()) {
				t.Error("the certificate ended")
			}
		})
		if e := w.state(id); e.State != enrol.Good || !e.Proven || e.Why != "" {
			t.Errorf("enrolment = %+v", e)
		}
		if got := w.events(id)[:6]; !slices.Equal(got, []string{"issue", "time", "ask", "succeed", "prove", "time"}) {
			t.Errorf("events = %v", got)
		}
		for _, r := range w.Rows() {
			if r.Reason == "" || r.Actor == "" {
				t.Errorf("audit row without reason or actor: %+v", r)
			}
		}
	})
}

func TestIdleDevicesCostNothing(t *testing.T) {
	bubble(t, func(w *world) {
		for range 1000 {
			w.add(90 * day)
		}
		defer w.start(enrol.RunnerOptions{})()
		time.Sleep(time.Hour)
		if n := w.runner.Stats().InHand; n != 0 {
			t.Errorf("%d of 1000 devices are in memory 60 days before their time", n)
		}
	})
}

func TestSleepingDeviceIsAskedWhenItWakes(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{})()
		id, d := w.add(30 * day)
		w.set(func() { d.asleep = true })
		time.Sleep(25 * day)
		w.wantEvents(id, "issue", "time", "wait")
		if e := w.state(id); e.State != enrol.Due || !strings.Contains(e.Why, "asleep") {
			t.Errorf("enrolment = %+v", e)
		}
		at := time.Now()
		w.wakes(id)
		synctest.Wait()
		w.set(func() {
			if len(d.asked) != 1 || d.asked[0].Sub(at) > time.Second {
				t.Errorf("asked %v after it woke at %v", d.asked, at)
			}
		})
		time.Sleep(2 * time.Second)
		w.wantEvents(id, "issue", "time", "wait", "ask", "succeed", "prove")
	})
}

func TestOrder(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{})()
		id, d := w.add(90 * day)
		w.state(id)
		_, err := w.runner.Order(t.Context(), "nobody", enrol.Renewal, "operator:x", "")
		if !errors.Is(err, enrol.ErrUnknown) {
			t.Errorf("Order of nobody = %v, want ErrUnknown", err)
		}
		if _, err := w.runner.Order(t.Context(), id, "dance", "operator:x", ""); !errors.Is(err, enrol.ErrOptions) {
			t.Errorf("Order to dance = %v, want ErrOptions", err)
		}
		e, err := w.runner.Order(t.Context(), id, enrol.Renewal, "operator:x", "a test")
		if err != nil || e.State != enrol.Due {
			t.Fatalf("Order = %+v, %v", e, err)
		}
		time.Sleep(3 * time.Second)
		w.wantEvents(id, "issue", "order", "ask", "succeed", "prove")
		if r := w.Rows()[1]; r.Actor != "operator:x" || r.Reason != "a test" {
			t.Errorf("audit row = %+v", r)
		}
		if _, err := w.runner.Order(t.Context(), id, enrol.Rekey, "operator:x", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		w.wantEvents(id, "issue", "order", "ask", "succeed", "prove", "order", "ask", "rekeyed")
		if got := d.args; !slices.Equal(got, []string{"0", "1"}) {
			t.Errorf("arguments = %v", got)
		}
	})
}

// TestFailedRekeyIsNoFailedRenewal: the certificate does not depend on it.
func TestFailedRekeyIsNoFailedRenewal(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{})()
		id, d := w.add(90 * day)
		w.set(func() { d.fails = fmt.Errorf("%w: 5.01", enrol.ErrRefused) })
		w.state(id)
		if _, err := w.runner.Order(t.Context(), id, enrol.Rekey, "operator:x", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(day)
		if e := w.state(id); e.State != enrol.Good || !strings.Contains(e.Why, "5.01") || e.Want != enrol.Renewal {
			t.Errorf("enrolment = %+v", e)
		}
		w.set(func() { d.fails = nil })
		time.Sleep(80 * day)
		if e := w.state(id); e.State != enrol.Good || e.Why != "" {
			t.Errorf("after the next renewal: %+v", e)
		}
	})
}

// TestArrived: who comes from another provider re-keys, if it did not make the key
// itself and knows where.
func TestArrived(t *testing.T) {
	for _, tt := range []struct {
		name      string
		never     bool
		origin    est.KeyOrigin
		permanent string
		want      []string
	}{
		{"made by the CA", false, est.OriginCA, "coaps://factory", []string{"issue", "order", "ask", "rekeyed"}},
		{"nobody knows", false, est.OriginUnknown, "coaps://factory", []string{"issue", "order", "ask", "rekeyed"}},
		{"its own", false, est.OriginDevice, "coaps://factory", []string{"issue"}},
		{"not wanted", true, est.OriginCA, "coaps://factory", []string{"issue"}},
		{"no permanent CA", false, est.OriginProvider, "", []string{"issue", "order", "abandon"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				defer w.start(enrol.RunnerOptions{RekeyArrived: !tt.never})()
				id, d := w.add(90 * day)
				w.set(func() { d.permanent = tt.permanent })
				w.state(id)
				if err := w.runner.Arrived(t.Context(), id, tt.origin); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Minute)
				w.wantEvents(id, tt.want...)
			})
		})
	}
}

// TestRekeyedEndsTheRequest: the authority knows the new certificate before the device
// is looked at again.
func TestRekeyedEndsTheRequest(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{})()
		id, d := w.add(90 * day)
		w.set(func() { d.ignores = true })
		w.state(id)
		if err := w.runner.Rekeyed(t.Context(), id); err != nil { // by itself
			t.Fatal(err)
		}
		if err := w.runner.Rekeyed(t.Context(), "nobody"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.runner.Order(t.Context(), id, enrol.Rekey, "operator:x", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := w.runner.Rekeyed(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if e := w.state(id); e.State != enrol.Good || e.Want != enrol.Renewal {
			t.Errorf("enrolment = %+v", e)
		}
		w.wantEvents(id, "issue", "order", "ask", "rekeyed")
	})
}

func TestWithoutObject(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{})()
		id, d := w.add(30 * day)
		w.set(func() { d.lacks = true })
		time.Sleep(25 * day)
		w.wantEvents(id, "issue", "time", "wait")
		w.set(func() { w.issue(id, d, true) }) // it did so by itself
		w.wantEvents(id, "issue", "time", "wait", "succeed", "prove")
	})
}

// TestRestartInEachState: a new process goes on where the one before was.
func TestRestartInEachState(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(*device)
		after time.Duration
		state enrol.State
	}{
		{"good", func(*device) {}, 10 * day, enrol.Good},
		{"due", func(d *device) { d.asleep = true }, 70 * day, enrol.Due},
		{"asked", func(d *device) { d.ignores = true }, 0, enrol.Asked},
		{"renewed", func(d *device) { d.unused = true }, 0, enrol.Renewed},
		{"failed", func(d *device) { d.fails = enrol.ErrRefused }, 0, enrol.Failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				reached := make(chan struct{}, 1000)
				stop := w.start(enrol.RunnerOptions{Changed: func(e enrol.Enrolment) {
					if e.State == tt.state {
						reached <- struct{}{}
					}
				}})
				id, d := w.add(90 * day)
				w.set(func() { tt.fault(d) })
				if tt.after > 0 {
					time.Sleep(tt.after)
				} else {
					<-reached
				}
				stop()
				if e := w.state(id); e.State != tt.state {
					t.Fatalf("before the restart: %s, want %s", e.State, tt.state)
				}
				w.set(func() { *d = device{cert: d.cert, ends: d.ends, lifetime: d.lifetime} })
				defer w.start(enrol.RunnerOptions{})()
				time.Sleep(85*day - tt.after)
				if e := w.state(id); e.State != enrol.Good || !e.Proven || time.Until(e.NotAfter) < 20*day {
					t.Errorf("after the restart: %+v, events %v", e, w.events(id))
				}
			})
		})
	}
}

// TestCrashBeforeTheFeed: what was issued while nobody ran is taken over.
func TestCrashBeforeTheFeed(t *testing.T) {
	bubble(t, func(w *world) {
		id, d := w.add(90 * day)
		w.set(func() { w.issue(id, d, true) })
		defer w.start(enrol.RunnerOptions{})()
		if e := w.state(id); e.State != enrol.Good || e.Certificate != d.cert {
			t.Errorf("enrolment = %+v", e)
		}
	})
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	good := enrol.RunnerOptions{Store: &w.Store, Devices: w, Fleet: whose{w}, Inventory: w}
	for _, tt := range []struct {
		name   string
		change func(*enrol.RunnerOptions)
		err    error
	}{
		{"no store", func(o *enrol.RunnerOptions) { o.Store = nil }, enrol.ErrOptions},
		{"negative rate", func(o *enrol.RunnerOptions) { o.Rate = -1 }, enrol.ErrOptions},
		{
			"share of all", func(o *enrol.RunnerOptions) { o.Policies = map[string]enrol.Policy{"": {Share: 1}} },
			enrol.ErrPolicy,
		},
		{
			"before its end", func(o *enrol.RunnerOptions) { o.Policies = map[string]enrol.Policy{"x": {Before: -1}} },
			enrol.ErrPolicy,
		},
		{
			"jitter", func(o *enrol.RunnerOptions) { o.Policies = map[string]enrol.Policy{"x": {Jitter: 0.9}} },
			enrol.ErrPolicy,
		},
	} {
		o := good
		tt.change(&o)
		if _, err := enrol.NewRunner(o); !errors.Is(err, tt.err) {
			t.Errorf("%s: NewRunner = %v, want %v", tt.name, err, tt.err)
		}
	}
	if _, err := enrol.NewRunner(good); err != nil {
		t.Errorf("NewRunner = %v", err)
	}
}
