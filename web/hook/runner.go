package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
)

// How a Runner works.
const (
	workers   = 8   // hooks that are told at a time
	batch     = 100 // events read at once for one hook
	idle      = 30 * time.Second
	turnLimit = 10 * time.Second // of one hook's turn: the others wait no longer for it
	quick     = time.Second      // until a hook is looked at again that had more to be told
	hopeless  = 3                // attempts of what the other side refuses (4xx)
	conflicts = 3                // times that a change is tried again
)

// pauses are those after each failed attempt; after the last the event becomes a
// letter. Together they are about eight hours.
var pauses = []time.Duration{ //nolint:gochecknoglobals // a constant
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, hour, 2 * hour, 4 * hour,
}

// ErrOptions reports Options that lack something.
var ErrOptions = errors.New("hook: incomplete options")

// Options says what a Runner needs.
type Options struct {
	Store  Store           // required
	Events web.EventLog    // required
	Fresh  <-chan struct{} // gets something after events were kept; nil: looked at now and then
	Client *http.Client    // nil: that of a Guard without exceptions
	Source string          // of events
	Values func(bool)      // is told whether somebody wants values of devices; nil: nobody asks
	Log    *slog.Logger    // required
}

// A Runner tells hooks what happens.
type Runner struct {
	o       Options
	changed chan struct{} // somebody changed a hook
}

// NewRunner checks the options. It returns ErrOptions when something is missing.
func NewRunner(o Options) (*Runner, error) {
	if o.Store == nil || o.Events == nil || o.Log == nil {
		return nil, ErrOptions
	}
	if o.Client == nil {
		o.Client = Guard{}.Client()
	}
	if o.Values == nil {
		o.Values = func(bool) {}
	}
	return &Runner{o: o, changed: make(chan struct{}, 1)}, nil
}

// Wake has the Runner look at all hooks now.
func (r *Runner) Wake() {
	select {
	case r.changed <- struct{}{}:
	default: // it will
	}
}

// Run tells hooks what happens until ctx ends.
func (r *Runner) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-r.o.Fresh:
		case <-r.changed:
		}
		timer.Reset(r.round(ctx))
	}
}

// round gives each due hook its turn and returns how long to wait for the next.
func (r *Runner) round(ctx context.Context) time.Duration {
	hooks, err := r.o.Store.Hooks(ctx)
	if err != nil {
		r.fault(ctx, "reading webhooks", err)
		return idle
	}
	values := false
	var mu sync.Mutex // guards wait
	wait := idle
	slots := make(chan struct{}, workers)
	var all sync.WaitGroup
	for _, h := range hooks {
		open := h.State == Active || h.State == Failing
		values = values || open && h.WantsValues()
		if !open {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			next := r.turn(ctx, h)
			mu.Lock()
			wait = min(wait, next)
			mu.Unlock()
		})
	}
	r.o.Values(values)
	all.Wait()
	return wait
}

// turn tells one hook what it has not heard, and returns how long to wait for more.
func (r *Runner) turn(ctx context.Context, h Hook) time.Duration {
	if wait := time.Until(h.NextAt); h.State == Failing && wait > 0 {
		return wait
	}
	if err := r.letters(ctx, h); err != nil {
		r.fault(ctx, "sending letters", err)
		return idle
	}
	events, err := r.o.Events.After(ctx, h.Cursor, batch)
	if err != nil {
		r.fault(ctx, "reading events", err)
		return idle
	}
	told, begun := h.Cursor, time.Now() // as it is stored
	for _, e := range events {
		if time.Since(begun) >= turnLimit {
			return 0
		}
		if !h.Wants(e.Type, e.Subject) && e.Type != web.EventGap {
			h.Cursor = e.ID
			continue
		}
		var wait time.Duration
		if h, wait = r.tell(ctx, h, e); wait > 0 {
			return wait
		}
		told = h.Cursor
	}
	if h.Cursor != told {
		r.advance(ctx, h)
	}
	if len(events) < batch {
		return idle
	}
	return 0
}

// tell makes one attempt to tell h of e, and returns h as it is then, and how long to
// wait if its turn is over.
func (r *Runner) tell(ctx context.Context, h Hook, e web.Logged) (Hook, time.Duration) {
	o := r.attempt(ctx, h, e)
	if ctx.Err() != nil {
		return h, idle
	}
	h, err := r.settle(ctx, h, e, o)
	if err != nil {
		r.fault(ctx, "noting what came of a webhook", err)
		return h, quick
	}
	if h.State != Active {
		return h, max(quick, time.Until(h.NextAt))
	}
	return h, 0
}

