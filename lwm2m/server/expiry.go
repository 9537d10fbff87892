package server

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// An expiry orders entries by when they are to be looked at. Refreshes do not
// touch it: an entry that turns out not to be due goes back to where it belongs.
// Registrations that never end are not in it.
type expiry []*entry

// Len implements heap.Interface.
func (x expiry) Len() int { return len(x) }

// Less implements heap.Interface.
func (x expiry) Less(i, j int) bool { return x[i].look < x[j].look }

// Swap implements heap.Interface.
func (x expiry) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].place, x[j].place = int32(i+1), int32(j+1) //nolint:gosec // G115: fewer than 2^31 devices
}

// Push implements heap.Interface.
func (x *expiry) Push(v any) {
	e, _ := v.(*entry)
	*x = append(*x, e)
	e.place = int32(len(*x)) //nolint:gosec // G115: fewer than 2^31 devices
}

// Pop implements heap.Interface.
func (x *expiry) Pop() any {
	last := len(*x) - 1
	e := (*x)[last]
	(*x)[last] = nil
	*x = (*x)[:last]
	e.place = 0
	return e
}

// schedule makes sure that e is looked at when it expires.
func (x *expiry) schedule(e *entry) {
	switch {
	case e.expires == 0:
		x.remove(e)
	case e.place == 0:
		e.look = e.expires
		heap.Push(x, e)
	case e.expires < e.look:
		e.look = e.expires
		heap.Fix(x, int(e.place)-1)
	}
}

func (x *expiry) remove(e *entry) {
	if e.place != 0 {
		heap.Remove(x, int(e.place)-1)
	}
}

// due takes up to limit entries out that have expired before now.
func (x *expiry) due(now int64, limit int) (out []*entry) {
	for len(*x) > 0 && (*x)[0].look < now && len(out) < limit {
		e := (*x)[0]
		if e.expires < now {
			heap.Pop(x)
			out = append(out, e)
			continue
		}
		e.look = e.expires
		heap.Fix(x, 0)
	}
	return out
}

// sweepBatch is how many registrations end at once: they share a commit.
const sweepBatch = 64

// sweep removes registrations whose lifetime is over (§6.2.2).
func (s *Server) sweep(ctx context.Context) {
	for ctx.Err() == nil {
		now := time.Now()
		s.mu.Lock()
		gone := s.expiry.due(now.UnixMicro(), sweepBatch)
		s.mu.Unlock()
		var group sync.WaitGroup
		for _, e := range gone {
			group.Go(func() { s.expire(ctx, e, now) })
		}
		group.Wait()
		if len(gone) < sweepBatch {
			return
		}
	}
}

// expire removes the registration of an entry that was due at now, unless the
// device was heard of meanwhile. One that cannot be removed is looked at again.
func (s *Server) expire(ctx context.Context, e *entry, now time.Time) {
	release, err := s.turn(ctx, e.device)
	if err != nil {
		return // the end of the program
	}
	defer release()
	s.mu.Lock()
	current := s.devices[e.device] == e
	over := current && e.expires != 0 && e.expires < now.UnixMicro()
	if current && !over {
		s.expiry.schedule(e)
	}
	r := e.registration()
	s.mu.Unlock()
	if !over {
		return
	}
	const reason = "lifetime over"
	err = s.remove(ctx, r, "system", reason)
	if err != nil && !errors.Is(err, ErrNotRegistered) {
		if ctx.Err() == nil {
			s.o.Log.LogAttrs(ctx, slog.LevelError, "expiry", slog.Any("error", err))
		}
		s.mu.Lock()
		if s.devices[e.device] == e && e.place == 0 {
			e.look = now.Add(s.o.Sweep).UnixMicro()
			heap.Push(&s.expiry, e)
		}
		s.mu.Unlock()
		return
	}
	s.ended(ctx, r, Expired, reason)
}
