package rolltest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"steward/suit/rollout"
)

func testDecisions(t *testing.T, s rollout.Store) {
	t.Helper()
	ctx := t.Context()
	want := release("01", 5)
	if err := s.AddRelease(ctx, want, rollout.Content{Push: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	for i, on := range []rollout.ReleaseEvent{rollout.ApproveRelease, rollout.WithdrawRelease} {
		d, err := want.Decide(on, "y", "because", 2, at.Add(time.Duration(i)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		from := want.State
		if err := s.DecideRelease(ctx, "01", from, d); err != nil {
			t.Fatal(err)
		}
		if err := s.DecideRelease(ctx, "01", from, d); !errors.Is(err, rollout.ErrDecided) {
			t.Errorf("DecideRelease from %s again = %v, want ErrDecided", from, err)
		}
		want.State, want.Decisions = d.To, append(want.Decisions, d)
		if got, err := s.Release(ctx, "01"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Release = %+v, %v; want %+v", got, err, want)
		}
	}
	if got, err := s.ListReleases(ctx, "", 10); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("ListReleases = %+v, %v; want %+v", got, err, want)
	}
	err := s.DecideRelease(ctx, "x", rollout.ReleaseDraft, rollout.Decision{To: rollout.ReleaseApproved})
	if !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("DecideRelease(x) = %v, want ErrUnknown", err)
	}
}
