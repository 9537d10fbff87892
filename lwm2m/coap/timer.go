package coap

import (
	"container/heap"
	"time"
)

// A timer is one deadline on the engine's heap. fire is called with the
// engine's lock held.
type timer struct {
	at    time.Time
	index int // position on the heap plus one; 0: not on it
	fire  func(b *batch)
}

// timers is a heap of deadlines, earliest first.
type timers []*timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push is for container/heap.
func (h *timers) Push(x any) {
	t, ok := x.(*timer)
	if !ok {
		return
	}
	*h = append(*h, t)
	t.index = len(*h)
}

// Pop is for container/heap.
func (h *timers) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = 0
	return t
}

// start sets t to fire after d, whether it runs already or not.
func (e *Engine) start(t *timer, d time.Duration) {
	t.at = time.Now().Add(d)
	if t.index > 0 {
		heap.Fix(&e.timers, t.index-1)
	} else {
		heap.Push(&e.timers, t)
	}
	if t.at.Before(e.due) { // Run sleeps too long
		e.due = t.at
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

// stop takes t off the heap.
func (e *Engine) stop(t *timer) {
	if t.index > 0 {
		heap.Remove(&e.timers, t.index-1)
	}
}

// idleSleep is how long Run sleeps when no timer runs; a start wakes it.
const idleSleep = time.Hour

// expire fires all timers that are due and returns the time to the next.
func (e *Engine) expire() time.Duration {
	// fireAtOnce bounds the work under one hold of the lock.
	const fireAtOnce = 64
	b := &batch{}
	e.mu.Lock()
	now := time.Now()
	next := idleSleep
	for n := 0; len(e.timers) > 0; n++ {
		t := e.timers[0]
		if next = t.at.Sub(now); next > 0 || n == fireAtOnce {
			break
		}
		next = idleSleep
		heap.Pop(&e.timers)
		t.fire(b)
	}
	e.due = now.Add(next)
	e.mu.Unlock()
	e.flush(b)
	return max(next, 0)
}
