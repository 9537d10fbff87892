package queue_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/machine"
	"steward/lwm2m/queue"
	"steward/lwm2m/queue/queuetest"
	"steward/lwm2m/server"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestTable(t *testing.T) {
	if err := queue.Table.Check(queue.Queued, queue.Done, queue.Failed, queue.Expired, queue.Cancelled); err != nil {
		t.Error(err)
	}
	const golden = "testdata/operation.mmd"
	got := queue.Table.Mermaid(queue.Queued)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("table is\n%s, %v; want\n%s", got, err, want)
	}
}

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

func bubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: &queuetest.Store{}}
		w.set(true)
		w.run()
		defer func() { w.kill() }()
		test(t, w)
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

// Core 1.2.2 §6.5: what a sleeping device is asked waits, and is sent in order, one
// at a time, when it speaks.
func TestOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.answer(func(context.Context, queue.Operation) (queue.Result, error) {
			time.Sleep(time.Second)
			return queue.Result{Body: []byte("ok")}, nil
		})
		a, b, c := w.submit("read", "/3/0/9"), w.submit("execute", "/3/0/4"), w.submit("read", "/3/0/13")
		if got := w.took(); len(got) != 0 {
			t.Errorf("sent to a sleeping device: %q", got)
		}
		w.wakes()
		time.Sleep(1500 * time.Millisecond)
		w.state(a.ID, queue.Done)
		w.state(b.ID, queue.Sent)
		w.state(c.ID, queue.Queued)
		late := w.submit("read", "/3/0") // awake, but others are before it
		time.Sleep(10 * time.Second)
		if o := w.state(late.ID, queue.Done); string(o.Result) != "ok" || o.Tries != 1 || o.Body != nil {
			t.Errorf("result = %+v", o)
		}
		if got := strings.Join(w.took(), ", "); got != "read /3/0/9, execute /3/0/4, read /3/0/13, read /3/0" || w.most != 1 {
			t.Errorf("order %s, %d at once", got, w.most)
		}
		if o, err := w.Do(t.Context(), operation("read", "/3")); err != nil || o.State != queue.Done || o.Held {
			t.Errorf("awake and nothing waits: %+v, %v", o, err)
		}
	})
}

func TestSilenceStops(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		read, execute, last := w.submit("read", "/3/0/9"), w.submit("execute", "/3/0/4"), w.submit("read", "/3/0/13")
		w.answer(func(context.Context, queue.Operation) (queue.Result, error) {
			w.set(true)
			return queue.Result{Reason: "the device did not answer"}, coap.ErrTimeout
		})
		w.wakes()
		synctest.Wait()
		if got := w.took(); len(got) != 1 {
			t.Errorf("%q after silence", got)
		}
		if o := w.state(read.ID, queue.Queued); o.Reason == "" || o.Tries != 1 {
			t.Errorf("waits again: %+v", o)
		}
		w.wakes()
		synctest.Wait()
		w.wakes()
		w.state(read.ID, queue.Failed) // three tries
		w.wakes()
		w.state(execute.ID, queue.Failed) // at once: doing it twice is not like doing it once
		w.answer(nil)
		w.wakes()
		w.state(last.ID, queue.Done)
		if got := len(w.took()); got != 4 {
			t.Errorf("%d more tries, want 4", got)
		}
	})
}

func TestRefusalGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.submit("read", "/3/0/9"), w.submit("read", "/3/0/13")
		w.answer(fails(&server.ResponseError{Code: coap.NotFound}))
		w.wakes()
		w.state(a.ID, queue.Failed)
		w.state(b.ID, queue.Failed)
		w.wakes()
		if got := len(w.took()); got != 2 {
			t.Errorf("%d tries, want 2", got)
		}
	})
}

func TestExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.submit("read", "/3/0/9")
		time.Sleep(23 * time.Hour)
		w.state(o.ID, queue.Queued)
		time.Sleep(2 * time.Hour)
		w.state(o.ID, queue.Expired)
		w.wakes()
		if got := w.took(); len(got) != 0 {
			t.Errorf("%q after expiry", got)
		}
		if rows := w.store.Rows(); rows[len(rows)-1].Action != "operation.expire" {
			t.Errorf("audit rows %+v", rows)
		}
		time.Sleep(8 * 24 * time.Hour)
		w.set(true)
		other := w.submit("read", "/3/0/9")
		if _, err := w.Cancel(t.Context(), other.ID, "a"); err != nil {
			t.Error(err)
		}
		time.Sleep(pruned)
		if _, err := w.store.Operation(t.Context(), o.ID); !errors.Is(err, queue.ErrUnknown) {
			t.Errorf("kept for ever: %v", err)
		}
	})
}

const pruned = 11 * time.Minute

func TestCancel(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		waits := w.submit("read", "/3/0/9")
		if o, err := w.Cancel(t.Context(), waits.ID, "operator:bob"); err != nil || o.State != queue.Cancelled {
			t.Errorf("Cancel = %+v, %v", o, err)
		}
		if _, err := w.Cancel(t.Context(), waits.ID, "operator:bob"); !errors.Is(err, machine.ErrNoRow) {
			t.Errorf("twice: %v, want ErrNoRow", err)
		}
		if _, err := w.Cancel(t.Context(), "none", "operator:bob"); !errors.Is(err, queue.ErrUnknown) {
			t.Errorf("none: %v, want ErrUnknown", err)
		}
		w.answer(func(ctx context.Context, o queue.Operation) (queue.Result, error) {
			if o.Path == "/3/0/13" {
				return queue.Result{}, nil
			}
			<-ctx.Done()
			return queue.Result{Reason: "nobody waited"}, ctx.Err()
		})
		under, next := w.submit("read", "/3/0/9"), w.submit("read", "/3/0/13")
		w.wakes()
		w.state(under.ID, queue.Sent)
		if _, err := w.Cancel(t.Context(), under.ID, "operator:bob"); err != nil {
			t.Error(err)
		}
		w.state(under.ID, queue.Cancelled)
		time.Sleep(20 * time.Second)
		w.state(next.ID, queue.Done)
		rows := w.store.Rows()
		if !slices.ContainsFunc(rows, func(r auditRow) bool {
			return r.Action == "operation.cancel" && r.Actor == "operator:bob" && r.Before == "sent"
		}) {
			t.Errorf("audit rows %+v", rows)
		}
	})
}

func TestWritesMerge(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		first := w.submit("write", "/1/0/1")
		told := make(chan queue.State)
		go func() {
			o, _ := w.Await(t.Context(), first.ID)
			told <- o.State
		}()
		synctest.Wait()
		second := w.submit("write", "/1/0/1")
		if got := <-told; got != queue.Cancelled {
			t.Errorf("who waited for the first learnt %s", got)
		}
		w.wakes()
		w.state(second.ID, queue.Done)
		if got := len(w.took()); got != 1 {
			t.Errorf("%d writes, want 1", got)
		}
	})
}

func TestAwait(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.submit("read", "/3/0/9")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if got, err := w.Await(ctx, o.ID); err != nil || got.State != queue.Queued {
			t.Errorf("no patience: %s, %v", got.State, err)
		}
		go func() {
			time.Sleep(time.Minute)
			w.wakes()
		}()
		if got, err := w.Await(t.Context(), o.ID); err != nil || got.State != queue.Done {
			t.Errorf("patience: %s, %v", got.State, err)
		}
		if got, err := w.Await(t.Context(), o.ID); err != nil || got.State != queue.Done {
			t.Errorf("over already: %s, %v", got.State, err)
		}
		if _, err := w.Await(t.Context(), "none"); !errors.Is(err, queue.ErrUnknown) {
			t.Errorf("none: %v, want ErrUnknown", err)
		}
	})
}

func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.submit("read", "/3/0/9"), w.submit("execute", "/3/0/4"), w.submit("read", "/3/0/13")
		w.kill()
		for _, id := range []string{a.ID, b.ID} { // as kill -9 leaves them
			o, err := w.store.Operation(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			o.State, o.Version, o.Tries = queue.Sent, o.Version+1, 1
			if err := w.store.Set(t.Context(), o, nil); err != nil {
				t.Fatal(err)
			}
		}
		w.run()
		w.state(a.ID, queue.Queued)
		if o := w.state(b.ID, queue.Failed); !strings.Contains(o.Reason, "may have done it") {
			t.Errorf("reason %q", o.Reason)
		}
		w.wakes()
		w.state(a.ID, queue.Done)
		w.state(c.ID, queue.Done)
	})
}

