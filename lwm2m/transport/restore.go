package transport

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"time"

	"steward/lwm2m/journal"
)

// restore brings back the associations of an earlier run of the program, and
// begins the journal of this one. What was read is consumed before any of it is
// used.
func (l *Listener) restore(now time.Time) error {
	o := &l.options.Keep
	if o.Dir == "" {
		return nil
	}
	left, found := l.left(now)
	k := &l.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	j, err := journal.Create(o.Dir, left)
	if err != nil {
		return err
	}
	k.journal, k.seed, k.names = j, maphash.MakeSeed(), make(map[uint64]*association, len(found))
	for _, a := range found {
		if err := l.revive(a); err != nil {
			return err
		}
	}
	if err := j.Rewrite(snapshot(l.table.all(), (*association).state)); err != nil {
		return err
	}
	l.stats.restored.Store(uint64(l.table.size())) //nolint:gosec // G115: a size
	return nil
}

// left returns the associations that were left and not idle for too long, the
// oldest first.
func (l *Listener) left(now time.Time) (*journal.Left, []*association) {
	left, err := journal.Read(l.options.Keep.Dir)
	all := entries{}
	for _, f := range left.Frames {
		if err == nil {
			err = all.read(f)
		}
	}
	if err != nil {
		l.options.Log.Warn("no associations restored", slog.Any("reason", err))
		return left, nil
	}
	found := make([]*association, 0, len(all))
	for _, a := range all {
		if !left.Clean && !a.resume(left, now) {
			continue
		}
		if a.listener = l; !a.sweep(now, l.options.IdleTimeout) {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b *association) int { return cmp.Compare(a.born, b.born) })
	return left, found
}

// resume brings an association up to the last moments of a process that was
// killed, and reports whether it could.
func (a *association) resume(left *journal.Left, now time.Time) bool {
	numbers, ok := left.Cell(a.place)
	if !ok || numbers[cellID] != a.id {
		return false
	}
	a.session.Resume(numbers[cellLimit], numbers[cellExpected])
	a.seen.Store(now.UnixNano()) // the journal tells only of its beginning
	return true
}

// revive makes a part of this run. The caller holds keeper.mu.
func (l *Listener) revive(a *association) error {
	k := &l.keeper
	if err := k.assign(a); err != nil {
		return err
	}
	replaced, ok := l.table.add(a, a.addr)
	if replaced != nil { // the end of it was not written
		l.table.remove(replaced, replaced.addr)
		k.forget(replaced)
	}
	if !ok {
		k.forget(a)
		return nil
	}
	a.restored.Store(true)
	a.unjudged.Store(true)
	k.names[maphash.String(k.seed, a.identity.Name)] = a
	return nil
}

// forget gives the place of an association back that was never used. The caller
// holds mu.
func (k *keeper) forget(a *association) {
	k.free = append(k.free, a.place)
	a.keeping, a.ended = keeping{}, true
	if h := maphash.String(k.seed, a.identity.Name); k.names[h] == a {
		delete(k.names, h)
	}
}

// judge asks whether the peer of a restored association may still have it, until
// the answer is yes, and ends it otherwise. It reports whether the association
// may be used. The caller does not hold mu.
func (a *association) judge() bool {
	if !a.unjudged.Load() {
		return true
	}
	if err := a.listener.options.Keep.Rejudge(a.identity); err != nil {
		a.listener.options.Log.Info("restored association ended",
			slog.String("peer", a.String()), slog.String("reason", err.Error()))
		a.end(true)
		return false
	}
	a.unjudged.Store(false)
	return true
}

// judgeAll judges what nobody has used yet.
func (l *Listener) judgeAll(ctx context.Context) {
	for _, a := range l.table.all() {
		if ctx.Err() != nil {
			return
		}
		a.judge()
	}
}
