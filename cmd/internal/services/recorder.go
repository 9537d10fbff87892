package services

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"time"

	"steward/web"
)

// Bounds of what a Recorder keeps.
const (
	recordEvery  = 250 * time.Millisecond // what waits is written
	maxRecording = 4096                   // wait; beyond it events are not kept
	maxRecords   = 500                    // of devices are kept a second: a storm is not a story
)

// A Recorder keeps events in a log, in the background and bounded, and says when there
// is something new.
type Recorder struct {
	log   web.EventLog
	out   *slog.Logger
	queue chan web.Logged
	lost  atomic.Int64
	fresh chan struct{}
	// values is whether values of devices are kept too.
	values atomic.Bool
}

// NewRecorder returns a Recorder that keeps events in log once it runs.
func NewRecorder(log web.EventLog, out *slog.Logger) *Recorder {
	return &Recorder{log: log, out: out, queue: make(chan web.Logged, maxRecording), fresh: make(chan struct{}, 1)}
}

// Fresh gets something after events were kept.
func (r *Recorder) Fresh() <-chan struct{} { return r.fresh }

// KeepValues says whether values that devices report are kept: somebody wants them.
func (r *Recorder) KeepValues(yes bool) { r.values.Store(yes) }

// add keeps an event later. It never blocks.
func (r *Recorder) add(e web.Logged) {
	if e.Type == web.EventValue && !r.values.Load() {
		return
	}
	select {
	case r.queue <- e:
	default:
		r.lost.Add(1)
	}
}

// Run keeps events until ctx ends, and then those that wait.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.write(ctx)
		case <-ctx.Done():
			r.write(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// write keeps what waits. In place of what could not be kept stands a gap.
func (r *Recorder) write(ctx context.Context) {
	batch := make([]web.Logged, 0, len(r.queue))
	for range len(r.queue) {
		batch = append(batch, <-r.queue)
	}
	if len(batch) == 0 {
		return
	}
	if n := r.lost.Swap(0); n > 0 {
		last := &batch[len(batch)-1]
		data, _ := json.Marshal(web.GapEvent{After: batch[0].ID, Before: last.ID}) // numbers can be written
		*last = web.Logged{Event: web.Event{Type: web.EventGap, Data: data}, ID: last.ID, At: last.At}
		r.out.LogAttrs(ctx, slog.LevelWarn, "events not kept", slog.Int64("events", n+1))
	}
	if err := r.log.Append(ctx, batch); err != nil {
		r.out.LogAttrs(ctx, slog.LevelError, "events not kept", slog.Int("events", len(batch)), slog.Any("error", err))
		return
	}
	select {
	case r.fresh <- struct{}{}:
	default: // it is known
	}
}
