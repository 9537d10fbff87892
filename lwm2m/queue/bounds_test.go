package queue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/queue"
	"steward/lwm2m/queue/queuetest"
)

func TestRestart(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
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
	bubble(t, func(w *world) {
		t := w.t
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
	bubble(t, func(w *world) {
		t := w.t
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
	bubble(t, func(w *world) {
		o := w.submit("read", "/3")
		w.set(false)
		time.Sleep(16 * time.Second)
		w.state(o.ID, queue.Done)
	})
}

func TestExchanges(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
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

// Who asks says how long it may take.
func TestTTL(t *testing.T) {
	bubble(t, func(w *world) {
		short, usual := operation("read", "/3/0/9"), w.submit("read", "/3/0/13")
		short.TTL = 5 * time.Minute
		o, err := w.Do(w.t.Context(), short)
		if err != nil || o.ExpiresAt.Sub(o.CreatedAt) != 5*time.Minute {
			w.t.Fatalf("%v to %v, %v", o.CreatedAt, o.ExpiresAt, err)
		}
		time.Sleep(4 * time.Minute)
		w.state(o.ID, queue.Queued)
		time.Sleep(2 * time.Minute)
		w.state(o.ID, queue.Expired)
		w.state(usual.ID, queue.Queued)
		short.TTL = 1000 * 24 * time.Hour
		if o, err = w.Do(w.t.Context(), short); err != nil || o.ExpiresAt.Sub(o.CreatedAt) != 90*24*time.Hour {
			w.t.Errorf("%v to %v, %v", o.CreatedAt, o.ExpiresAt, err)
		}
	})
}
