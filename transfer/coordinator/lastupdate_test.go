package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// lastUpdates brings last updates in a world: coordinator.Updates.
type lastUpdates struct {
	w      *world
	after  map[*device]time.Duration // how long a device takes; absent: 30 s; negative: for ever
	fails  map[*device]string        // which fail, and why
	broken int                       // calls of Begin that fail
	refuse error                     // of Begin

	mu    sync.Mutex
	began map[fleet.ID]time.Time
	ids   []string // of the campaigns begun
	ended []string // reasons
}

var errDisk = errors.New("disk full")

func (u *lastUpdates) Choose(_ context.Context, release string, _ []fleet.ID) (coordinator.LastUpdate, error) {
	if release != coordinator.NewestRelease {
		return coordinator.LastUpdate{}, fmt.Errorf("%w: no release %s", coordinator.ErrInvalid, release)
	}
	return coordinator.LastUpdate{Release: "R3", Name: "lamp 3"}, nil
}

func (u *lastUpdates) Begin(_ context.Context, o coordinator.UpdateOrder) (begun bool, _ error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ids = append(u.ids, o.Campaign)
	if u.broken--; u.broken >= 0 {
		return false, errDisk
	}
	if u.refuse != nil {
		return false, u.refuse
	}
	if o.Drafter != "operator:alice" || o.Approver != "operator:bob" {
		u.w.t.Errorf("drafted by %s, approved by %s", o.Drafter, o.Approver)
	}
	for _, id := range o.Devices {
		d := u.device(id)
		begun = begun || u.w.runs(d.Endpoint, true)[0].Sequence != later()[0].Sequence
		if _, ok := u.began[id]; !ok {
			u.began[id] = time.Now()
			go u.install(id)
		}
	}
	return begun, nil
}

// install is what a device does.
func (u *lastUpdates) install(id fleet.ID) {
	d := u.device(id)
	after, ok := u.after[d]
	if !ok {
		after = 30 * time.Second
	}
	if after < 0 {
		return
	}
	time.Sleep(after)
	if u.fails[d] == "" {
		u.w.updates(d, later(), true)
	}
	u.w.alpha.coordinator().Wake(id)
}

func (u *lastUpdates) device(id fleet.ID) *device {
	i := slices.IndexFunc(u.w.devices, func(d *device) bool { return d.id(u.w.alpha) == id })
	return u.w.devices[i]
}

func (u *lastUpdates) Progress(_ context.Context, _ coordinator.LastUpdate, id fleet.ID) (
	coordinator.UpdateProgress, error,
) {
	u.mu.Lock()
	defer u.mu.Unlock()
	d := u.device(id)
	after, ok := u.after[d]
	if !ok {
		after = 30 * time.Second
	}
	began, ok := u.began[id]
	switch {
	case u.w.runs(d.Endpoint, true)[0].Sequence == later()[0].Sequence:
		return coordinator.UpdateProgress{State: coordinator.UpdateDone}, nil
	case ok && u.fails[d] != "" && !time.Now().Before(began.Add(after)):
		return coordinator.UpdateProgress{State: coordinator.UpdateFailed, Reason: u.fails[d]}, nil
	}
	return coordinator.UpdateProgress{Reason: "the device is installing"}, nil
}

// Settled does not wait for those that take hours.
func (u *lastUpdates) Settled(ctx context.Context, l coordinator.LastUpdate) (bool, error) {
	for _, d := range u.w.devices {
		p, err := u.Progress(ctx, l, d.id(u.w.alpha))
		if err != nil || p.State == coordinator.UpdateWaits && u.after[d] >= 0 && u.after[d] < time.Hour {
			return false, err
		}
	}
	return true, nil
}

func (u *lastUpdates) End(_ context.Context, _ coordinator.LastUpdate, reason string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = append(u.ended, reason)
	return nil
}

