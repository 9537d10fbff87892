package rounds_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/est/attest"
	"steward/est/attest/rounds"
	"steward/est/attest/rounds/roundstest"
	"steward/lwm2m/fleet"
)

// A world is a runner with devices that answer as a test wants.
type world struct {
	store  *roundstest.Store
	runner *rounds.Runner
	end    context.CancelFunc

	mu    sync.Mutex
	away  map[fleet.ID]bool
	tier  map[fleet.ID]attest.Tier
	fails map[fleet.ID]error
	asked map[fleet.ID][]time.Time
	told  []string
}

func newWorld(t *testing.T, o rounds.Options) *world {
	t.Helper()
	w := &world{
		store: &roundstest.Store{}, away: map[fleet.ID]bool{}, tier: map[fleet.ID]attest.Tier{}, fails: map[fleet.ID]error{},
		asked: map[fleet.ID][]time.Time{},
	}
	o.Store, o.Ask = w.store, w.ask
	o.Listens = func(id fleet.ID) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return !w.away[id]
	}
	o.Find = func(_ context.Context, f fleet.Factory) (fleet.ID, error) {
		if f == (fleet.Factory{}) {
			return "", fleet.ErrUnknown
		}
		return name(int(f[0])), nil
	}
	o.Told = func(r rounds.Round, alert bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, fmt.Sprintf("%s %s %t", r.Device, r.State, alert))
	}
	var err error
	if w.runner, err = rounds.New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

// run runs the runner until the test, or the process that it stands for, ends.
func (w *world) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.runner.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	w.end = func() { cancel(); <-done }
	t.Cleanup(w.end)
}

func name(n int) fleet.ID { return fleet.ID(fmt.Sprintf("d%03d", n)) }

func (w *world) ask(ctx context.Context, id fleet.ID) error {
	w.mu.Lock()
	w.asked[id] = append(w.asked[id], time.Now())
	err, tier := w.fails[id], w.tier[id]
	w.mu.Unlock()
	if err != nil {
		return err
	}
	var n int
	if _, err := fmt.Sscanf(string(id), "d%03d", &n); err != nil {
		return err
	}
	if tier == attest.TierNone {
		tier = attest.TierAffirming
	}
	return w.runner.Judged(ctx, attest.Result{
		Device: attest.Hash{byte(n)}, At: time.Now(), Tier: tier, Reason: "as measured",
	})
}

func (w *world) set(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
}

func (w *world) times(id fleet.ID) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked[id])
}

func (w *world) wantTold(t *testing.T, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.told, want) {
		t.Errorf("told %q, want %q", w.told, want)
	}
}

func (w *world) wantState(t *testing.T, want rounds.State) rounds.Round {
	t.Helper()
	const id = "d001"
	r, err := w.store.Round(t.Context(), id)
	if err != nil || r.State != want {
		t.Errorf("%s is %s (%s), %v; want %s", id, r.State, r.Why, err, want)
	}
	return r
}

// TestSpread: over a day, each of 200 devices is asked once an hour, none at the same
// time as all others, and nothing is told of what is good.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rounds.Options{})
		for n := range 200 {
			w.store.Want(name(n+1), time.Hour)
		}
		w.run(t)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		minutes := map[int]int{}
		for n := range 200 {
			at := w.times(name(n + 1))
			if len(at) != 24 {
				t.Errorf("%s was asked %d times in 24 hours", name(n+1), len(at))
			}
			for i := 1; i < len(at); i++ {
				if gap := at[i].Sub(at[i-1]); gap < 59*time.Minute || gap > 61*time.Minute {
					t.Errorf("%s was asked after %v", name(n+1), gap)
				}
			}
			minutes[at[0].Minute()]++
		}
		for minute, n := range minutes {
			if n > 15 { // 3.3 on average
				t.Errorf("%d of 200 are asked in minute %d", n, minute)
			}
		}
		w.wantTold(t)
	})
}

// TestTurnsBad: the alert comes once, and once more when the device is good again.
func TestTurnsBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rounds.Options{})
		w.store.Want("d001", time.Hour)
		w.run(t)
		time.Sleep(2 * time.Hour)
		w.wantState(t, rounds.Good)
		w.set(func() { w.tier["d001"] = attest.TierContraindicated })
		time.Sleep(3 * time.Hour)
		if r := w.wantState(t, rounds.Bad); r.Reason != "as measured" || r.Tier != attest.TierContraindicated {
			t.Errorf("round = %+v", r)
		}
		w.wantTold(t, "d001 bad true")
		w.set(func() { w.tier["d001"] = attest.TierAffirming })
		time.Sleep(2 * time.Hour)
		w.wantState(t, rounds.Good)
		w.wantTold(t, "d001 bad true", "d001 good false")
		var actions []string
		for _, row := range w.store.Rows() {
			actions = append(actions, row.Action)
		}
		if want := []string{"attestation.good", "attestation.bad", "attestation.good"}; !slices.Equal(actions, want) {
			t.Errorf("audited %q, want %q: what changes nothing is not", actions, want)
		}
	})
}

