package web_test

import (
	"fmt"
	"testing"

	"steward/web"
)

func TestDisruptionOf(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, tt := range []struct {
		in   []float64
		want web.Disruption
	}{
		{nil, web.Disruption{}},
		{[]float64{3}, web.Disruption{Known: 1, Median: 3, P95: 3, Most: 3}},
		{[]float64{9, 1}, web.Disruption{Known: 2, Median: 1, P95: 9, Most: 9}},
		{hundred, web.Disruption{Known: 100, Median: 50, P95: 95, Most: 100}},
	} {
		if got := web.DisruptionOf(tt.in); got != tt.want {
			t.Errorf("DisruptionOf(%d values) = %+v, want %+v", len(tt.in), got, tt.want)
		}
	}
}

func TestFailuresOf(t *testing.T) {
	x := web.TransferFailures{State: "REJECTED", Reason: "x"}
	y := web.TransferFailures{State: "REJECTED", Reason: "y"}
	got := fmt.Sprint(web.FailuresOf([]web.TransferFailures{x, y, y, {State: "EXPIRED"}}))
	if want := "[{REJECTED y 2} {EXPIRED  1} {REJECTED x 1}]"; got != want {
		t.Errorf("FailuresOf = %s, want %s", got, want)
	}
}
