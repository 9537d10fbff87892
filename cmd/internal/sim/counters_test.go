package sim_test

import (
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/sim"
)

// TestCountersAreSaved: what devices do once is on the disk soon; what a thousand of them
// do all the time does not keep a disk busy.
func TestCountersAreSaved(t *testing.T) {
	for _, tt := range []struct {
		phases []string
		want   time.Duration
	}{
		{nil, 0},
		{[]string{"management"}, time.Minute},
		{[]string{"send", "registration_update"}, time.Minute},
		{[]string{"enrolment"}, 3 * time.Second},
		{[]string{"management", "receipt", "send"}, 3 * time.Second},
	} {
		if got := sim.SavedAfter(filepath.Join(t.TempDir(), "counters"), tt.phases...); got != tt.want {
			t.Errorf("after %v they are saved after %v, want %v", tt.phases, got, tt.want)
		}
	}
}
