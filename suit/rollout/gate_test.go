package rollout_test

import (
	"errors"
	"testing"
	"time"

	"steward/suit/rollout"
)

func TestGate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0).UTC()
	five := new(5.0)
	tests := []struct {
		name    string
		gate    rollout.Gate
		counts  rollout.Counts
		waived  rollout.Counts
		settled time.Time
		want    rollout.Verdict
		reason  string
	}{
		{
			name: "no gate, under way", counts: rollout.Counts{"done": 3, "installing": 1, "planned": 6},
			want: rollout.VerdictRun, reason: "wave 1: 3 of 10 finished",
		},
		{
			name: "no gate, all failed", counts: rollout.Counts{"failed": 3},
			want: rollout.VerdictPass, reason: "wave 1: passed, 0 of 3 done, 3 failed",
		},
		{
			name: "empty wave", gate: rollout.Gate{MinSample: 3, Success: 90}, want: rollout.VerdictPass,
			reason: "wave 1: passed, 0 of 0 done",
		},
		{
			name: "share of the whole wave", gate: rollout.Gate{MaxFailedPercent: five},
			counts: rollout.Counts{"failed": 3, "planned": 17},
			want:   rollout.VerdictStop, reason: "wave 1: 3 of 20 failed, more than 5 %: paused",
		},
		{
			name: "not yet a share of the whole", gate: rollout.Gate{MaxFailedPercent: five},
			counts: rollout.Counts{"failed": 1, "planned": 19},
			want:   rollout.VerdictRun, reason: "wave 1: 1 of 20 finished",
		},
		{
			name: "share of the finished", gate: rollout.Gate{MaxFailedPercent: five, MinSample: 10},
			counts: rollout.Counts{"failed": 1, "done": 9, "planned": 10},
			want:   rollout.VerdictStop, reason: "wave 1: 1 of 10 failed, more than 5 %: paused",
		},
		{
			name: "sample too small to judge", gate: rollout.Gate{MaxFailedPercent: five, MinSample: 10},
			counts: rollout.Counts{"failed": 1, "done": 8, "planned": 11},
			want:   rollout.VerdictRun, reason: "wave 1: 9 of 20 finished",
		},
		{
			name: "refused are not failed", gate: rollout.Gate{MaxFailures: new(0)},
			counts: rollout.Counts{"refused": 3, "done": 7},
			want:   rollout.VerdictPass, reason: "wave 1: passed, 7 of 10 done, 3 refused",
		},
		{
			name: "too many refused", gate: rollout.Gate{MaxRefused: new(2)},
			counts: rollout.Counts{"refused": 3, "done": 1, "queued": 6},
			want:   rollout.VerdictStop, reason: "wave 1: 3 of 10 refused before sending, more than 2: paused",
		},
		{
			name: "failures, abort", gate: rollout.Gate{MaxFailures: new(1), Action: rollout.AbortCampaign},
			counts: rollout.Counts{"failed": 2, "queued": 1},
			want:   rollout.VerdictStop, reason: "wave 1: 2 of 3 failed, more than 1: aborted",
		},
		{
			name: "as many failures as allowed", gate: rollout.Gate{MaxFailures: new(2)},
			counts: rollout.Counts{"failed": 2, "done": 1},
			want:   rollout.VerdictPass, reason: "wave 1: passed, 1 of 3 done, 2 failed",
		},
		{
			name: "unreachable", gate: rollout.Gate{MaxUnreachable: new(1)},
			counts: rollout.Counts{"away": 2, "done": 8},
			want:   rollout.VerdictStop, reason: "wave 1: 2 of 10 out of reach, more than 1: paused",
		},
		{
			name:   "a dead device blocks no wave",
			counts: rollout.Counts{"away": 1, "deferred": 1, "blocked": 1, "done": 7},
			want:   rollout.VerdictPass,
			reason: "wave 1: passed, 7 of 10 done, 1 out of reach, 1 put off, 1 busy in an older campaign",
		},
		{
			name: "sample", gate: rollout.Gate{MinSample: 5}, counts: rollout.Counts{"away": 7, "done": 3},
			want: rollout.VerdictStop, reason: "wave 1: only 3 of at least 5 devices finished: paused",
		},
		{
			name: "success", gate: rollout.Gate{Success: 97.5}, counts: rollout.Counts{"failed": 1, "done": 19, "away": 3},
			want: rollout.VerdictStop, reason: "wave 1: 19 of 20 succeeded, less than 97.5 %: paused",
		},
		{
			name: "enough success", gate: rollout.Gate{Success: 95}, counts: rollout.Counts{"failed": 1, "done": 19},
			want: rollout.VerdictPass, reason: "wave 1: passed, 19 of 20 done, 1 failed",
		},
		{
			name: "nobody finished", gate: rollout.Gate{Success: 95}, counts: rollout.Counts{"away": 2},
			want: rollout.VerdictStop, reason: "wave 1: no device of 2 finished, and 95 % must succeed: paused",
		},
		{
			name: "begins to soak", gate: rollout.Gate{Soak: 60}, counts: rollout.Counts{"done": 2},
			want: rollout.VerdictSoak, reason: "wave 1: finished, soaks until 2027-01-15T08:01:00Z",
		},
		{
			name: "has soaked", gate: rollout.Gate{Soak: 60}, counts: rollout.Counts{"done": 2},
			settled: now.Add(-time.Minute), want: rollout.VerdictPass, reason: "wave 1: passed, 2 of 2 done",
		},
		{
			name: "fails in the soak", gate: rollout.Gate{Soak: 60, MaxFailures: new(0)},
			counts: rollout.Counts{"done": 2, "failed": 1}, settled: now.Add(-time.Second),
			want: rollout.VerdictStop, reason: "wave 1: 1 of 3 failed, more than 0: paused",
		},
		{
			name: "what was waived", gate: rollout.Gate{MaxFailedPercent: five, MaxUnreachable: new(0)},
			counts: rollout.Counts{"failed": 3, "away": 1, "planned": 16}, waived: rollout.Counts{"failed": 3, "away": 1},
			want: rollout.VerdictRun, reason: "wave 1: 3 of 20 finished",
		},
		{
			name: "more than was waived", gate: rollout.Gate{MaxFailures: new(1)},
			counts: rollout.Counts{"failed": 5, "done": 15}, waived: rollout.Counts{"failed": 3},
			want: rollout.VerdictStop, reason: "wave 1: 2 more of 20 failed, more than 1: paused",
		},
		{
			name: "a waived sample is not asked again", gate: rollout.Gate{MinSample: 9, Success: 99},
			counts: rollout.Counts{"failed": 1, "done": 1}, waived: rollout.Counts{"failed": 1, "done": 1},
			want: rollout.VerdictPass, reason: "wave 1: passed, 1 of 2 done, 1 failed",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.gate.Judge("wave 1", tt.counts, tt.waived, tt.settled, now)
			if got.Verdict != tt.want || got.Reason != tt.reason {
				t.Errorf("Judge = %s, %q\nwant    %s, %q", got.Verdict, got.Reason, tt.want, tt.reason)
			}
		})
	}
}

