package ets_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/queue"
	"steward/lwm2m/queue/queuetest"
	"steward/lwm2m/server"
)

const queryQueue = "ep=alpha&lt=86400&lwm2m=1.1&b=U&Q"

// queued is a world with a queue of Reads, over a store that may be of before.
func queued(t *testing.T, store *queuetest.Store) (*world, *device, *queue.Queue) {
	t.Helper()
	x, d := registered(t, queryQueue, links)
	q, stop := x.queue(store)
	t.Cleanup(stop)
	return x, d, q
}

// queue starts a queue of Reads, which stop ends.
func (x *world) queue(store *queuetest.Store) (q *queue.Queue, stop func()) {
	x.t.Helper()
	var ids atomic.Int64
	var err error
	q, err = queue.New(x.t.Context(), queue.Options{
		Store: store, Devices: x.Server, NewID: func() string { return fmt.Sprintf("%p-%03d", x, ids.Add(1)) },
		Perform: func(ctx context.Context, o queue.Operation) (queue.Result, error) {
			entries, err := x.Read(ctx, o.Device, path(o.Path))
			if err != nil {
				return queue.Result{Reason: err.Error()}, err
			}
			return queue.Result{Body: []byte(texts(entries)[0])}, nil
		},
	})
	x.must("queue", err)
	silence := x.Subscribe(func(e server.Event) { q.Wake(e.Device) })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	return q, sync.OnceFunc(func() {
		silence()
		cancel()
		if err := <-ended; err != nil {
			x.t.Error(err)
		}
	})
}

// reads asks for a Read of alpha.
func (x *world) reads(q *queue.Queue, p string) string {
	x.t.Helper()
	o, err := q.Submit(x.t.Context(), queue.Operation{Device: "alpha", Kind: "read", Path: p, Repeats: true, Actor: "ann"})
	x.must("submit", err)
	synctest.Wait()
	return o.ID
}

// state checks how an operation stands.
func (x *world) state(q *queue.Queue, id string, want queue.State, result string) {
	x.t.Helper()
	synctest.Wait()
	ctx, cancel := context.WithTimeout(x.t.Context(), time.Millisecond)
	defer cancel()
	o, err := q.Await(ctx, id)
	if o.State != want || string(o.Result) != result {
		x.t.Errorf("operation %s is %s with %q (%v), want %s with %q", id, o.State, o.Result, err, want, result)
	}
}

func ets109(t *testing.T) {
	x, d, q := queued(t, &queuetest.Store{})
	d.says("GET /3/0/0", 205, "0", "41")
	time.Sleep(93*time.Second + time.Millisecond)
	id := x.reads(q, "/3/0/0")
	time.Sleep(10 * time.Minute)
	d.wants()
	x.state(q, id, queue.Queued, "")
	d.update("", 204)
	x.state(q, id, queue.Done, "/3/0/0=A")
	d.wants("GET /3/0/0")
}

// inOrder has two people queue at once, and a device that stops answering between.
func inOrder(t *testing.T) {
	x, d, q := queued(t, &queuetest.Store{})
	for _, p := range []string{"/3/0/0", "/3/0/1", "/3/0/2"} {
		d.says("GET "+p, 205, "0", "41")
	}
	d.on("GET /3/0/1", func(message) reply { return reply{} })
	time.Sleep(94 * time.Second)
	first, second, third := x.reads(q, "/3/0/0"), x.reads(q, "/3/0/1"), x.reads(q, "/3/0/2")
	d.wants()
	d.update("", 204)
	time.Sleep(100 * time.Second) // the second gets no answer
	x.state(q, first, queue.Done, "/3/0/0=A")
	x.state(q, second, queue.Queued, "")
	x.state(q, third, queue.Queued, "")
	d.taken()
	d.says("GET /3/0/1", 205, "0", "42")
	time.Sleep(100 * time.Second)
	d.expect("Send", d.do(2, "/dp", "", 110, `[{"n":"/3/0/9","v":5}]`), 204)
	x.state(q, second, queue.Done, "/3/0/1=B")
	x.state(q, third, queue.Done, "/3/0/2=A")
	d.wants("GET /3/0/1", "GET /3/0/2")
}

// notificationReleases has a notification release what waits.
func notificationReleases(t *testing.T) {
	x, d, q := queued(t, &queuetest.Store{})
	token := x.observed(d, "/3/0/9")
	d.says("GET /3/0/0", 205, "0", "41")
	time.Sleep(94 * time.Second)
	id := x.reads(q, "/3/0/0")
	d.wants()
	d.notify(con, token, 2, text("5"))
	x.state(q, id, queue.Done, "/3/0/0=A")
}

// filledQueue restarts the queue while something waits.
func filledQueue(t *testing.T) {
	store := &queuetest.Store{}
	x, d := registered(t, queryQueue, links)
	q, stop := x.queue(store)
	d.says("GET /3/0/0", 205, "0", "41")
	time.Sleep(94 * time.Second)
	id := x.reads(q, "/3/0/0")
	stop()
	again, stop := x.queue(store)
	t.Cleanup(stop)
	d.wants()
	d.update("", 204)
	x.state(again, id, queue.Done, "/3/0/0=A")
}

// queuedOverRegister has a device register anew while something waits for it: that is
// asked then, once.
func queuedOverRegister(t *testing.T) {
	x, d, q := queued(t, &queuetest.Store{})
	d.says("GET /3/0/0", 205, "0", "41")
	time.Sleep(94 * time.Second)
	id := x.reads(q, "/3/0/0")
	d.wants()
	d.register(queryQueue, links)
	x.state(q, id, queue.Done, "/3/0/0=A")
	d.wants("GET /3/0/0")
}
