package transport

import (
	"context"
	"log/slog"
	"time"

	"steward/lwm2m/dtls"
	"steward/lwm2m/journal"
)

// restore brings back the associations of an earlier run of the program, and
// begins the journal of this one. What was read is consumed before any of it is
// used.
func (l *Listener) restore() error {
	o := &l.options.Keep
	if o.Dir == "" {
		return nil
	}
	left, err := journal.Read(o.Dir)
	for _, f := range left.Frames {
		if err == nil {
			err = readEntries(f, l.table.load, l.table.redirect)
		}
	}
	if err != nil {
		l.options.Log.Warn("no associations restored", slog.Any("reason", err))
	}
	usable := err == nil
	j, err := journal.Create(o.Dir, left)
	if err != nil {
		return err
	}
	k := &l.keeper
	k.mu.Lock()
	k.journal = j
	err = l.revive(left, usable)
	k.mu.Unlock()
	if err != nil {
		return err
	}
	if err := j.Rewrite(l.snapshot(&k.mu, l.appendState)); err != nil {
		return err
	}
	l.stats.restored.Store(uint64(l.table.size())) //nolint:gosec // G115: a size
	return nil
}

// load takes in an association that was kept, in the slot that it had. Nobody
// uses the table yet.
func (t *table) load(e *entry) {
	r := t.row(e.slot)
	if r == nil {
		r = t.grow(e.slot)
	}
	if r.state == live { // what follows says more
		t.names.drop(r.name)
	}
	r.session, r.addr, r.name, r.generation = e.session, e.addr, t.names.put(e.identity), e.generation
	r.seen, r.born = t.instantAt(e.seen), t.instantAt(e.born)
	r.state, r.marks = live, restored|unjudged
	if _, has := r.session.CID(); has {
		r.marks |= hasCID
	}
	t.high = max(t.high, e.slot+1)
}

// redirect takes in a change of address.
func (t *table) redirect(f ref, to address) {
	if r := t.row(f.slot); r != nil && r.alive(f.generation) {
		r.addr = to
	}
}

// revive makes what was loaded a part of this run, as far as it is usable and
// not over. The caller holds keeper.mu.
func (l *Listener) revive(left *journal.Left, usable bool) error {
	t := &l.table
	now := l.now()
	for slot := range t.high {
		r := t.row(slot)
		if r == nil {
			continue
		}
		f := ref{slot, r.generation}
		if r.state == live && (!usable || !l.resumes(left, f, r, now)) {
			t.names.drop(r.name)
			r.state, r.marks, r.name, r.session = free, 0, name{}, dtls.Session{}
		}
		if r.state != live {
			t.giveFree(slot)
			continue
		}
		if err := l.keeper.assign(f, r); err != nil {
			return err
		}
		t.live++
		t.enter(slot, r)
	}
	return nil
}

// enter makes a restored association known to whoever looks for it.
func (t *table) enter(slot uint32, r *row) {
	t.schedule(slot, r)
	t.restored.insert(slot, t.nameHash)
	other, taken := t.atAddr(r.addr)
	if taken && !r.is(hasCID) { // it cannot be found in any other way
		t.byAddr.remove(other, t.addrHash)
	}
	if !taken || !r.is(hasCID) {
		t.byAddr.insert(slot, t.addrHash)
	}
}

// resumes brings an association up to the last moments of a process that was
// killed, and reports whether it goes on.
func (l *Listener) resumes(left *journal.Left, f ref, r *row, now instant) bool {
	if l.table.live >= l.table.limit {
		return false
	}
	if !left.Clean {
		numbers, ok := left.Cell(f.slot)
		limit, expected, mine := cellLeft(numbers, f)
		if !ok || !mine {
			return false
		}
		r.session.Resume(limit, expected)
		r.seen = now // the journal tells only of its beginning
	}
	return l.table.wheel.due(r) >= now
}

// judge asks whether the peer of a restored association may still have it, until
// the answer is yes, and ends it otherwise. It reports whether the association
// may be used. The caller holds no lock.
func (l *Listener) judge(f ref) bool {
	r := l.table.row(f.slot)
	r.mu.Lock()
	lives, judged := r.alive(f.generation), !r.is(unjudged)
	r.mu.Unlock()
	if !lives || judged {
		return lives
	}
	id, addr, ok := l.about(f)
	if !ok {
		return false
	}
	if err := l.options.Keep.Rejudge(id); err != nil {
		l.options.Log.Info("restored association ended",
			slog.String("peer", addr.addrPort().String()), slog.String("endpoint", id.Name), slog.String("reason", err.Error()))
		l.end(f, true)
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.alive(f.generation) {
		return false
	}
	r.marks &^= unjudged
	return true
}

// judgeAll judges what nobody has used yet.
func (l *Listener) judgeAll(ctx context.Context) {
	for f := range l.table.all() {
		if ctx.Err() != nil {
			return
		}
		l.judge(f)
	}
}

// now is the present time as the rows have it.
func (l *Listener) now() instant { return instantOf(time.Since(l.table.began)) }

// instantAt is a time of an earlier run of the program as the rows have it.
func (t *table) instantAt(at time.Time) instant {
	d := at.Sub(t.began) / instantUnit
	return instant(min(max(d, -1<<31), 0))
}

// timeOf is the reverse.
func (l *Listener) timeOf(i instant) time.Time {
	return l.table.began.Add(time.Duration(i) * instantUnit)
}
