package bench

import "testing"

// TestSuiteRows: whatever a result has, a row has its columns, and a result that
// has nothing reaches no target but those of memory.
func TestSuiteRows(t *testing.T) {
	n, loss := 0, 0.0
	full := &Result{
		Ops: 1, Loss: &loss, NewHandshakes: &n, LostRegistrations: &n, Unanswered: &n, ReplaysRefused: &n,
		ReadsFailed: &n, Reused: &n, LoadSeconds: 0.5, OpsPerS: 5000, Ratio: 1.5, Spoofed: 1, SpoofedPerS: 20_000,
		ServerCPU: 1, P99: 5, QuietP99: 1,
	}
	for _, g := range suite() {
		for _, r := range []*Result{{}, full} {
			if got := len(g.cells(r)); got != len(g.columns) {
				t.Errorf("%s: %d cells, want %d", g.title, got, len(g.columns))
			}
		}
		for _, it := range g.items {
			if it.seen != nil {
				it.seen(&Result{ServerCPU: 3})
			}
			if it.target != "" && it.verdict(full) != "yes" {
				t.Errorf("%s: %v does not reach %q", it.name, full, it.target)
			}
			bad := &Result{RSSPerDevice: 3000, ServerCPU: 2}
			if it.target != "" && it.verdict(bad) != "no" {
				t.Errorf("%s: %v reaches %q", it.name, bad, it.target)
			}
		}
	}
}
