package est_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// limited is a world whose CA has these limits, and a device with an open right.
func limited(t *testing.T, l est.Limits) *world {
	t.Helper()
	w := newWorld(t)
	w.store = &esttest.Store{}
	w.ca = esttest.NewCA(t, "Alpha", w.store, w.clock.Now, func(o *est.Options) { o.Limits = l })
	esttest.Grant(t, w.ca, w.factory, w.device)
	w.open(t, nil)
	return w
}

func (w *world) audited(action string) (n int) {
	for _, row := range w.store.Audit() {
		if strings.HasSuffix(row.Action, action) {
			n++
		}
	}
	return n
}

func TestBurst(t *testing.T) {
	w := limited(t, est.Limits{Burst: 3, Interval: time.Minute})
	csr := esttest.CSR(t, w.key, endpoint)
	for i := range 3 {
		if _, err := w.enrol(t.Context(), csr); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	for range 5 { // only the first of them is written down
		_, err := w.enrol(t.Context(), csr)
		limit := (*est.LimitError)(nil)
		if !errors.As(err, &limit) || limit.Retry != time.Minute {
			t.Fatalf("fourth request: %v, want a limit of a minute", err)
		}
	}
	if n := w.audited(".limit"); n != 1 {
		t.Errorf("%d audit rows of the limit, want 1", n)
	}
	w.clock.Advance(time.Minute)
	if _, err := w.enrol(t.Context(), csr); err != nil {
		t.Errorf("after the interval: %v", err)
	}
	if _, err := w.enrol(t.Context(), csr); !errors.Is(err, est.ErrLimit) {
		t.Errorf("at once again: %v, want ErrLimit", err)
	}
	if n := w.audited(".limit"); n != 2 {
		t.Errorf("%d audit rows of the limit, want 2", n)
	}
}

// TestBurstOfRefused holds that what is refused counts: requests that do not parse
// cost an audit row each.
func TestBurstOfRefused(t *testing.T) {
	w := limited(t, est.Limits{Burst: 4})
	for range 50 {
		if _, err := w.enrol(t.Context(), []byte("no request")); err == nil {
			t.Fatal("issued")
		}
	}
	if n := w.audited(".refuse"); n != 4 {
		t.Errorf("%d refusals audited, want 4", n)
	}
}

func TestPerMinute(t *testing.T) {
	w := limited(t, est.Limits{PerMinute: 2})
	var granted int
	for i := range 5 {
		d := esttest.NewDevice(t, w.factory, endpoint+string(rune('a'+i)))
		esttest.Grant(t, w.ca, w.factory, d)
		if _, err := w.ca.OpenRight(t.Context(), d.Factory, est.Hash{}); err != nil {
			t.Fatal(err)
		}
		_, err := w.ca.Enrol(t.Context(), est.Request{
			Client: d.Client(), CSR: esttest.CSR(t, esttest.Key(t), endpoint+string(rune('a'+i))),
		})
		if err == nil {
			granted++
		} else if !errors.Is(err, est.ErrLimit) {
			t.Fatal(err)
		}
	}
	if granted != 2 {
		t.Errorf("%d devices enrolled within a minute, want 2", granted)
	}
}

func TestPerDay(t *testing.T) {
	w := limited(t, est.Limits{PerDay: 3, Burst: 1000})
	out, err := w.enrol(t.Context(), esttest.CSR(t, w.key, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if out, err = w.renew(t.Context(), out, esttest.CSR(t, esttest.Key(t), endpoint)); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.Advance(time.Hour)
	_, err = w.renew(t.Context(), out, esttest.CSR(t, esttest.Key(t), endpoint))
	if limit := (*est.LimitError)(nil); !errors.As(err, &limit) || limit.Retry != 23*time.Hour {
		t.Errorf("fourth certificate of a day: %v, want a limit of 23 h", err)
	}
	w.clock.Advance(23 * time.Hour)
	if _, err := w.renew(t.Context(), out, esttest.CSR(t, esttest.Key(t), endpoint)); err != nil {
		t.Errorf("a day later: %v", err)
	}
}

func TestBadLimits(t *testing.T) {
	for _, l := range []est.Limits{{Burst: -1}, {Interval: -1}, {PerDay: -1}, {PerDay: est.MaxPage + 1}, {PerMinute: -1}} {
		key := esttest.Key(t)
		now := esttest.NewClock().Now
		root, err := est.NewRoot(est.RootOptions{Name: "Alpha", Signer: key, Now: now()})
		if err != nil {
			t.Fatal(err)
		}
		o := est.Options{Store: &esttest.Store{}, Signer: key, Issuer: root, Now: now, Limits: l}
		if _, err := est.NewCA(o); !errors.Is(err, est.ErrOptions) {
			t.Errorf("%+v: %v, want ErrOptions", l, err)
		}
	}
}
