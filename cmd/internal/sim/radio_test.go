package sim_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/sim"
)

// TestRadio: in queue mode nothing reaches a device that has been quiet for a while,
// until it speaks.
func TestRadio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := sim.Loses(sim.Options{Queue: true, Awake: time.Minute})
		for i, step := range []struct {
			after      time.Duration
			sent, lost bool
		}{
			{0, false, true},
			{0, true, false},
			{59 * time.Second, false, false},
			{59 * time.Second, false, false}, // what it heard has kept it awake
			{time.Minute, false, true},
			{time.Hour, false, true},
			{0, true, false},
			{time.Second, false, false},
		} {
			time.Sleep(step.after)
			if got := lost(step.sent); got != step.lost {
				t.Errorf("step %d: lost = %t, want %t", i, got, step.lost)
			}
		}
		if always := sim.Loses(sim.Options{Awake: time.Minute}); always(false) {
			t.Error("a device that listens always hears nothing")
		}
	})
}

func TestRadioRefused(t *testing.T) {
	m := newMove(t, 60)
	for name, change := range map[string]func(*sim.Options){
		"queue mode by TLS": func(o *sim.Options) { o.Queue, o.Transport = true, sim.TransportTLS },
		"loss by TCP":       func(o *sim.Options) { o.Loss, o.Transport = 0.1, sim.TransportTCP },
		"all lost":          func(o *sim.Options) { o.Loss = 1 },
	} {
		o := options(m.dir)
		change(&o)
		if _, err := sim.New(m.b, o); !errors.Is(err, sim.ErrOptions) {
			t.Errorf("%s: %v, want ErrOptions", name, err)
		}
	}
}
