package coap

import (
	"slices"
	"time"
)

// A task is work that may wait: for a disk, for the network.
type task interface{ run(e *Engine) }

// A worker is a goroutine that runs one task after the other.
type worker struct {
	tasks  chan task // has room for one; closed: end
	parked time.Time
}

// workers are the goroutines for tasks. They are started when all others are
// busy, reused, the latest first, and ended when they have rested.
type workers struct {
	parked  []*worker // longest first
	running bool      // Run runs: without it none may rest, for nobody would end it
	timer   timer     // ends those that have rested
}

// workerRest is how long a worker without a task lives.
const workerRest = 10 * time.Second

// assign gives t to a worker. The lock is held, and the number of tasks is
// bounded by the caller.
func (e *Engine) assign(t task) {
	w := &e.workers
	if last := len(w.parked) - 1; last >= 0 {
		w.parked[last].tasks <- t
		w.parked[last] = nil
		w.parked = w.parked[:last]
		return
	}
	e.work.Add(1)
	go e.labour(&worker{tasks: make(chan task, 1)}, t)
}

// labour is the life of w, which begins with t.
func (e *Engine) labour(w *worker, t task) {
	defer e.work.Done()
	for more := true; more; {
		t.run(e)
		if more = e.park(w); more {
			t, more = <-w.tasks
		}
	}
}

// park lets w rest until the next task; false if it shall end.
func (e *Engine) park(w *worker) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.workers.running || e.stopped {
		return false
	}
	w.parked = time.Now()
	if len(e.workers.parked) == 0 {
		e.start(&e.workers.timer, workerRest)
	}
	e.workers.parked = append(e.workers.parked, w)
	return true
}

// retire ends the workers that have rested long enough.
func (e *Engine) retire() {
	w, now, n := &e.workers, time.Now(), 0
	for n < len(w.parked) && now.Sub(w.parked[n].parked) >= workerRest {
		close(w.parked[n].tasks)
		n++
	}
	w.parked = slices.Delete(w.parked, 0, n)
	if len(w.parked) > 0 {
		e.start(&w.timer, workerRest-now.Sub(w.parked[0].parked))
	} else {
		w.parked = nil
	}
}

// dismiss ends all workers that rest; the others end with their task.
func (e *Engine) dismiss() {
	for _, w := range e.workers.parked {
		close(w.tasks)
	}
	e.workers.parked = nil
	e.stop(&e.workers.timer)
}