func TestDivide(t *testing.T) {
	canary := rollout.WaveSpec{Canary: true, Count: 5}
	tests := []struct {
		name  string
		n     int
		specs []rollout.WaveSpec
		want  []int
		err   error
	}{
		{"no plan", 7, nil, []int{7}, nil},
		{"no devices", 0, nil, nil, nil},
		{
			"canary, shares, the rest", 200,
			[]rollout.WaveSpec{canary, {Percent: 10}, {Percent: 25}},
			[]int{5, 20, 50, 125},
			nil,
		},
		{"shares are rounded up", 7, []rollout.WaveSpec{{Percent: 10}, {Percent: 90}}, []int{1, 6}, nil},
		{"all that are left, in the middle", 9, []rollout.WaveSpec{{Count: 2}, {Name: "rest"}, {Count: 2}}, []int{2, 7}, nil},
		{"fewer than the canary", 3, []rollout.WaveSpec{canary, {Percent: 50}}, []int{3}, nil},
		{"more than all", 9, []rollout.WaveSpec{{Percent: 60}, {Percent: 50}}, nil, rollout.ErrCampaign},
		{"number and share", 9, []rollout.WaveSpec{{Count: 1, Percent: 50}}, nil, rollout.ErrCampaign},
		{"negative", 9, []rollout.WaveSpec{{Count: -1}}, nil, rollout.ErrCampaign},
		{"canary later", 9, []rollout.WaveSpec{{Count: 1}, canary}, nil, rollout.ErrCampaign},
		{"canary by share", 9, []rollout.WaveSpec{{Canary: true, Percent: 1}}, nil, rollout.ErrCampaign},
		{"gate", 9, []rollout.WaveSpec{{Gate: rollout.Gate{Success: 101}}}, nil, rollout.ErrCampaign},
		{"gate below zero", 9, []rollout.WaveSpec{{Gate: rollout.Gate{MaxFailures: new(-1)}}}, nil, rollout.ErrCampaign},
		{"gate that goes on", 9, []rollout.WaveSpec{{Gate: rollout.Gate{Action: "go"}}}, nil, rollout.ErrCampaign},
		{"too many", 9, make([]rollout.WaveSpec, rollout.MaxWaves+1), nil, rollout.ErrCampaign},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := (&rollout.Plan{Waves: tt.specs}).Divide(tt.n)
			same := len(got) == len(tt.want)
			for i := range tt.want {
				same = same && got[i].Size == tt.want[i]
			}
			if !errors.Is(err, tt.err) || !same {
				t.Errorf("Divide(%d) = %+v, %v; want %v, %v", tt.n, got, err, tt.want, tt.err)
			}
		})
	}
}