// updating is a world of n devices that get a last update.
func updating(t *testing.T, n int) (*world, *lastUpdates) {
	t.Helper()
	w := newWorld(t, n)
	u := &lastUpdates{
		w: w, after: map[*device]time.Duration{}, fails: map[*device]string{}, began: map[fleet.ID]time.Time{},
	}
	w.alpha.change = func(o *coordinator.Options) { o.Updates = u }
	w.alpha.open(t)
	return w, u
}

// lastUpdate drafts, submits and has approved a hand-over with a last update.
func (w *world) lastUpdate(t *testing.T) string {
	t.Helper()
	var ids []fleet.ID
	for _, d := range w.devices {
		ids = append(ids, d.id(w.alpha))
	}
	draft, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
		Partner: w.alpha.partner(t, w.beta).ID, Devices: ids, Actor: "operator:alice",
		Window: transfer.NewWindow(time.Time{}, time.Now().Add(24*time.Hour)), Update: coordinator.NewestRelease,
	})
	check(t, err)
	_, err = w.alpha.coordinator().Submit(t.Context(), draft.ID, "operator:alice")
	check(t, err)
	time.Sleep(10 * time.Second)
	w.decide(t, w.beta, draft.ID)
	w.decide(t, w.alpha, draft.ID)
	return draft.ID
}

// notUpdated checks that the first device stays, for a reason, and that the others have
// moved.
func (w *world) notUpdated(t *testing.T, id, reason string) {
	t.Helper()
	for p, state := range map[*provider]transfer.RowState{
		w.alpha: transfer.RowFailedUpd, w.beta: transfer.RowAborted,
	} {
		if n := p.states(t, id); n[state] != 1 || n[transfer.RowRevokedOld] != len(w.devices)-1 {
			t.Errorf("rows at %s are %v", p.name, n)
		}
		row, err := p.store.Row(t.Context(), id, fleet.Factory(w.devices[0].Factory).Short())
		check(t, err)
		if !strings.Contains(row.Reason, reason) || len(row.Pending) > 0 || !row.Ended() {
			t.Errorf("row at %s: %q, pending %v", p.name, row.Reason, row.Pending)
		}
		if report, _ := p.record(t, id); !report.Proved {
			t.Errorf("record of %s: not proved: %q", p.name, unproved(report))
		}
	}
	w.is(t, id, transfer.BatchPartial, transfer.BatchPartial)
	if s, at := w.devices[0].state(); !s.State.AtRest() || at != w.alpha {
		t.Errorf("the device is %s", s.State)
	}
}

// TestLastUpdate: devices get an update before they leave; the partner is told what they
// run then.
func TestLastUpdate(t *testing.T) {
	for name, test := range map[string]struct {
		prepare   func(w *world, u *lastUpdates)
		meanwhile func(t *testing.T, w *world, u *lastUpdates, id string)
		revisions int
	}{
		"good":                {revisions: 1},
		"they run it already": {prepare: func(w *world, _ *lastUpdates) { w.updated() }},
		"one takes hours, asleep": {
			prepare:   func(w *world, u *lastUpdates) { u.after[w.devices[0]] = 3 * time.Hour },
			revisions: 2,
			meanwhile: func(t *testing.T, w *world, _ *lastUpdates, id string) {
				t.Helper()
				time.Sleep(2 * time.Hour)
				if n := w.alpha.states(t, id); n[transfer.RowReady] != 2 || n[transfer.RowListed] != 1 {
					t.Errorf("after two hours: %v", n)
				}
				w.is(t, id, transfer.BatchStaging, transfer.BatchStaging)
			},
		},
		"Alpha crashes": {
			prepare:   func(_ *world, u *lastUpdates) { u.broken = 1 },
			revisions: 1,
			meanwhile: func(t *testing.T, w *world, u *lastUpdates, _ string) {
				t.Helper()
				w.alpha.stop()
				time.Sleep(10 * time.Second)
				w.alpha.open(t)
				w.alpha.start()
				time.Sleep(20 * time.Second)
				u.mu.Lock()
				defer u.mu.Unlock()
				if len(u.ids) != 2 || u.ids[0] != u.ids[1] || u.ids[0] == "" {
					t.Errorf("campaigns begun: %q, want the same one again", u.ids)
				}
			},
		},
		"the answer to the revision is lost": {
			revisions: 1,
			meanwhile: func(t *testing.T, w *world, _ *lastUpdates, _ string) {
				t.Helper()
				w.beta.loseNext(coordinator.ActionInfo)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, u := updating(t, 3)
				if test.prepare != nil {
					test.prepare(w, u)
				}
				w.start(t)
				id := w.lastUpdate(t)
				if test.meanwhile != nil {
					test.meanwhile(t, w, u, id)
				}
				time.Sleep(90 * time.Minute)
				w.moved(t, id)
				for _, p := range []*provider{w.alpha, w.beta} {
					if n := p.revisions(t, id); n != test.revisions {
						t.Errorf("%d revisions at %s, want %d", n, p.name, test.revisions)
					}
				}
			})
		})
	}
}

