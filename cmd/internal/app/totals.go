package app

import "steward/cmd/internal/services"

// totals reads the counters of registrations and handshakes.
func (a *App) totals() services.Totals {
	s := a.coaps.Stats()
	t := services.Totals{Registrations: a.registrations.Load(), Handshakes: s.Handshakes, Failures: s.Refused}
	if a.streams.tls != nil {
		s := a.streams.tls.Stats()
		t.Handshakes += s.Accepted - min(s.Accepted, s.Failed)
		t.Failures += s.Failed
	}
	return t
}