func TestDirect(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.set(false)
		w.answer(fails(coap.ErrTimeout))
		o, err := w.Do(t.Context(), operation("read", "/3/0/9"))
		if !errors.Is(err, coap.ErrTimeout) || o.State != queue.Failed {
			t.Errorf("silent: %s, %v", o.State, err) // who asked has been told: it does not wait
		}
		w.answer(nil)
		large := operation("write", "/5/0/0")
		large.Body = make([]byte, queue.MaxBody+1)
		if o, err := w.Do(t.Context(), large); err != nil || o.State != queue.Done {
			t.Errorf("large: %s, %v", o.State, err)
		}
		w.set(true)
		if _, err := w.Do(t.Context(), large); !errors.Is(err, queue.ErrSize) {
			t.Errorf("large while asleep: %v, want ErrSize", err)
		}
		local := operation("cancel_observe", "/3/0/9")
		local.Local = true
		if o, err := w.Do(t.Context(), local); err != nil || o.State != queue.Done {
			t.Errorf("local: %s, %v", o.State, err)
		}
	})
}

// Whoever may ask cannot fill memory or disk.
func TestFull(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for range queue.MaxWaiting {
			w.submit("read", "/3")
		}
		if _, err := w.Do(t.Context(), operation("read", "/3")); !errors.Is(err, queue.ErrFull) {
			t.Errorf("one too many: %v, want ErrFull", err)
		}
		w.wakes()
		time.Sleep(time.Second)
		if open, err := w.store.Waiting(t.Context()); err != nil || len(open) != 0 {
			t.Errorf("%v wait, %v", open, err)
		}
	})
}

// The answer to somebody else's request wakes the queue too.
func TestAwakeUntold(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.submit("read", "/3")
		w.set(false)
		time.Sleep(16 * time.Second)
		w.state(o.ID, queue.Done)
	})
}

func TestExchanges(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.set(false)
		x := &exchanger{}
		w.answer(func(ctx context.Context, o queue.Operation) (queue.Result, error) {
			x.acknowledge = strings.HasPrefix(o.Path, "/3")
			return queue.Result{}, x.exchange(ctx, o.Path)
		})
		o, err := w.Do(t.Context(), operation("read", "/3/0/9"))
		if err != nil || len(o.Exchanges) != 1 || o.Exchanges[0].Code != "2.05" || string(o.Exchanges[0].Answer) != "abc" ||
			o.Exchanges[0].Method != "0.01" || o.Exchanges[0].Format != -1 || o.Exchanges[0].As != 0 || o.Version != 3 {
			t.Errorf("%+v, %v", o, err) // sent, acked, done
		}
		o, err = w.Do(t.Context(), operation("read", "/0/0/5"))
		if err != nil || len(o.Exchanges) != 1 || o.Exchanges[0].Answer != nil || o.Exchanges[0].Got != 3 || o.Version != 2 {
			t.Errorf("a key is kept: %+v, %v", o, err)
		}
	})
}

func TestOptions(t *testing.T) {
	good := queue.Options{
		Store: &queuetest.Store{}, Devices: &world{}, NewID: func() string { return "" },
		Perform: func(context.Context, queue.Operation) (queue.Result, error) { return queue.Result{}, nil },
	}
	for name, change := range map[string]func(*queue.Options){
		"Store":   func(o *queue.Options) { o.Store = nil },
		"Devices": func(o *queue.Options) { o.Devices = nil },
		"Perform": func(o *queue.Options) { o.Perform = nil },
		"NewID":   func(o *queue.Options) { o.NewID = nil },
		"Workers": func(o *queue.Options) { o.Workers = -1 },
		"Expire":  func(o *queue.Options) { o.Expire = -1 },
		"Keep":    func(o *queue.Options) { o.Keep = -1 },
	} {
		o := good
		change(&o)
		if _, err := queue.New(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
