package services_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/services"
	"steward/web"
)

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		n := services.Totals{Registrations: 1_000_000, Failures: 1_000_000} // of a process that runs for long
		r := services.NewRates(func() services.Totals {
			mu.Lock()
			defer mu.Unlock()
			return n
		})
		count := func(registrations, handshakes, failures uint64) {
			mu.Lock()
			defer mu.Unlock()
			n.Registrations += registrations
			n.Handshakes += handshakes
			n.Failures += failures
		}
		if got := r.Lately(time.Now()); got != nil {
			t.Errorf("before anything was looked at: %+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		check := func(when string, want web.Pace) {
			t.Helper()
			synctest.Wait()
			got := *r.Lately(time.Now())
			got.RegistrationsPerMinute = math.Round(got.RegistrationsPerMinute)
			got.HandshakesPerSecond = math.Round(got.HandshakesPerSecond)
			if got != want {
				t.Errorf("%s: %+v, want %+v", when, got, want)
			}
		}
		synctest.Wait()
		time.Sleep(500 * time.Millisecond) // what is counted falls between the looks
		check("at the start", web.Pace{})
		count(5, 0, 0)
		check("five at once", web.Pace{RegistrationsPerMinute: 5})
		for i := range uint64(600) { // ten minutes: every other handshake fails in every other second
			time.Sleep(time.Second)
			count(1, 2, i%2)
		}
		check("steady", web.Pace{RegistrationsPerMinute: 60, HandshakesPerSecond: 2, HandshakesFailed: 151, Seconds: 300})
		time.Sleep(2 * time.Minute)
		check("quiet since", web.Pace{HandshakesFailed: 91, Seconds: 300})
		time.Sleep(5 * time.Minute)
		check("quiet for long", web.Pace{Seconds: 300})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
