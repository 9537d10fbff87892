package explore_test

import (
	"os"
	"testing"
	"time"
)

func (g *graph) report(t *testing.T, began time.Time) {
	t.Helper()
	if g.trace != "" {
		t.Errorf("%s: %s", g.name, g.trace)
		return
	}
	t.Logf("%s: %d states, %d transitions, %d states of one device, %d of its memory, in %v", g.name, len(g.nodes),
		g.edges, len(g.cells)-1, len(g.x.all), time.Since(began).Round(time.Millisecond))
	if !g.full {
		t.Logf("%s: complete for the first %d steps, where the bound of states was reached", g.name, g.depth())
		return
	}
	if g.dishonest == "SP1" || g.dishonest == "SP2" {
		return
	}
	if id, ok := g.stuck(); ok {
		t.Errorf("%s: I1: no way leads on from here to exactly one provider\n%s", g.name, g.path(id))
	}
}

// quick is what every run of the tests explores; full takes minutes and is explored
// where STEWARD_EXPLORE is set.
var (
	quick = []setting{
		{name: "honest", devices: 1, coarse: true},
		{name: "gates", devices: 1, gates: attests | updates, coarse: true, sure: true, limit: 40_000},
		{name: "a power cut", devices: 1, crashes: 1, cuts: true, coarse: true, limit: 60_000},
		{name: "two devices, two losses, a crash", devices: 2, losses: 2, crashes: 1, coarse: true, limit: 120_000},
	}
	full = []setting{
		{name: "honest", devices: 1},
		{name: "one loss", devices: 1, losses: 1},
		{name: "a crash", devices: 1, crashes: 1},
		{name: "a power cut", devices: 1, crashes: 1, cuts: true},
		{name: "two losses and a crash", devices: 1, losses: 2, crashes: 1, coarse: true},
		{name: "withdrawn", devices: 1, withdraw: true, losses: 1, coarse: true},
		{name: "gates", devices: 1, gates: attests | updates, coarse: true},
		{name: "no clock", devices: 1, losses: 1, clockless: true, coarse: true},
		{name: "network", devices: 1, dishonest: "network", losses: 1, coarse: true},
		{name: "thief", devices: 1, dishonest: "thief", losses: 1, coarse: true},
		{name: "dishonest SP1", devices: 1, dishonest: "SP1", coarse: true},
		{name: "dishonest SP2", devices: 1, dishonest: "SP2", coarse: true},
		{name: "two devices, two losses, a crash", devices: 2, losses: 2, crashes: 1, coarse: true, limit: 1_500_000},
	}
)

// TestExplore walks through all orders of events within its bounds.
func TestExplore(t *testing.T) {
	settings := quick
	if os.Getenv("STEWARD_EXPLORE") != "" {
		settings = full
	}
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			began := time.Now()
			explore(newModel(t, s)).report(t, began)
		})
	}
}