// TestLastUpdateFails: a device whose last update fails stays, and the others go on: they
// are not paused either. One that says nothing more is waited for, for half of the window.
func TestLastUpdateFails(t *testing.T) {
	for name, test := range map[string]struct {
		fails  string
		after  time.Duration
		wait   time.Duration
		reason string
	}{
		"rolled back": {
			fails: "another version runs", after: time.Minute, wait: 20 * time.Minute,
			reason: "the last update failed: another version runs",
		},
		"bricked": {after: -1, wait: 13 * time.Hour, reason: "had not come when the others moved"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, u := updating(t, 3)
				u.after[w.devices[0]], u.fails[w.devices[0]] = test.after, test.fails
				w.start(t)
				id := w.lastUpdate(t)
				time.Sleep(test.wait)
				w.notUpdated(t, id, test.reason)
				u.mu.Lock()
				defer u.mu.Unlock()
				if len(u.ended) != 1 {
					t.Errorf("ended %q", u.ended)
				}
			})
		})
	}
}

// TestLastUpdateRefused: a release that was withdrawn meanwhile is brought to nobody, and
// nobody leaves without it.
func TestLastUpdateRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, u := updating(t, 2)
		u.refuse = fmt.Errorf("%w: the release was withdrawn", coordinator.ErrUpdate)
		w.start(t)
		id := w.lastUpdate(t)
		time.Sleep(30 * time.Minute)
		if n := w.alpha.states(t, id); n[transfer.RowFailedUpd] != 2 {
			t.Errorf("rows are %v", n)
		}
		if got, err := w.alpha.store.Transfer(t.Context(), id); err != nil || got.State != transfer.BatchPartial {
			t.Errorf("the transfer is %s (%s), %v", got.State, got.Reason, err)
		}
	})
}

// TestLastUpdateWithdrawn: with the hand-over its last update ends.
func TestLastUpdateWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, u := updating(t, 2)
		u.after[w.devices[0]], u.after[w.devices[1]] = -1, -1
		w.start(t)
		id := w.lastUpdate(t)
		_, err := w.alpha.coordinator().Withdraw(t.Context(), id, "operator:alice", "not today")
		check(t, err)
		time.Sleep(time.Minute)
		u.mu.Lock()
		defer u.mu.Unlock()
		if len(u.ended) != 1 || !strings.Contains(u.ended[0], "not today") {
			t.Errorf("ended %q", u.ended)
		}
	})
}

// TestLastUpdateDraft: what cannot be brought is refused when it is drafted.
func TestLastUpdateDraft(t *testing.T) {
	w, _ := updating(t, 1)
	d := coordinator.Draft{
		Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleet.ID{w.devices[0].id(w.alpha)}, Update: "R9",
	}
	if _, err := w.alpha.c.Draft(t.Context(), d); !errors.Is(err, coordinator.ErrInvalid) {
		t.Errorf("a release that there is not: %v", err)
	}
	w.alpha.change = nil
	w.alpha.open(t)
	if _, err := w.alpha.c.Draft(t.Context(), d); !errors.Is(err, coordinator.ErrInvalid) {
		t.Errorf("a provider that brings none: %v", err)
	}
}
