package rounds

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"steward/lwm2m/fleet"
)

// Run asks devices until ctx ends and returns after its last goroutine.
func (r *Runner) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	slots := make(chan struct{}, r.o.Workers)
	timer := time.NewTimer(0)
	defer timer.Stop()
	if err := r.remember(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	for {
		next, err := r.look(ctx, &workers, slots)
		if err != nil && ctx.Err() == nil {
			r.o.Log.LogAttrs(ctx, slog.LevelError, "rounds of attestation", slog.Any("error", err))
			next = time.Now().Add(broken)
		}
		timer.Reset(max(time.Until(next), 0))
		select {
		case <-timer.C:
		case <-r.nudged:
		case <-ctx.Done():
			return nil
		}
	}
}

// remember reads who is waited for since an earlier process.
func (r *Runner) remember(ctx context.Context) error {
	return pages(func(after fleet.ID) ([]fleet.ID, error) { return r.o.Store.Waiting(ctx, after, page) },
		func(id fleet.ID) error {
			r.mu.Lock()
			r.waiting[id] = struct{}{}
			r.mu.Unlock()
			r.Wake(id) // it may listen already
			return nil
		})
}

// pages calls do with what read returns, page by page.
func pages(read func(after fleet.ID) ([]fleet.ID, error), do func(fleet.ID) error) error {
	var after fleet.ID
	for {
		ids, err := read(after)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := do(id); err != nil && !errors.Is(err, ErrUnknown) {
				return err
			}
			after = id
		}
		if len(ids) < page {
			return nil
		}
	}
}

// look looks at what is new, hands those whose time has come to workers, and returns
// when to look again.
func (r *Runner) look(ctx context.Context, workers *sync.WaitGroup, slots chan struct{}) (time.Time, error) {
	if err := r.reconsider(ctx); err != nil {
		return time.Time{}, err
	}
	next := time.Now().Add(idle)
	due, err := r.o.Store.Due(ctx, r.o.Workers+1)
	if err != nil {
		return next, err
	}
	for _, round := range due {
		now := time.Now()
		if round.Due.After(now) {
			return earlier(next, round.Due), nil
		}
		at, ok := r.take(round.Device, now)
		if !ok {
			if at.IsZero() { // in hand already
				continue
			}
			return earlier(next, at), nil
		}
		if !r.hand(ctx, workers, slots, round.Device) { // whoever ends nudges
			return next, nil
		}
	}
	if len(due) > r.o.Workers { // more may be due
		next = time.Now()
	}
	return next, nil
}

// hand hands a device that is taken to a worker, or puts it back if none is free.
func (r *Runner) hand(ctx context.Context, workers *sync.WaitGroup, slots chan struct{}, device fleet.ID) bool {
	select {
	case slots <- struct{}{}:
	default:
		r.put(device)
		return false
	}
	workers.Go(func() {
		defer func() { <-slots; r.put(device); r.nudge() }()
		if err := r.ask(ctx, device); err != nil && ctx.Err() == nil {
			r.o.Log.LogAttrs(ctx, slog.LevelError, "attestation", slog.String("device", string(device)), slog.Any("error", err))
		}
	})
	return true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// take takes a device in hand, unless it is (the zero time) or nobody may be asked
// before a time.
func (r *Runner) take(device fleet.ID, now time.Time) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, busy := r.busy[device]; busy {
		return time.Time{}, false
	}
	if now.Before(r.free) {
		return r.free, false
	}
	r.free = now.Add(time.Minute / time.Duration(r.o.Rate))
	r.busy[device] = struct{}{}
	return time.Time{}, true
}

func (r *Runner) put(device fleet.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, device)
}

// reconsider plans the rounds of devices that rules, tags or keys changed for, and
// has those asked that are waited for and listen.
func (r *Runner) reconsider(ctx context.Context) error {
	r.mu.Lock()
	all, news := r.all, r.news
	r.all, r.news = false, map[fleet.ID]struct{}{}
	r.mu.Unlock()
	err := r.reconsiderThose(ctx, all, news)
	if err != nil { // once more, all of them
		r.mu.Lock()
		r.all = true
		r.mu.Unlock()
	}
	return err
}

func (r *Runner) reconsiderThose(ctx context.Context, all bool, news map[fleet.ID]struct{}) error {
	for id := range news {
		if err := r.consider(ctx, id); err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
	}
	if !all {
		return nil
	}
	ruled, err := r.o.Store.Ruled(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.ruled = ruled
	r.mu.Unlock()
	return pages(func(after fleet.ID) ([]fleet.ID, error) { return r.o.Store.Provable(ctx, after, page) },
		func(id fleet.ID) error { return r.consider(ctx, id) })
}

// consider plans the round of a device anew if its interval is another.
func (r *Runner) consider(ctx context.Context, device fleet.ID) error {
	listens := r.o.Listens(device)
	return r.change(ctx, device, func(round *Round, now time.Time) (move, error) {
		switch {
		case round.Wanted != round.Interval:
			round.plan(now, 0)
		case round.Waiting && listens:
			round.Waiting, round.Due = false, now.UTC().Truncate(time.Microsecond)
		}
		return move{}, nil
	})
}

// ask asks a device whose time has come.
func (r *Runner) ask(ctx context.Context, device fleet.ID) error {
	asked := false
	err := r.change(ctx, device, func(round *Round, now time.Time) (move, error) {
		asked = false
		switch {
		case round.Wanted == 0:
			round.plan(now, 0)
		case !r.o.Listens(device):
			round.Waiting, round.Due = true, time.Time{}
		default:
			asked = true
		}
		return move{}, nil
	})
	if err != nil || !asked {
		r.again(device)
		return err
	}
	limited, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err = r.o.Ask(limited, device)
	if ctx.Err() != nil {
		return nil // the process ends; the round is due still
	}
	if err == nil {
		return r.change(ctx, device, answered)
	}
	err = r.change(ctx, device, func(round *Round, now time.Time) (move, error) { return r.failed(round, err, now) })
	r.again(device)
	return err
}

// answered has no device asked twice for one round, whatever became of its verdict.
func answered(round *Round, now time.Time) (move, error) {
	if !round.Due.IsZero() && !round.Due.After(now) {
		round.plan(now, round.Wanted/2) //nolint:mnd // as after a verdict
	}
	return move{}, nil
}

// again wakes a device that spoke while it was put among those that are waited for.
func (r *Runner) again(device fleet.ID) {
	if r.o.Listens(device) {
		r.Wake(device)
	}
}

// failed notes that the device gave no evidence.
func (r *Runner) failed(round *Round, why error, now time.Time) (move, error) {
	round.Why = why.Error()
	if errors.Is(why, ErrSilent) && !r.o.Listens(round.Device) {
		round.Waiting, round.Due = true, time.Time{}
		return move{}, nil
	}
	round.Tries++
	if round.Tries < r.o.Tries {
		pause := min(r.o.Retry<<min(round.Tries-1, maxDoublings), longest)
		round.Due = now.Add(pause).UTC().Truncate(time.Microsecond)
		return move{}, nil
	}
	round.Tries = 0
	round.plan(now, round.Wanted/2) //nolint:mnd // as after a verdict
	return round.step(GiveUp, round.Why, now)
}