// advance stores that h has nothing to hear of events up to its cursor.
func (r *Runner) advance(ctx context.Context, h Hook) {
	if err := r.o.Store.Put(ctx, h, audit.Row{}); err != nil && !errors.Is(err, ErrConflict) {
		r.fault(ctx, "noting how far a webhook is", err)
	}
}

// attempt makes one.
func (r *Runner) attempt(ctx context.Context, h Hook, e web.Logged) outcome {
	q, err := request(ctx, h, e, r.o.Source, time.Now())
	if err != nil {
		return outcome{words: short(err.Error()), final: true}
	}
	return send(r.o.Client, q)
}

// settle stores what came of an attempt for the next event of h.
func (r *Runner) settle(ctx context.Context, h Hook, e web.Logged, o outcome) (Hook, error) {
	for range conflicts {
		after, row, letters, err := h.after(e, o, time.Now())
		if err != nil {
			return h, err
		}
		err = r.o.Store.Put(ctx, after, row, letters...)
		if err == nil {
			after.Version++
			return after, nil
		}
		if !errors.Is(err, ErrConflict) {
			return h, err
		}
		// Somebody changed it meanwhile: what came of the attempt holds for what it is now.
		if h, err = find(ctx, r.o.Store, h.ID); err != nil {
			return h, err
		}
		if h.State != Active && h.State != Failing {
			return h, nil
		}
	}
	return h, ErrConflict
}

// after returns h as an attempt to tell e leaves it.
func (h Hook) after(e web.Logged, o outcome, now time.Time) (Hook, audit.Row, []Letter, error) {
	h.LastAt, h.Status, h.Words = now, o.status, o.words
	if o.words == "" {
		row, err := Table.Step(h.State, Delivered)
		h.State, h.Cursor, h.Attempt, h.NextAt, h.FailingSince = row.To, e.ID, 0, time.Time{}, time.Time{}
		return h, audit.Row{}, nil, err
	}
	if h.FailingSince.IsZero() {
		h.FailingSince = now
	}
	h.Attempt++
	var letters []Letter
	refused := o.status/100 == 4 && o.status != http.StatusTooManyRequests && o.status != http.StatusRequestTimeout
	if o.final || h.Attempt > len(pauses) || refused && h.Attempt >= hopeless {
		letters = append(letters, Letter{
			Hook: h.ID, Event: e.ID, At: e.At, Type: e.Type, Subject: e.Subject, Data: e.Data, State: Dead, Words: o.words,
			Tries: h.Attempt,
		})
		h.Cursor, h.Attempt = e.ID, 0
	}
	on := Failed
	if o.gone || now.Sub(h.FailingSince) >= deafAfter {
		on = GivenUp
	}
	step, err := Table.Step(h.State, on)
	h.State = step.To
	h.NextAt = now.Add(max(o.pause, jitter(pauses[min(max(h.Attempt-1, 0), len(pauses)-1)])))
	var row audit.Row
	if len(step.Do) > 0 { // Alert
		row = audit.Row{
			Actor: "system", Action: "webhook.disable", Subject: h.ID, Reason: h.Words, Before: string(Failing),
			After: string(Disabled), At: now,
		}
	}
	return h, row, letters, err
}

// jitter returns a pause up to a fifth shorter or longer, so that many do not come back
// at once.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5) //nolint:gosec // G404: no secret
}

// letters sends those of h that somebody wants to be sent anew, each once.
func (r *Runner) letters(ctx context.Context, h Hook) error {
	letters, err := r.o.Store.Letters(ctx, h.ID, Requested, 0, batch)
	if err != nil {
		return err
	}
	begun := time.Now()
	for _, l := range letters {
		if time.Since(begun) >= turnLimit {
			return nil
		}
		o := r.attempt(ctx, h, web.Logged{
			ID: l.Event, At: l.At, Event: web.Event{Type: l.Type, Subject: l.Subject, Data: l.Data},
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // nobody waits any more
		}
		on := Arrived
		if o.words != "" {
			on = Returned
		}
		step, err := LetterTable.Step(l.State, on)
		if err != nil {
			return err
		}
		l.State, l.Words, l.Tries = step.To, o.words, l.Tries+1
		if err := r.o.Store.PutLetter(ctx, l, audit.Row{}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) fault(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		r.o.Log.LogAttrs(ctx, slog.LevelError, "background", slog.String("what", what), slog.Any("error", err))
	}
}

// find returns the hook with an id.
func find(ctx context.Context, s Store, id string) (Hook, error) {
	all, err := s.Hooks(ctx)
	if err != nil {
		return Hook{}, err
	}
	for _, h := range all {
		if h.ID == id {
			return h, nil
		}
	}
	return Hook{}, fmt.Errorf("%w: webhook %s", ErrNotFound, strings.ToValidUTF8(id, ""))
}
