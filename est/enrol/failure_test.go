package enrol_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/enrol"
	"steward/objects"
)

func TestExpiresAsleep(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{Comeback: "it may come back by X"})()
		id, d := w.add(30 * day)
		w.set(func() { d.asleep = true })
		time.Sleep(31 * day)
		e := w.state(id)
		if e.State != enrol.Expired || !strings.Contains(e.Why, "it may come back by X") || !e.Due.IsZero() {
			t.Errorf("enrolment = %+v", e)
		}
		if _, err := w.runner.Order(t.Context(), id, enrol.Renewal, "operator:x", ""); !errors.Is(err, enrol.ErrState) {
			t.Errorf("Order of one that expired = %v, want ErrState", err)
		}
		w.set(func() { d.asleep = false; w.issue(id, d, false) })
		if e := w.state(id); e.State != enrol.Good || e.Why != "" {
			t.Errorf("after it enrolled anew: %+v", e)
		}
		w.wantEvents(id, "issue", "time", "wait", "expire", "issue")
	})
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(*device)
		words string
	}{
		{"refuses", func(d *device) { d.fails = fmt.Errorf("%w: 4.05", enrol.ErrRefused) }, "refuses to renew"},
		{"silent", func(d *device) { d.fails = enrol.ErrUnreachable }, "could not be asked"},
		{"does nothing", func(d *device) { d.ignores = true }, "agreed to renew its certificate, but did not"},
		{"sren refused", func(d *device) { d.ignores, d.says = true, 131 }, "enrolment server refused with 4.03"},
		{"no server", func(d *device) { d.ignores, d.says = true, objects.FaultUnreachable }, "could not be reached"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				defer w.start(enrol.RunnerOptions{})()
				id, d := w.add(90 * day)
				w.set(func() { tt.fault(d) })
				time.Sleep(70 * day)
				e := w.state(id)
				if e.Why == "" || !strings.Contains(e.Why, tt.words) || e.FailedAt.IsZero() {
					t.Errorf("Why = %q, want %q", e.Why, tt.words)
				}
				w.set(func() {
					if n := len(d.asked); n < 8 || n > 150 {
						t.Errorf("asked %d times", n)
					}
					d.fails, d.ignores, d.says = nil, false, 0
				})
				time.Sleep(7 * time.Hour)
				if e := w.state(id); e.State != enrol.Good || e.Why != "" || !e.FailedAt.IsZero() {
					t.Errorf("after the fault was mended: %+v", e)
				}
				if !slices.Contains(w.events(id), "give-up") || !slices.Contains(w.events(id), "again") {
					t.Errorf("events = %v", w.events(id))
				}
			})
		})
	}
}

func TestUnusedCertificate(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{})()
		id, d := w.add(90 * day)
		w.set(func() { d.unused = true })
		old := d.cert
		time.Sleep(70 * day)
		e := w.state(id)
		if !slices.Contains(w.events(id), "doubt") || e.Proven {
			t.Errorf("events = %v, %+v", w.events(id), e)
		}
		if rec, _ := w.Lookup(t.Context(), old); rec.Status != est.StatusValid {
			t.Errorf("the old certificate is %s", rec.Status)
		}
		w.set(func() { d.unused = false })
		time.Sleep(7 * time.Hour)
		if e := w.state(id); e.State != enrol.Good || !e.Proven {
			t.Errorf("after it was used: %+v", e)
		}
	})
}

func TestRevokedAndLeft(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{})()
		id, d := w.add(day)
		gone, _ := w.add(day)
		w.set(func() {
			rec := w.records[d.cert]
			rec.Status, rec.Reason, rec.Why = est.StatusRevoked, est.KeyCompromise, "stolen"
			w.records[d.cert] = rec
			w.left[gone] = true
		})
		time.Sleep(day)
		if e := w.state(id); e.State != enrol.Revoked || !strings.Contains(e.Why, "stolen") {
			t.Errorf("revoked: %+v", e)
		}
		if e := w.state(gone); e.State != enrol.Left {
			t.Errorf("left: %+v", e)
		}
		if len(d.asked) != 0 {
			t.Errorf("asked %d times", len(d.asked))
		}
	})
}

// TestWithdrawn: a new certificate that is revoked before its first use takes nothing
// away from the one before.
func TestWithdrawn(t *testing.T) {
	bubble(t, func(w *world) {
		defer w.start(enrol.RunnerOptions{})()
		id, d := w.add(90 * day)
		w.set(func() { d.unused = true })
		old := d.cert
		w.state(id)
		if _, err := w.runner.Order(t.Context(), id, enrol.Renewal, "operator:x", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		e := w.state(id)
		if e.State != enrol.Renewed || e.Certificate == old {
			t.Fatalf("enrolment = %+v, want renewed", e)
		}
		w.set(func() {
			rec := w.records[e.Certificate]
			rec.Status, rec.Reason, rec.Why = est.StatusRevoked, est.Superseded, "by a mistake"
			w.records[e.Certificate] = rec
			d.unused = false
		})
		time.Sleep(2 * time.Hour)
		w.wantEvents(id, "issue", "order", "ask", "succeed", "withdraw", "ask", "succeed", "prove")
		if e := w.state(id); e.State != enrol.Good || e.Why != "" {
			t.Errorf("enrolment = %+v", e)
		}
	})
}
