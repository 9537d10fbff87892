package transport

import "time"

const (
	// wheelBuckets divide the shorter of the timeouts: an association ends so much
	// of it late at most.
	wheelBuckets = 256
	minTick      = instant(1)
)

// A wheel holds each association in the bucket of a time when it may be over,
// so that looking for idle ones takes no look at the others. A row stays in its
// bucket when it speaks, and when it is given to another association, which is
// never over earlier: it is judged, and put into a later bucket, when its time
// has come. The table's lock guards it.
type wheel struct {
	tick           instant                  // length of a bucket
	idle, absolute instant                  // limits of an association
	buckets        [wheelBuckets + 2]uint32 // lists of rows, slot+1
	next           instant                  // first bucket that was not judged, in ticks
}

func newWheel(idle, absolute time.Duration) wheel {
	w := wheel{idle: instantOf(idle), absolute: instantOf(absolute)}
	w.tick = max(minTick, (min(w.idle, w.absolute)+wheelBuckets-1)/wheelBuckets)
	return w
}

// due is when an association is over if it does not speak.
func (w *wheel) due(r *row) instant {
	return min(later(r.seen, w.idle), later(r.born, w.absolute))
}

func later(t, by instant) instant {
	if t > 0 && by > 1<<31-1-t {
		return 1<<31 - 1
	}
	return t + by
}

// schedule puts a row into the bucket of its time. The caller holds the table's
// lock and the row's.
func (t *table) schedule(slot uint32, r *row) {
	if r.scheduled {
		return
	}
	w := &t.wheel
	tick := min(max(w.due(r)/w.tick+1, w.next), w.next+wheelBuckets+1)
	b := &w.buckets[int(tick)%len(w.buckets)]
	r.scheduled, r.nextDue = true, *b
	*b = slot + 1
}

// over calls end for each association whose time has come by now.
func (t *table) over(now instant, end func(ref)) {
	for {
		t.mu.Lock()
		if t.wheel.next > now/t.wheel.tick {
			t.mu.Unlock()
			return
		}
		b := &t.wheel.buckets[int(t.wheel.next)%len(t.wheel.buckets)]
		list := *b
		*b = 0
		t.wheel.next++
		t.mu.Unlock()
		for list != 0 {
			var f ref
			var dead bool
			if list, f, dead = t.judgeDue(list, now); dead {
				end(f)
			}
		}
	}
}

// judgeDue takes the first row of a list out of it, and says whether its
// association is over; if not, it gets another bucket.
func (t *table) judgeDue(list uint32, now instant) (rest uint32, f ref, dead bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot := list - 1
	r := t.row(slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	rest, r.nextDue, r.scheduled = r.nextDue, 0, false
	if r.state != live {
		return rest, ref{}, false
	}
	if t.wheel.due(r) < now {
		return rest, ref{slot, r.generation}, true
	}
	t.schedule(slot, r)
	return rest, ref{}, false
}
