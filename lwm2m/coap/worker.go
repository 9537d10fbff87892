package coap

import (
	"slices"
	"time"
)

// A task is work that may wait: for a disk, for the network.
type task interface{ run(e *Engine) }

// A worker is a goroutine that runs one task after the other.
type worker struct {
	tasks chan task // has room for one; closed: end
	since moment    // when it began to rest
}

// workers are the goroutines for tasks. They are started when all others are
// busy, reused, the latest first, and ended when they have rested.
type workers struct {
	parked  []*worker // longest first
	running bool      // Run runs: without it none may rest, for nobody would end it
	busy    int       // have a task
	backlog []task    // tasks that wait for a worker
	timer   timer     // ends those that have rested
}

// workerRest is how long a worker without a task lives.
const workerRest = 10 * time.Second

// assign gives t to a worker, or has it wait for one when all that may be are
// busy. The caller bounds the number of tasks that wait, and holds the lock.
func (e *Engine) assign(t task) {
	w := &e.workers
	if w.busy >= e.o.MaxHandlers {
		w.backlog = append(w.backlog, t)
		return
	}
	w.busy++
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
	for t != nil {
		t.run(e)
		if next, rest := e.park(w); rest {
			t = <-w.tasks
		} else {
			t = next
		}
	}
}

// park returns the task that has waited longest, or lets w rest until there is
// one; neither if it shall end.
func (e *Engine) park(w *worker) (next task, rest bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := &e.workers
	if len(all.backlog) > 0 {
		next = all.backlog[0]
		all.backlog = remove(all.backlog, next)
		return next, false
	}
	all.busy--
	if !all.running || e.stopped {
		return nil, false
	}
	w.since = e.now()
	if len(all.parked) == 0 {
		e.start(&all.timer, all, workerRest)
	}
	all.parked = append(all.parked, w)
	return nil, true
}

// wake implements sleeper: it ends the workers that have rested long enough.
func (w *workers) wake(e *Engine, _ *batch) {
	now, n := e.now(), 0
	for n < len(w.parked) && now-w.parked[n].since >= moment(workerRest) {
		close(w.parked[n].tasks)
		n++
	}
	w.parked = slices.Delete(w.parked, 0, n)
	if len(w.parked) > 0 {
		e.start(&w.timer, w, workerRest-time.Duration(now-w.parked[0].since))
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