// TestSleeper: a device that sleeps is asked when it speaks, also by the process that
// comes after.
func TestSleeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rounds.Options{})
		w.store.Want("d001", time.Hour)
		w.away["d001"] = true
		w.run(t)
		time.Sleep(5 * time.Hour)
		if at := w.times("d001"); len(at) != 0 {
			t.Fatalf("asked while it slept: %v", at)
		}
		w.set(func() { w.away["d001"] = false })
		w.runner.Wake("d001")
		synctest.Wait()
		if at := w.times("d001"); len(at) != 1 {
			t.Errorf("asked %d times when it woke up, want once", len(at))
		}
		w.set(func() { w.away["d001"] = true })
		time.Sleep(5 * time.Hour)
		w.end()

		next := newWorld(t, rounds.Options{})
		next.store, next.away["d001"] = w.store, true
		next.runner = must(t, rounds.Options{
			Store: w.store, Ask: next.ask, Listens: func(fleet.ID) bool { return !next.isAway("d001") },
			Find: func(context.Context, fleet.Factory) (fleet.ID, error) { return "d001", nil },
		})
		next.run(t)
		synctest.Wait()
		next.set(func() { next.away["d001"] = false })
		next.runner.Wake("d001")
		synctest.Wait()
		if at := next.times("d001"); len(at) != 1 {
			t.Errorf("after a restart asked %d times when it woke up, want once", len(at))
		}
	})
}

func (w *world) isAway(id fleet.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.away[id]
}

func must(t *testing.T, o rounds.Options) *rounds.Runner {
	t.Helper()
	r, err := rounds.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMute: one that gives no evidence is asked five times, then told of, and asked
// again in the next round.
func TestMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rounds.Options{})
		w.store.Want("d001", 4*time.Hour)
		w.fails["d001"] = errors.New("4.04")
		w.run(t)
		time.Sleep(5 * time.Hour)
		if at := w.times("d001"); len(at)%5 != 0 || len(at) == 0 {
			t.Errorf("asked %d times", len(at))
		}
		if r := w.wantState(t, rounds.Mute); r.Why != "4.04" {
			t.Errorf("why = %q", r.Why)
		}
		w.wantTold(t, "d001 mute true")
		w.set(func() { delete(w.fails, "d001") })
		time.Sleep(8 * time.Hour)
		w.wantState(t, rounds.Good)
		w.wantTold(t, "d001 mute true", "d001 good false")
	})
}

// TestRules: a new rule plans, none ends it; without rules nothing is written.
func TestRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rounds.Options{})
		w.store.Want("d001", 0)
		w.run(t)
		time.Sleep(48 * time.Hour)
		w.runner.Consider("d001")
		synctest.Wait()
		if r, _ := w.store.Round(t.Context(), "d001"); r.Version != 0 {
			t.Errorf("written without a rule: %+v", r)
		}
		w.store.Want("d001", time.Hour)
		w.runner.Reconsider()
		time.Sleep(time.Hour + time.Minute)
		if n := len(w.times("d001")); n == 0 {
			t.Error("not asked by the new rule")
		}
		w.store.Want("d001", 0) // another tag
		w.runner.Consider("d001")
		synctest.Wait()
		n := len(w.times("d001"))
		time.Sleep(48 * time.Hour)
		if r, _ := w.store.Round(t.Context(), "d001"); len(w.times("d001")) != n || !r.Due.IsZero() {
			t.Errorf("asked without a rule; round = %+v", r)
		}
	})
}

// TestJudged: what a device proves by itself counts, and one that nobody knows does
// not.
func TestJudged(t *testing.T) {
	w := newWorld(t, rounds.Options{})
	w.store.Want("d001", 0)
	bad := attest.Result{Device: attest.Hash{1}, At: time.Now(), Tier: attest.TierWarning, Reason: "debug"}
	if err := w.runner.Judged(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	if r := w.wantState(t, rounds.Bad); !r.Due.IsZero() {
		t.Errorf("planned without a rule: %+v", r)
	}
	w.wantTold(t, "d001 bad true")
	if err := w.runner.Judged(t.Context(), attest.Result{}); err != nil {
		t.Errorf("verdict on a stranger: %v", err)
	}
	if _, err := rounds.New(rounds.Options{}); !errors.Is(err, rounds.ErrOptions) {
		t.Errorf("New without options: %v", err)
	}
}

// TestRate: many that are due at once are asked one after the other.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rounds.Options{Rate: 60})
		for n := range 100 {
			w.store.Want(name(n+1), time.Hour)
			w.away[name(n+1)] = true
		}
		w.run(t)
		time.Sleep(2 * time.Hour)
		w.set(func() { clear(w.away) })
		for n := range 100 {
			w.runner.Wake(name(n + 1))
		}
		begin := time.Now()
		time.Sleep(50 * time.Second)
		synctest.Wait()
		total := 0
		for n := range 100 {
			total += len(w.times(name(n + 1)))
		}
		if total < 49 || total > 52 {
			t.Errorf("%d asked in %v, want one a second", total, time.Since(begin))
		}
	})
}
