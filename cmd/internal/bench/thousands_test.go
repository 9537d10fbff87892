package bench_test

import (
	"testing"
	"time"

	"steward/cmd/internal/bench"
)

// TestThousands lets thousands of devices register, be observed, notify, talk and
// outlive a kill of the server, with the race detector in both processes where it
// is built in: the first race that it finds in the server ends that, and so the
// run.
func TestThousands(t *testing.T) {
	t.Setenv("GORACE", "halt_on_error=1")
	many := 200
	if raced {
		many = 2000
	}
	for w, devices := range map[bench.Work]int{bench.Observe: 200, bench.Restart: many} {
		r, err := bench.Run(t.Context(), bench.Options{
			Work: w, Devices: devices, Observations: 1, Kill: true, Duration: time.Second, Dir: t.TempDir(),
		})
		if err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		if r.Ops < devices/2 || *r.Loss > 0 || *r.NewHandshakes != 0 {
			t.Errorf("%s = %+v", w, r)
		}
		t.Logf("%s: %d operations by %d devices", w, r.Ops, devices)
	}
}
