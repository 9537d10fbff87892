package transport

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"steward/lwm2m/coap"
)

// Drop ends the associations whose identity matches, with close_notify, and
// returns their number. A handshake under way meanwhile is judged once more
// before it becomes an association.
func (l *Listener) Drop(match func(coap.Identity) bool) int {
	l.table.drops.Add(1)
	return l.dropWhere(match)
}

func (l *Listener) dropWhere(match func(coap.Identity) bool) int {
	n := 0
	for f := range l.table.all() {
		if id, _, ok := l.about(f); ok && match(id) && l.end(f, true) {
			n++
		}
	}
	return n
}

// Peers yields the established associations; a plain listener knows none.
func (l *Listener) Peers() iter.Seq[coap.Peer] {
	return func(yield func(coap.Peer) bool) {
		for f := range l.table.all() {
			if p := l.livePeer(f); p != nil && !yield(p) {
				return
			}
		}
	}
}

// sweepUntil ends associations whose time is over, forgets stale flights, and
// keeps journal and names tidy.
func (l *Listener) sweepUntil(ctx context.Context) {
	t := time.NewTicker(min(time.Duration(l.table.wheel.tick)*instantUnit, 30*time.Second))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			l.sweep(ctx)
		}
	}
}

func (l *Listener) sweep(ctx context.Context) {
	now := l.now()
	l.table.over(now, func(f ref) {
		if l.end(f, true) {
			l.stats.expired.Add(1)
		}
	})
	l.flights.forget(now)
	l.bindings.forget(now)
	if l.table.names.sparse() {
		l.table.repack()
	}
	if err := l.compact(); err != nil {
		l.options.Log.LogAttrs(ctx, slog.LevelError, "keeping associations", slog.Any("error", err))
	}
}
