package explore_test

import (
	"fmt"
	"maps"
	"os"
	"testing"
	"time"
)

func (g *graph) report(t *testing.T, began time.Time) {
	t.Helper()
	if g.trace != "" {
		t.Errorf("%s: %s", g.name, g.shortest(g.trace))
		return
	}
	t.Logf("%s: %d states, %d transitions, %d states of one device, %d of its memory, in %v", g.name, len(g.nodes),
		g.edges, len(g.cells)-1, len(g.x.all), time.Since(began).Round(time.Millisecond))
	if g.reduced != nil {
		t.Logf("%s: %s", g.name, g.reduced)
	}
	if !g.full {
		t.Logf("%s: complete for the first %d steps, where the bound of states was reached", g.name, g.depth())
		return
	}
	if g.dishonest == "SP1" || g.dishonest == "SP2" {
		return
	}
	if id, ok := g.stuck(); ok {
		t.Errorf("%s: %s", g.name, g.shortest("I1: no way leads on from here to exactly one provider\n"+g.path(id)))
	}
}

// shortest is how a violation comes about, step by step. Where states were put together,
// the steps of which nobody takes notice are looked for by another exploration.
func (g *graph) shortest(trace string) string {
	if g.reduced == nil {
		return trace
	}
	s := g.setting
	s.reduce, s.limit = false, 2_000_000
	if whole := explore(newModel(g.tb, s)); whole.trace != "" {
		return whole.trace
	}
	return trace + "(steps of which nobody takes notice are left out)"
}

// quick is what every run of the tests explores; full takes minutes and is explored
// where STEWARD_EXPLORE is set.
var (
	quick = []setting{
		{name: "honest", devices: 1, coarse: true},
		{name: "gates", devices: 1, gates: attests | updates, coarse: true, sure: true, limit: 40_000},
		{name: "extended, offers expire", devices: 1, extend: 1, expire: true, coarse: true, limit: 40_000},
		{name: "extended twice", devices: 1, extend: 2, coarse: true, limit: 60_000},
		{name: "revised", devices: 1, revise: true, coarse: true, limit: 40_000},
		{name: "a power cut", devices: 1, crashes: 1, cuts: true, coarse: true, limit: 60_000},
		{name: "two devices, two losses, a crash", devices: 2, losses: 2, crashes: 1, coarse: true, limit: 120_000},
		{name: "two devices complete", devices: 2, coarse: true, reduce: true},
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
		{name: "extended", devices: 1, extend: 1, coarse: true},
		{name: "extended, a loss", devices: 1, extend: 1, losses: 1, coarse: true},
		{name: "extended, network", devices: 1, extend: 1, dishonest: "network", coarse: true},
		{name: "extended, no clock", devices: 1, extend: 1, clockless: true, coarse: true},
		{name: "extended twice", devices: 1, extend: 2, coarse: true},
		{name: "extended twice, a loss", devices: 1, extend: 2, losses: 1, coarse: true},
		{name: "extended twice, network", devices: 1, extend: 2, dishonest: "network", coarse: true},
		{name: "extended twice, no clock", devices: 1, extend: 2, clockless: true, coarse: true},
		{name: "revised", devices: 1, revise: true, coarse: true},
		{name: "revised, a loss", devices: 1, revise: true, losses: 1, coarse: true},
		{name: "revised, a crash, offers expire", devices: 1, revise: true, crashes: 1, expire: true, coarse: true},
		{name: "revised, extended", devices: 1, revise: true, extend: 1, coarse: true},
		{name: "revised, withdrawn", devices: 1, revise: true, withdraw: true, coarse: true},
		{name: "two devices, revised", devices: 2, revise: true, coarse: true, reduce: true},
		{name: "offers expire", devices: 1, expire: true, losses: 1, coarse: true},
		{name: "two devices, extended", devices: 2, extend: 1, coarse: true, reduce: true},
		{name: "two devices, extended twice", devices: 2, extend: 2, coarse: true, reduce: true},
		{name: "network", devices: 1, dishonest: "network", losses: 1, coarse: true},
		{name: "thief", devices: 1, dishonest: "thief", losses: 1, coarse: true},
		{name: "dishonest SP1", devices: 1, dishonest: "SP1", coarse: true},
		{name: "dishonest SP2", devices: 1, dishonest: "SP2", coarse: true},
		{name: "two devices, each step", devices: 2, losses: 2, crashes: 1, coarse: true, limit: 500_000},
		{name: "two devices complete, two losses, a crash", devices: 2, losses: 2, crashes: 1, coarse: true, reduce: true},
		{name: "two devices, network", devices: 2, dishonest: "network", losses: 1, coarse: true, reduce: true},
		{name: "two devices, thief", devices: 2, dishonest: "thief", coarse: true, reduce: true},
		{name: "two devices, dishonest SP1", devices: 2, dishonest: "SP1", coarse: true, reduce: true},
		{name: "two devices, dishonest SP2", devices: 2, dishonest: "SP2", coarse: true, reduce: true},
		{name: "two devices, no clock", devices: 2, losses: 1, crashes: 1, clockless: true, coarse: true, reduce: true},
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

// TestReduction: where states of a device are put together, the same is reached, and
// what breaks is found.
func TestReduction(t *testing.T) {
	settings := []setting{
		{name: "honest", devices: 1, coarse: true, withdraw: true},
		{name: "one loss", devices: 1, coarse: true, losses: 1},
		{name: "a crash", devices: 1, coarse: true, crashes: 1},
		{name: "each phase", devices: 1},
	}
	if os.Getenv("STEWARD_EXPLORE") == "" {
		settings = settings[:1]
	}
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			each := explore(newModel(t, s)).shows()
			s.reduce = true
			together := explore(newModel(t, s)).shows()
			if !maps.Equal(each, together) {
				t.Errorf("%d sights are %d where states are put together", len(each), len(together))
			}
			t.Logf("%d sights", len(each))
		})
	}
}

// shows is what the world saw, in all states.
func (g *graph) shows() map[string]bool {
	out := map[string]bool{}
	for _, n := range g.nodes {
		c := g.cells[n.cells[0]]
		one := []cell{c}
		out[fmt.Sprint(g.of(&n, sp1), g.of(&n, sp2), n.phase, n.loss, n.crash, n.withdrawn, g.tally(one, sp1),
			g.tally(one, sp2), g.arrived(&c))] = true
	}
	return out
}
