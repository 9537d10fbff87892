package services_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
	"steward/web"
)

// update has a device speak, in queue mode.
func (w *world) update(t *testing.T, d fleet.Device) {
	t.Helper()
	r, err := w.server.Registration(d.ID)
	if err != nil {
		t.Fatal(err)
	}
	res := w.server.ServeCoAP(t.Context(), &coap.Request{
		Peer: newPeer(string(d.Endpoint)), Method: coap.POST, Path: []string{"rd", r.ID}, Query: []string{"b=U", "Q"},
	})
	if res.Code != coap.Changed {
		t.Fatalf("Update: %s %s", res.Code, res.Payload)
	}
	res.Sent()
}

// asleep makes a device sleep: it does not answer.
func (w *world) asleep(t *testing.T, d fleet.Device) {
	t.Helper()
	w.answer(nil, coap.ErrTimeout)
	op := web.Operation{Kind: web.OpRead, Path: lwm2m.NewPath(3, 0, 0)}
	_, err := w.Operations.Do(t.Context(), alice, string(d.ID), op)
	wantError(t, "read of a silent device", err, web.ErrTimeout)
	if p := w.server.Presence(d.ID); !p.Asleep {
		t.Fatalf("presence = %+v", p)
	}
}

// run runs the queue, and wakes it with the device.
func (w *world) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.options.Queue.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestQueuedOperations(t *testing.T) {
	w := newWorld(t)
	d := w.add(t, fleet.Device{Endpoint: "d"})
	other := w.add(t, fleet.Device{Endpoint: "other"})
	w.online(t, d)
	w.update(t, d)
	w.run(t)
	w.asleep(t, d)
	ctx, id := t.Context(), string(d.ID)
	read := web.Operation{Kind: web.OpRead, Path: lwm2m.NewPath(3, 0, 14)}
	var waiting []web.DeviceOperation
	for _, op := range operationsOn() {
		out, err := w.Operations.Do(ctx, alice, id, op)
		if err != nil || out.Pending == nil || out.Pending.State != "queued" || out.Pending.WakesAt.IsZero() {
			t.Fatalf("%s while asleep = %+v, %v", op.Kind, out, err)
		}
		waiting = append(waiting, *out.Pending)
	}
	detail, err := w.Devices.Device(ctx, id)
	if err != nil || detail.Registration == nil || !detail.Registration.Asleep || detail.Registration.WakesAt.IsZero() {
		t.Errorf("device = %+v, %v", detail.Registration, err)
	}
	last := waiting[len(waiting)-1]
	gone, err := w.Operations.CancelOperation(ctx, alice, id, last.ID)
	if err != nil || gone.State != "cancelled" || !gone.Over {
		t.Errorf("cancel = %+v, %v", gone, err)
	}
	_, err = w.Operations.CancelOperation(ctx, alice, id, last.ID)
	wantError(t, "cancel twice", err, web.ErrConflict)
	_, err = w.Operations.CancelOperation(ctx, alice, string(other.ID), waiting[0].ID)
	wantError(t, "cancel at another device", err, web.ErrNotFound)
	_, err = w.Operations.DeviceOperation(ctx, id, "none")
	wantError(t, "no such operation", err, web.ErrNotFound)

	w.answer(&coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(codec.Text), Payload: []byte("+02:00")}, nil)
	w.update(t, d)
	w.options.Queue.Wake(d.ID)
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, o := range waiting[:len(waiting)-1] {
		if got, err := w.options.Queue.Await(limited, o.ID); err != nil || !got.State.Over() {
			t.Errorf("%s %s: %s, %v", o.Kind, o.Path, got.State, err)
		}
	}
	first, err := w.Operations.DeviceOperation(ctx, id, waiting[0].ID)
	if err != nil || first.State != "done" || len(first.Outcome.Values) != 1 ||
		first.Outcome.Values[0].Value.Text() != "+02:00" || len(first.Exchanges) != 1 || first.Exchanges[0].Code != "2.05" {
		t.Errorf("the read = %+v, %v", first, err)
	}
	page, err := w.Operations.ListOperations(ctx, id, web.Page{Size: 3})
	if err != nil || len(page.Items) != 3 || page.Next == "" || page.Items[0].ID != last.ID {
		t.Errorf("list = %+v, %v", page, err)
	}
	rest, err := w.Operations.ListOperations(ctx, id, web.Page{Size: 200, After: page.Next})
	if err != nil || len(page.Items)+len(rest.Items) != len(waiting)+1 {
		t.Errorf("%d more, %v", len(rest.Items), err)
	}
	_, err = w.Operations.ListOperations(ctx, id, web.Page{After: "x"})
	wantError(t, "no cursor", err, web.ErrInvalid)
	if row := w.audited(t, "device.write"); row.Actor != "operator:alice" || row.Subject != id {
		t.Errorf("audit row = %+v", row.Row)
	}
	out, err := w.Operations.Do(ctx, alice, id, read)
	if err != nil || out.Pending != nil || len(out.Values) != 1 {
		t.Errorf("awake again: %+v, %v", out, err)
	}
}

// What goes on when nobody waits (RFC 7240 §4.1) is stored before the answer.
func TestAsyncOperations(t *testing.T) {
	w := newWorld(t)
	d := w.add(t, fleet.Device{Endpoint: "d"})
	w.online(t, d)
	w.run(t)
	w.answer(&coap.Response{Code: coap.NotFound}, nil)
	op := web.Operation{Kind: web.OpRead, Path: lwm2m.NewPath(3, 0, 14), Async: true}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	out, err := w.Operations.Do(ended, alice, string(d.ID), op)
	var id string
	switch {
	case err == nil && out.Pending != nil:
		id = out.Pending.ID
	case errors.Is(err, web.ErrDevice): // it was quicker
		return
	default:
		t.Fatalf("= %+v, %v", out, err)
	}
	got, err := w.options.Queue.Await(t.Context(), id)
	if err != nil || got.State != queue.Failed {
		t.Errorf("= %s, %v", got.State, err)
	}
	_, err = w.Operations.Do(t.Context(), alice, string(d.ID), op)
	wantError(t, "waited for", err, web.ErrDevice)
}
