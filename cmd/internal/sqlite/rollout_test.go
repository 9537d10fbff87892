package sqlite

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
	"steward/suit/rollout/rolltest"
)

func TestRolloutStore(t *testing.T) {
	rolltest.TestStore(t, func(t *testing.T, devices ...fleet.ID) rollout.Store {
		t.Helper()
		return withDevices(t, devices...).Rollout()
	})
	rolltest.TestReports(t, func(t *testing.T, devices ...fleet.ID) rollout.ReportStore {
		t.Helper()
		return withDevices(t, devices...).Rollout()
	})
	rolltest.TestContents(t, func(t *testing.T) rolltest.ContentStore {
		t.Helper()
		return withDevices(t).Rollout()
	})
}

// TestInstalledOfAHandOver checks that sequence numbers which came with a device
// count, also beside those of own updates.
func TestInstalledOfAHandOver(t *testing.T) {
	s := withDevices(t, "a", "b").Rollout()
	digest := suit.Digest{Algorithm: suit.SHA256, Value: make([]byte, 32)}
	brought := []rollout.Installed{{Digest: digest, Sequence: 41}}
	for range 2 { // told again
		if err := s.AddInstalled(t.Context(), "a", brought, "peer:Alpha"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Installed(t.Context(), "a")
	if err != nil || !reflect.DeepEqual(got, brought) {
		t.Errorf("Installed = %+v, %v, want %+v", got, err, brought)
	}
	if got, err := s.Installed(t.Context(), "b"); err != nil || len(got) != 0 {
		t.Errorf("Installed of another device = %+v, %v", got, err)
	}
}

// TestInForce hands a device on again and again: what the next provider is told is
// what a receipt of the device names, and nothing that was there before.
func TestInForce(t *testing.T) {
	const device = "a"
	s, ctx := withDevices(t, device).Rollout(), t.Context()
	of := func(sequence uint64) rollout.Installed {
		d := suit.Digest{Algorithm: suit.SHA256, Value: make([]byte, 32)}
		d.Value[0] = byte(sequence)
		return rollout.Installed{Digest: d, Sequence: sequence}
	}
	comes := func(with ...rollout.Installed) func() {
		return func() {
			if err := s.AddInstalled(ctx, device, with, "peer:Alpha"); err != nil {
				t.Fatal(err)
			}
		}
	}
	update := func(sequence uint64) func() { return func() { updated(t, s, device, of(sequence)) } }
	for _, step := range []struct {
		name string
		do   func()
		want []uint64
	}{
		{"new", func() {}, nil},
		{"with two", comes(of(41), of(40)), []uint64{41, 40}},
		{"told again", comes(of(41), of(40)), []uint64{41, 40}},
		{"updated by us", update(50), []uint64{50}},
		{"back from another", comes(of(60)), []uint64{60}},
		{"and told what we had installed", comes(of(70)), []uint64{70}},
		{"updated before it enrolled", comes(of(71)), []uint64{71}},
		{"the former provider tells once more", comes(of(70)), []uint64{71}},
		{"updated by us again", update(80), []uint64{80}},
		{"back with ours", comes(of(80)), []uint64{80}},
	} {
		step.do()
		got, err := s.InForce(ctx, device)
		var sequences []uint64
		for _, i := range got {
			sequences = append(sequences, i.Sequence)
			if !i.Digest.Equal(of(i.Sequence).Digest) {
				t.Errorf("%s: %d has digest %v", step.name, i.Sequence, i.Digest)
			}
		}
		if err != nil || !slices.Equal(sequences, step.want) {
			t.Errorf("%s: in force %d, %v, want %d", step.name, sequences, err, step.want)
		}
	}
}

// updated stores a campaign that has brought a manifest to a device.
func updated(t *testing.T, s Rollout, device fleet.ID, i rollout.Installed) {
	t.Helper()
	inCampaign(t, s, rollout.Done, i, device)
}

// inCampaign stores a campaign in which all jobs are in a state.
func inCampaign(t *testing.T, s Rollout, state rollout.JobState, i rollout.Installed, devices ...fleet.ID) {
	t.Helper()
	at, id := time.Unix(1e9, 0).UTC(), fmt.Sprintf("c%d", i.Sequence)
	r := rollout.Release{
		ID: id, Name: id, Version: "2.0", Sequence: i.Sequence, Vendor: "v", Class: "c", Digest: i.Digest,
		Manifest: [2]suit.Digest{i.Digest, i.Digest}, CreatedAt: at, State: rollout.ReleaseDraft,
	}
	if err := s.AddRelease(t.Context(), r, rollout.Content{Push: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	c := rollout.Campaign{ID: id, Name: id, Release: id, Size: 1, State: rollout.CampaignDraft, Since: at, CreatedAt: at}
	var jobs []rollout.Job
	for _, d := range devices {
		jobs = append(jobs, rollout.Job{Campaign: id, Device: d, State: state, Due: at, UpdatedAt: at, EndedAt: at})
	}
	if err := s.AddCampaign(t.Context(), c, jobs); err != nil {
		t.Fatal(err)
	}
}
