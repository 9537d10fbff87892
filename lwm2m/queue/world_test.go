package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
	"steward/lwm2m/queue/queuetest"
	"steward/lwm2m/server"
)

// A world is a Queue with one device, in a bubble.
type world struct {
	*queue.Queue
	t     *testing.T
	store *queuetest.Store
	kill  func()

	mu       sync.Mutex
	presence server.Presence
	did      []string
	perform  func(ctx context.Context, o queue.Operation) (queue.Result, error)
	ids      int
	most     int // operations at once
	now      int
}

// Presence implements queue.Devices.
func (w *world) Presence(fleet.ID) server.Presence {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.presence
}

func (w *world) do(ctx context.Context, o queue.Operation) (queue.Result, error) {
	w.mu.Lock()
	w.did = append(w.did, o.Kind+" "+o.Path)
	w.now++
	w.most = max(w.most, w.now)
	perform := w.perform
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.now--
		w.mu.Unlock()
	}()
	if perform != nil {
		return perform(ctx, o)
	}
	return queue.Result{Body: []byte("ok"), Outcome: "done"}, nil
}

// took returns what was performed, and forgets it.
func (w *world) took() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	did := w.did
	w.did = nil
	return did
}

func (w *world) set(asleep bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.presence = server.Presence{Registered: true, Queue: true, Asleep: asleep}
}

func (w *world) answer(perform func(context.Context, queue.Operation) (queue.Result, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.perform = perform
}

func fails(err error) func(context.Context, queue.Operation) (queue.Result, error) {
	return func(context.Context, queue.Operation) (queue.Result, error) {
		return queue.Result{Outcome: "timeout", Reason: err.Error()}, err
	}
}

// wakes lets the device speak.
func (w *world) wakes() {
	w.set(false)
	w.Wake("A")
}

func bubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: &queuetest.Store{}}
		w.set(true)
		w.run()
		defer func() { w.kill() }()
		test(w)
	})
}

// run starts a Queue on the store, as after a restart.
func (w *world) run() {
	w.t.Helper()
	q, err := queue.New(w.t.Context(), queue.Options{Store: w.store, Devices: w, Perform: w.do, NewID: func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ids++
		return fmt.Sprintf("%04d", w.ids)
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Queue = q
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- q.Run(ctx) }()
	w.kill = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
}

func operation(kind, path string) queue.Operation {
	return queue.Operation{
		Device: "A", Kind: kind, Path: path, Body: []byte("{}"), Actor: "operator:alice",
		Repeats: kind != "execute", Writes: kind == "write",
	}
}

func (w *world) submit(kind, path string) queue.Operation {
	w.t.Helper()
	o, err := w.Do(w.t.Context(), operation(kind, path))
	if err != nil || o.State.Over() {
		w.t.Fatalf("%s %s = %s, %v", kind, path, o.State, err)
	}
	return o
}

func (w *world) state(id string, want queue.State) queue.Operation {
	w.t.Helper()
	synctest.Wait()
	o, err := w.store.Operation(w.t.Context(), id)
	if err != nil || o.State != want {
		w.t.Errorf("operation %s is %s (%s), %v; want %s", id, o.State, o.Reason, err, want)
	}
	return o
}
