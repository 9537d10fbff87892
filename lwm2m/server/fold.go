package server

import (
	"context"
	"log/slog"
	"time"
)

const (
	// syncEvery bounds the signs of life that a power failure can lose.
	syncEvery = 2 * time.Second
	// foldEvery is how long refreshes wait for their way into the Store when there
	// are many: what comes meanwhile of the same device is written once.
	foldEvery = 30 * time.Second
	// foldFew is the number of refreshes that need not wait.
	foldFew = 256
	// foldBatch is how many refreshes share a transaction: short enough that others
	// do not wait long for the writer.
	foldBatch = 512
	// foldMargin is how long before its former end a registration is stored anew.
	foldMargin = 3 * time.Second
)

// A folding says when refreshes go to the Store.
type folding struct {
	due     time.Time // guarded by Server.mu, as the next
	refused bool      // the log took no more
	synced  time.Time // belongs to Run
}

// settle syncs the log of refreshes and folds it into the Store, if it is time.
func (s *Server) settle(ctx context.Context) {
	s.sync(ctx)
	now := time.Now()
	s.mu.Lock()
	n := len(s.dirty)
	wait := !s.fold.refused && (n == 0 || n > foldFew && now.Before(s.fold.due))
	s.mu.Unlock()
	if !wait {
		s.failed(ctx, "folding refreshes", s.foldAll(ctx))
	}
}

// sync syncs the log, if it is time.
func (s *Server) sync(ctx context.Context) {
	if now := time.Now(); now.Sub(s.fold.synced) >= syncEvery {
		s.fold.synced = now
		s.failed(ctx, "log of refreshes", s.o.Signs.Sync())
	}
}

// keepRefreshes settles refreshes until ctx ends, and then the last.
func (s *Server) keepRefreshes(ctx context.Context) {
	if s.o.Signs == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.settle(context.WithoutCancel(ctx))
		case <-ctx.Done():
			last := context.WithoutCancel(ctx)
			s.failed(last, "folding refreshes", s.foldAll(last))
			s.failed(last, "log of refreshes", s.o.Signs.Sync())
			return
		}
	}
}

// failed logs what nobody else can be told.
func (s *Server) failed(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.o.Log.LogAttrs(ctx, slog.LevelError, "background", slog.String("what", what), slog.Any("error", err))
	}
}

// foldAll brings all refreshes to the Store and then drops the files that held
// them. What was appended before the new file began is of entries that were dirty
// then: they are either in the Store or among those taken now.
func (s *Server) foldAll(ctx context.Context) error {
	drop, err := s.o.Signs.Rotate()
	if err != nil {
		return err
	}
	s.mu.Lock()
	all := s.dirty
	s.dirty, s.fold.refused = nil, false
	s.mu.Unlock()
	for first := 0; first < len(all); first += foldBatch {
		part := all[first:min(first+foldBatch, len(all))]
		if err := s.o.Store.Refresh(ctx, s.refreshes(part)); err != nil {
			s.again(all[first:])
			return err
		}
		s.sync(ctx)
	}
	return drop()
}

// refreshes returns what the Store is to know of entries, and takes them for
// clean: what comes from now on is for the next time.
func (s *Server) refreshes(part []*entry) []Refresh {
	out := make([]Refresh, 0, len(part))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range part {
		e.dirty = false
		out = append(out, e.registration().refresh())
	}
	return out
}

// again puts entries back that could not be stored.
func (s *Server) again(part []*entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range part {
		e.dirty = true
	}
	s.dirty = append(s.dirty, part...)
}
