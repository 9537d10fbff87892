package sqlite

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit/rollout"
)

// obedient devices do at once what they are told.
type obedient struct {
	mu    sync.Mutex
	state map[fleet.ID]objects.Firmware
}

func (o *obedient) Read(_ context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p.Object() == objects.DeviceID {
		return []lwm2m.Entry{{Path: p, Value: lwm2m.String("2.0")}}, nil
	}
	return o.state[id].Entries(p), nil
}

func (o *obedient) Write(_ context.Context, id fleet.ID, _ lwm2m.Path, _ lwm2m.Value) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state[id] = objects.Firmware{State: objects.FirmwareDownloaded}
	return nil
}

func (o *obedient) Execute(_ context.Context, id fleet.ID, _ lwm2m.Path) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state[id] = objects.Firmware{Result: objects.FirmwareSuccess}
	return nil
}

func (*obedient) Observe(context.Context, fleet.ID, lwm2m.Path) error { return nil }

// BenchmarkCampaign leads campaigns of different sizes through canary, a wave and
// the remainder. A device must cost the same in each.
func BenchmarkCampaign(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				campaign(b, n)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/device")
		})
	}
}

func campaign(b *testing.B, n int) {
	b.Helper()
	b.StopTimer()
	ids := make([]fleet.ID, n)
	db := open(b)
	err := db.Update(b.Context(), func(tx *Tx) error {
		for i := range ids {
			ids[i] = fleet.ID(fmt.Sprintf("%06d", i))
			d := fleet.Device{ID: ids[i], Endpoint: lwm2m.Endpoint(ids[i]), Ownership: fleet.Owned}
			if err := putDevice(tx, d, "test", ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	release := rollout.Release{ID: "r", Version: "2.0", Sequence: 2, State: rollout.ReleaseApproved}
	if err := db.Rollout().AddRelease(b.Context(), release, rollout.Content{Push: []byte{1}}); err != nil {
		b.Fatal(err)
	}
	over := make(chan struct{}, 1)
	r, err := rollout.NewRunner(rollout.RunnerOptions{
		Store: db.Rollout(), Devices: &obedient{state: map[fleet.ID]objects.Firmware{}},
		URI: func(string) string { return "" }, Workers: 128,
		Moved: func(id string) {
			if c, err := db.Rollout().Campaign(context.Background(), id); err == nil && c.State.Over() {
				over <- struct{}{}
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	b.StartTimer()
	_, err = r.Start(b.Context(), rollout.Draft{
		ID: "c", Release: "r", Delivery: rollout.Push, Devices: ids, By: "x",
		Plan: rollout.Plan{Waves: []rollout.WaveSpec{{Canary: true, Count: 10}, {Percent: 10}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	select {
	case <-over:
	case <-time.After(5 * time.Minute):
		b.Fatal("the campaign did not end")
	}
	b.StopTimer()
	report, err := r.Report(b.Context(), "c")
	if err != nil || report.Funnel.Done != n {
		b.Fatalf("Report = %+v, %v", report, err)
	}
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}
