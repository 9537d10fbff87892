package cabench_test

import (
	"errors"
	"strings"
	"testing"

	"steward/cmd/internal/cabench"
)

// TestRun does everything once, in small.
func TestRun(t *testing.T) {
	r, err := cabench.Run(t.Context(), cabench.Options{Devices: 20, Certificates: 40, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if r.Devices != 20 || r.IssuedPerS <= 0 || r.FloorCPU <= 0 || r.Certificates != 40 || r.CRLEntries != 20 {
		t.Errorf("result: %+v", r)
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil || strings.Count(b.String(), "\n") < 10 {
		t.Errorf("table, %v:\n%s", err, b.String())
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []cabench.Options{{Devices: -1}, {Certificates: 1 << 30}, {InFlight: 10_000}} {
		if _, err := cabench.Run(t.Context(), o); !errors.Is(err, cabench.ErrOptions) {
			t.Errorf("%+v: %v, want ErrOptions", o, err)
		}
	}
}
