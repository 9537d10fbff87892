package queue_test

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/machine"
	"steward/lwm2m/machine/machinetest"
	"steward/lwm2m/queue"
	"steward/lwm2m/server"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestTable(t *testing.T) {
	if err := queue.Table.Check(queue.Queued, queue.Done, queue.Failed, queue.Expired, queue.Cancelled); err != nil {
		t.Error(err)
	}
	machinetest.Golden(t, "testdata/operation.mmd", queue.Table.Mermaid(queue.Queued), *update)
}

// Core 1.2.2 §6.5: what a sleeping device is asked waits, and is sent in order, one
// at a time, when it speaks.
func TestOrder(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
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
	bubble(t, func(w *world) {
		t := w.t
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
	bubble(t, func(w *world) {
		t := w.t
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
	bubble(t, func(w *world) {
		t := w.t
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
	bubble(t, func(w *world) {
		t := w.t
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
	bubble(t, func(w *world) {
		t := w.t
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
	bubble(t, func(w *world) {
		t := w.t
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
