package coap

import "time"

// moment is a time in nanoseconds since the engine was made.
type moment int64

// now reads the clock.
func (e *Engine) now() moment { return moment(time.Since(e.born)) }

// A sleeper is what a timer belongs to.
type sleeper interface {
	// wake is called with the lock held when its time has come.
	wake(e *Engine, b *batch)
}

// A timer is one deadline on the engine's heap.
type timer struct {
	owner sleeper
	index int32 // position on the heap plus one; 0: not on it
}

// timers is a heap of deadlines, earliest first: one for everything that waits.
// What waits for nothing is not on it.
type timers []deadline

type deadline struct {
	at moment
	t  *timer
}

func (h timers) set(i int, d deadline) {
	h[i] = d
	d.t.index = int32(i) + 1 //nolint:gosec // G115: far fewer
}

// up moves d towards the root, from position i.
func (h timers) up(i int, d deadline) int {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].at <= d.at {
			break
		}
		h.set(i, h[parent])
		i = parent
	}
	h.set(i, d)
	return i
}

// down moves d away from the root, from position i.
func (h timers) down(i int, d deadline) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].at < h[child].at {
			child++
		}
		if d.at <= h[child].at {
			break
		}
		h.set(i, h[child])
		i = child
	}
	h.set(i, d)
}

// start sets t to wake its owner after d, whether it runs already or not.
func (e *Engine) start(t *timer, owner sleeper, after time.Duration) {
	t.owner = owner
	d := deadline{e.now() + moment(after), t}
	i := int(t.index) - 1
	if i < 0 {
		e.timers = append(e.timers, d)
		i = len(e.timers) - 1
	}
	if e.timers.up(i, d) == i {
		e.timers.down(i, d)
	}
	if d.at < e.due { // Run sleeps too long
		e.due = d.at
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

// stop takes t off the heap.
func (e *Engine) stop(t *timer) {
	if t.index == 0 {
		return
	}
	h, i := e.timers, int(t.index)-1
	last := h[len(h)-1]
	h[len(h)-1] = deadline{}
	e.timers = h[:len(h)-1]
	t.index = 0
	if last.t == t {
		return
	}
	if e.timers.up(i, last) == i {
		e.timers.down(i, last)
	}
}

// left returns how long t still runs, 0 if it does not.
func (e *Engine) left(t *timer) time.Duration {
	if t.index == 0 {
		return 0
	}
	return time.Duration(e.timers[t.index-1].at - e.now())
}

// idleSleep is how long Run sleeps when no timer runs; a start wakes it.
const idleSleep = time.Hour

// expire wakes all that is due and returns the time to the next.
func (e *Engine) expire() time.Duration {
	// wakeAtOnce bounds the work under one hold of the lock.
	const wakeAtOnce = 64
	b := &batch{}
	e.mu.Lock()
	now := e.now()
	next := moment(idleSleep)
	for n := 0; len(e.timers) > 0; n++ {
		first := e.timers[0]
		if next = first.at - now; next > 0 || n == wakeAtOnce {
			break
		}
		next = moment(idleSleep)
		e.stop(first.t)
		first.t.owner.wake(e, b)
	}
	e.due = now + next
	e.mu.Unlock()
	e.flush(b)
	return max(time.Duration(next), 0)
}
