package services_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/services"
	"steward/web"
)

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := services.Totals{Registrations: 1_000_000, Failures: 1_000_000} // of a process that runs for long
		r := services.NewRates(func() services.Totals { return n })
		if got := r.Lately(time.Now()); got != nil {
			t.Errorf("before anything was looked at: %+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		check := func(when string, want web.Pace) {
			t.Helper()
			synctest.Wait()
			if got := r.Lately(time.Now()); got == nil || *got != want {
				t.Errorf("%s: %+v, want %+v", when, got, want)
			}
		}
		check("at the start", web.Pace{})
		n.Registrations += 5
		check("five at once", web.Pace{RegistrationsPerMinute: 5})
		for range 600 { // ten minutes: two a second, one handshake in two seconds failed
			time.Sleep(time.Second)
			n.Handshakes += 2
			n.Registrations++
			n.Failures += uint64(time.Now().Unix() % 2)
		}
		check("steady", web.Pace{
			RegistrationsPerMinute: 60, HandshakesPerSecond: 2, HandshakesFailed: 150, Seconds: 300,
		})
		time.Sleep(2 * time.Minute)
		check("quiet since", web.Pace{HandshakesFailed: 90, Seconds: 300})
		time.Sleep(5 * time.Minute)
		check("quiet for long", web.Pace{Seconds: 300})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
