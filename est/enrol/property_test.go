package enrol_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/enrol"
	"steward/est/enrol/enroltest"
	"steward/est/esttest"
)

// TestAlwaysAWayBack: whatever fails, the device always has one valid certificate or a
// right to enrol anew; and when nothing fails any more, it is well again.
func TestAlwaysAWayBack(t *testing.T) {
	runs := 200
	if testing.Short() {
		runs = 10
	}
	for seed := range uint64(runs) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { live(t, seed) })
		})
	}
}

func live(t *testing.T, seed uint64) {
	t.Helper()
	h := &hostile{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), store: &enroltest.Store{}, records: &esttest.Store{},
	}
	p, err := est.NewProfile(est.ProfileOptions{Name: "operational", Kind: est.KindOperational, Validity: 5 * day})
	if err != nil {
		t.Fatal(err)
	}
	h.ca = esttest.NewCA(t, "Alpha", h.records, time.Now, func(o *est.Options) {
		o.Profiles.Operational, o.Limits = p, est.Limits{Burst: 1000, PerDay: 1000, PerMinute: 100_000}
	})
	factory := esttest.NewFactory(t, time.Now)
	h.device = esttest.NewDevice(t, factory, "urn:dev:1")
	esttest.Grant(t, h.ca, factory, h.device)
	if _, err := h.ca.OpenRight(t.Context(), h.device.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	stop := h.start()
	h.nv.key = esttest.Key(t)
	for h.nv.cert == nil {
		h.enrol()
	}
	for range 150 {
		h.chance(&stop)
		synctest.Wait()
		if err := h.safe(); err != nil {
			t.Fatalf("at %v: %v", time.Now(), err)
		}
	}
	h.mu.Lock()
	h.calm, h.asleep = true, false
	h.mu.Unlock()
	for range 40 { // ten days
		h.routine()
		time.Sleep(6 * time.Hour)
		if _, err := h.ca.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
	if e, err := h.store.Enrolment(t.Context(), "dev"); err != nil || e.State != enrol.Good || !e.Proven {
		t.Errorf("in calm: %+v, %v", e, err)
	}
	stop()
}

// start runs a runner; stop is the end of its process.
func (h *hostile) start() (stop func()) {
	r, err := enrol.NewRunner(enrol.RunnerOptions{
		Store: h.store, Devices: h, Fleet: h, Inventory: h.ca, Object: object,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.runner = r
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

// chance is what happens next.
func (h *hostile) chance(stop *func()) {
	switch h.draw(7) {
	case 0:
		h.mu.Lock()
		h.asleep = !h.asleep
		h.mu.Unlock()
		h.runner.Wake("dev")
	case 1:
		time.Sleep(time.Duration(h.draw(72)) * time.Hour)
	case 2:
		(*stop)()
		*stop = h.start()
	case 3:
		if _, err := h.ca.Sweep(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
	case 4: // somebody revokes the newest
		all, err := h.records.Certificates(h.t.Context(), est.Query{Kind: est.KindOperational, Limit: 1})
		if err == nil {
			err = h.ca.Revoke(h.t.Context(), all[0].Hash, est.Superseded, "by a mistake")
		}
		if err != nil {
			h.t.Fatal(err)
		}
	default:
		h.routine()
		time.Sleep(time.Duration(h.draw(6)) * time.Hour)
	}
}

// routine is what a device does that is awake: keep registered, or come back.
func (h *hostile) routine() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asleep {
		return
	}
	h.connect()
	for _, der := range [][]byte{h.nv.cert, h.nv.formerCert} {
		if der != nil && h.ca.Live(h.t.Context(), sum(der), time.Now()) == nil {
			return
		}
	}
	h.enrol()
}
