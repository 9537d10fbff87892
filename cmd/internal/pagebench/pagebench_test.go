package pagebench_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/cmd/internal/pagebench"
)

// TestRun fills and measures everything once, in small.
func TestRun(t *testing.T) {
	o := pagebench.Options{Devices: 60, Events: 300, Certificates: 60, Times: 1, Data: t.TempDir()}
	r, err := pagebench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{
		"/", "/devices", "/devices/{id}", "/devices/{id}/charts", "/certificates/{id}", "/updates/{id}", "/transfers/{id}",
		"/activity", "/api/v1/devices", "/api/v1/audit", "/api/v1/devices/{id}/operations", "/metrics",
	} {
		if !slices.ContainsFunc(r.Pages, func(p pagebench.Page) bool { return p.Pattern == pattern && p.KiB > 0 }) {
			t.Errorf("%s was not measured", pattern)
		}
	}
	if r.Running == 0 {
		t.Error("no device runs a release: pages that count them have nothing to count")
	}
	for _, u := range r.Unknown {
		t.Logf("not measured: %s", u)
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil || strings.Count(b.String(), "\n") < len(r.Pages) {
		t.Errorf("table, %v:\n%s", err, b.String())
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []pagebench.Options{{Devices: 1}, {Events: -1}, {Certificates: 1 << 30}, {Times: -1}} {
		if _, err := pagebench.Run(t.Context(), o); !errors.Is(err, pagebench.ErrOptions) {
			t.Errorf("%+v: %v, want ErrOptions", o, err)
		}
	}
}
