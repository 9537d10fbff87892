package server_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
)

// restart returns another server on the store of x, as after a restart of the
// program, which finds peers by find.
func (x *world) restart(find func(lwm2m.Endpoint) (coap.Peer, bool)) *world {
	x.t.Helper()
	y := &world{t: x.t, store: x.store, exchanger: &fakeExchanger{}}
	y.answer(&coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(codec.Text), Payload: []byte("7"), Observe: true,
	}, nil)
	y.Server = mustNew(x.t, server.Options{
		Store: x.store, Exchanger: y.exchanger, Schema: testSchema, Identify: identify, Find: find,
	})
	return y
}

func only(p coap.Peer) func(lwm2m.Endpoint) (coap.Peer, bool) {
	return func(ep lwm2m.Endpoint) (coap.Peer, bool) { return p, string(ep) == p.Identity().Name }
}

// A device is asked over its association of an earlier run, before it has
// spoken; its own Update is answered as ever.
func TestFind(t *testing.T) {
	x := newWorld(t)
	location := x.register(alpha, "ep=alpha&lwm2m=1.1&lt=60", usual)
	y := x.restart(only(alpha))
	if y.Reachable("alpha") {
		t.Error("reachable before anybody asked")
	}
	if _, err := y.Read(t.Context(), "alpha", path("/3/0/9")); err != nil {
		t.Errorf("Read = %v", err)
	}
	if _, err := y.Read(t.Context(), "nobody", path("/3/0/9")); !errors.Is(err, server.ErrNotRegistered) {
		t.Errorf("Read of nobody = %v, want %v", err, server.ErrNotRegistered)
	}
	if res := y.serve(alpha, coap.POST, location, "", 0, ""); res.Code != coap.Changed {
		t.Errorf("Update = %s", res.Code)
	}
	for name, find := range map[string]func(lwm2m.Endpoint) (coap.Peer, bool){
		"no finder": nil,
		"not found": func(lwm2m.Endpoint) (coap.Peer, bool) { return nil, false },
		"another's": func(lwm2m.Endpoint) (coap.Peer, bool) {
			return fakePeer{alpha.address, coap.Identity{Role: coap.RoleOperational, Name: "beta"}}, true
		},
	} {
		if _, err := x.restart(find).Read(t.Context(), "alpha", path("/3/0/9")); !errors.Is(err, server.ErrUnreachable) {
			t.Errorf("%s: Read = %v, want %v", name, err, server.ErrUnreachable)
		}
	}
}

// The first word of a device after a restart, whatever it is, brings its
// observations back.
func TestReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lwm2m=1.1&lt=60", usual)
		_ = x.Observe(t.Context(), "alpha", path("/3/0/9"), "me") // wanted, whatever comes of it
		y := x.restart(only(alpha))
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = y.Run(ctx) })
		defer func() { cancel(); group.Wait() }()

		if _, err := y.Read(t.Context(), "alpha", path("/3/0/9")); err != nil {
			t.Errorf("Read = %v", err)
		}
		if synctest.Wait(); len(y.taken()) != 1 {
			t.Error("observations were established before the device spoke")
		}
		beta := fakePeer{"192.0.2.9:1", coap.Identity{Role: coap.RoleOperational, Name: "beta"}} // not registered
		for _, p := range []coap.Peer{alpha, beta} {
			if err := y.Returned(t.Context(), p); err != nil {
				t.Errorf("Returned(%s) = %v", p.Identity().Name, err)
			}
		}
		synctest.Wait()
		got := y.taken()
		if len(got) == 0 || got[0].Observe != coap.ObserveRegister {
			t.Errorf("%d requests after the device spoke, want an Observe", len(got))
		}

		z := x.restart(nil) // nobody asked before the device spoke
		group.Go(func() { _ = z.Run(ctx) })
		if err := z.Returned(t.Context(), alpha); err != nil || !z.Reachable("alpha") {
			t.Errorf("Returned = %v, reachable %t", err, z.Reachable("alpha"))
		}
		synctest.Wait()
		if got := z.taken(); len(got) == 0 || got[0].Observe != coap.ObserveRegister {
			t.Errorf("%d requests, want an Observe", len(got))
		}
	})
}

// A device that has made another association answers 4.01 by the one before. That is
// no answer to what it was asked: it can be reached when it speaks.
func TestDisowned(t *testing.T) {
	x := newWorld(t)
	location := x.register(alpha, "ep=alpha&lwm2m=1.1&lt=60", usual)
	y := x.restart(only(alpha))
	y.answer(&coap.Response{Code: coap.Unauthorized}, nil)
	ask := map[string]func() error{
		"Read": func() error { _, err := y.Read(t.Context(), "alpha", path("/3/0/9")); return err },
		"Observe": func() error {
			return y.ObserveTarget(t.Context(), "alpha", server.Node(path("/3/0/9")), "me")
		},
	}
	for name, do := range ask {
		if err := do(); !errors.Is(err, server.ErrUnreachable) || y.Reachable("alpha") {
			t.Errorf("%s = %v, reachable %t", name, err, y.Reachable("alpha"))
		}
	}
	if res := y.serve(alpha, coap.POST, location, "", 0, ""); res.Code != coap.Changed {
		t.Errorf("Update = %s", res.Code)
	}
	for name, do := range ask { // now it is the device's word
		var refused *server.ResponseError
		if err := do(); !errors.As(err, &refused) || refused.Code != coap.Unauthorized || !y.Reachable("alpha") {
			t.Errorf("%s after the Update = %v", name, err)
		}
	}
}
