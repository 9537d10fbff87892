package rolltest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
)

// Reports is a rollout.ReportStore in memory. The zero Reports is empty and ready.
type Reports struct {
	mu  sync.Mutex
	all []rollout.DeviceReport // the newest last
}

// maxReports is the number kept of one device.
const maxReports = 16

// AddReport implements rollout.ReportStore.
func (s *Reports) AddReport(_ context.Context, r rollout.DeviceReport) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(o rollout.DeviceReport) bool {
		return o.Device == r.Device && o.Digest.Equal(r.Digest)
	})
	s.all = append(s.all, r)
	if own := s.of(r.Device); len(own) > maxReports {
		oldest := own[len(own)-1]
		s.all = slices.DeleteFunc(s.all, func(o rollout.DeviceReport) bool {
			return o.Device == r.Device && o.Digest.Equal(oldest.Digest)
		})
	}
	return nil
}

// of returns the reports of a device, the newest first. The caller holds mu.
func (s *Reports) of(device fleet.ID) (out []rollout.DeviceReport) {
	for _, r := range slices.Backward(s.all) {
		if r.Device == device {
			out = append(out, r)
		}
	}
	return out
}

// ReportOf implements rollout.ReportStore.
func (s *Reports) ReportOf(_ context.Context, device fleet.ID, manifest suit.Digest) (rollout.DeviceReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(s.of(device), func(r rollout.DeviceReport) bool { return r.Digest.Equal(manifest) })
}

// ReportsOf implements rollout.ReportStore.
func (s *Reports) ReportsOf(_ context.Context, device fleet.ID, limit int) ([]rollout.DeviceReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of(device)
	return own[:min(limit, len(own))], nil
}

// TestReports checks that a ReportStore keeps its promises. open returns an empty one
// in which devices a and b exist.
func TestReports(t *testing.T, open func(t *testing.T, devices ...fleet.ID) rollout.ReportStore) {
	t.Helper()
	s, ctx := open(t, "a", "b"), t.Context()
	report := func(device fleet.ID, n byte) rollout.DeviceReport {
		value := make([]byte, 32)
		value[0] = n
		return rollout.DeviceReport{
			Device: device, Digest: suit.Digest{Algorithm: suit.SHA256, Value: value}, Release: "r", Reason: "well",
			Succeeded: n%2 == 0, Raw: []byte{n}, At: at.Add(time.Duration(n) * time.Second),
		}
	}
	for n := range byte(20) {
		for _, device := range []fleet.ID{"a", "b"} {
			if err := s.AddReport(ctx, report(device, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	again := report("a", 19)
	again.Reason, again.At = "better", at.Add(time.Hour)
	if err := s.AddReport(ctx, again); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ReportOf(ctx, "a", again.Digest); err != nil || !reflect.DeepEqual(got, again) {
		t.Errorf("ReportOf = %+v, %v, want %+v", got, err, again)
	}
	if _, err := s.ReportOf(ctx, "a", report("a", 1).Digest); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("an old report is kept: %v", err)
	}
	got, err := s.ReportsOf(ctx, "a", 100)
	if err != nil || len(got) != maxReports || !reflect.DeepEqual(got[1], report("a", 18)) {
		t.Errorf("ReportsOf = %d reports, %v", len(got), err)
	}
	if got, err := s.ReportsOf(ctx, "a", 2); err != nil || len(got) != 2 {
		t.Errorf("ReportsOf(2) = %d reports, %v", len(got), err)
	}
}
