package rollout_test

import (
	"testing"
	"time"

	"steward/suit/rollout"
)

func TestRamp(t *testing.T) {
	ramp := rollout.Rates{StartsPerMinute: 100, Ramp: &rollout.Ramp{From: 5, Factor: 2, Every: 10}}
	for done, want := range map[int]float64{0: 5, 9: 5, 10: 10, 25: 20, 40: 80, 50: 100, 1 << 30: 100} {
		if got := ramp.PerMinute(done); got != want {
			t.Errorf("PerMinute(%d) = %v, want %v", done, got, want)
		}
	}
	ramp.StartsPerMinute = 0
	if got := ramp.PerMinute(1 << 30); got != 1e6 {
		t.Errorf("PerMinute without an end = %v, want what is as good as none", got)
	}
}

// TestPace takes starts for ten minutes, every second and at odd times.
func TestPace(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 700 * time.Millisecond, 13 * time.Second} {
		var p rollout.Pace
		now := time.Unix(1_800_000_000, 0)
		total := 0
		for end := now.Add(10 * time.Minute); now.Before(end); now = now.Add(every) {
			n, next := p.Take(100, 30, now)
			total += n
			if !next.After(now) {
				t.Fatalf("the next start is at %v, it is %v", next, now)
			}
		}
		most := 301
		if total > most || every < 2*time.Second && total < 298 {
			t.Errorf("asked every %v, %d starts in ten minutes at 30 a minute", every, total)
		}
	}
	var p rollout.Pace
	if n, next := p.Take(7, 0, time.Now()); n != 7 || !next.IsZero() {
		t.Errorf("without a rate: %d, %v; want all", n, next)
	}
}

func TestWindows(t *testing.T) {
	night := []rollout.Window{{From: "22:00", To: "04:00"}}
	weekend := []rollout.Window{{Days: []time.Weekday{time.Saturday, time.Sunday}, From: "10:00", To: "12:30"}}
	tests := []struct {
		name    string
		windows []rollout.Window
		zone    string
		now     string
		want    string
	}{
		{"none is always open", nil, "", "2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z"},
		{"before", night, "", "2026-11-25T12:00:00Z", "2026-11-25T22:00:00Z"},
		{"at the beginning", night, "", "2026-11-25T22:00:00Z", "2026-11-25T22:00:00Z"},
		{"after midnight", night, "", "2026-11-26T03:59:59Z", "2026-11-26T03:59:59Z"},
		{"at the end", night, "", "2026-11-26T04:00:00Z", "2026-11-26T22:00:00Z"},
		{"by the device's clock", night, "+09:00", "2026-11-25T12:00:00Z", "2026-11-25T13:00:00Z"},
		{"by the device's clock, open", night, "-05:30", "2026-11-25T05:00:00Z", "2026-11-25T05:00:00Z"},
		{"offset without colon", night, "+0900", "2026-11-25T12:00:00Z", "2026-11-25T13:00:00Z"},
		{"only some days", weekend, "", "2026-11-25T11:00:00Z", "2026-11-28T10:00:00Z"},
		{"on the day", weekend, "", "2026-11-29T12:29:00Z", "2026-11-29T12:29:00Z"},
		{"a week later", weekend, "", "2026-11-29T12:30:00Z", "2026-12-05T10:00:00Z"},
		{"the earlier of two", append(night, weekend...), "", "2026-11-28T05:00:00Z", "2026-11-28T10:00:00Z"},
		{
			"the night of the clock change",
			[]rollout.Window{{From: "04:00", To: "05:00"}},
			"Europe/Stockholm",
			"2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, err := time.Parse(time.RFC3339, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := time.LoadLocation("Europe/Stockholm"); err != nil && tt.zone == "Europe/Stockholm" {
				t.Skip("no time zones on this machine")
			}
			if got := rollout.Opens(tt.windows, tt.zone, now).UTC().Format(time.RFC3339); got != tt.want {
				t.Errorf("opens at %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRetryMatrix(t *testing.T) {
	own := rollout.RetryMatrix{4: {Tries: 9, Backoff: 30}, rollout.CodeOther: {Tries: 1}}
	tests := []struct {
		name  string
		m     rollout.RetryMatrix
		code  int
		n     int
		tries int
		wait  time.Duration
	}{
		{"connection lost", nil, 4, 1, 3, time.Minute},
		{"doubling", nil, 4, 3, 3, 4 * time.Minute},
		{"unsupported package", nil, 6, 1, 0, time.Minute},
		{"deferred", nil, 11, 1, 10, time.Hour},
		{"deferred for a day at most", nil, 11, 9, 10, 24 * time.Hour},
		{"own", own, 4, 2, 9, time.Minute},
		{"own, any other", own, 5, 1, 1, time.Minute},
		{"none", rollout.RetryMatrix{}, 4, 1, 0, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r, wait := rollout.RetryOf(tt.m, tt.code, tt.n); r.Tries != tt.tries || wait != tt.wait {
				t.Errorf("result %d, try %d: %d tries, wait %v; want %d, %v", tt.code, tt.n, r.Tries, wait, tt.tries, tt.wait)
			}
		})
	}
}
