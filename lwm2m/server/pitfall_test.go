package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

// What servers are known to get wrong, each by name.

// Clients step down to an earlier version on 4.12 only.
func TestPitfallVersion(t *testing.T) {
	x := newWorld(t)
	for _, v := range []string{"2.0", "1.3", "0.9", "1", "x", "1.1.1"} {
		res := x.serve(alpha, coap.POST, "rd", "ep=alpha&lt=60&lwm2m="+v, codec.Link, usual)
		if res.Code != coap.PreconditionFailed {
			t.Errorf("Register of version %q = %s, want 4.12", v, res.Code)
		}
	}
}

// The endpoint name need not be the name of the identity: whoever embeds the server
// looks it up.
func TestPitfallIdentityLookup(t *testing.T) {
	table := map[string]lwm2m.Endpoint{"serial 1234": "urn:imei:1", "key 7": "urn:imei:2"}
	x := &world{t: t, store: &servertest.Store{}, exchanger: &fakeExchanger{}}
	x.Server = mustNew(t, server.Options{
		Store: x.store, Exchanger: x.exchanger, Schema: testSchema,
		Identify: func(_ context.Context, who coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error) {
			if table[who.Name] != ep {
				return "", server.ErrIdentity
			}
			return fleet.ID(ep), nil
		},
	})
	for name, want := range map[string]coap.Code{
		"serial 1234": coap.Created, "key 7": coap.BadRequest, "x": coap.BadRequest,
	} {
		p := fakePeer{"192.0.2.3:1", coap.Identity{Role: coap.RolePSK, Name: name}}
		if res := x.serve(p, coap.POST, "rd", "ep=urn:imei:1&lt=60&lwm2m=1.1", codec.Link, usual); res.Code != want {
			t.Errorf("Register by %s = %s, want %s", name, res.Code, want)
		}
	}
}

// A registration belongs to an identity, not to an address: whoever has the address
// of a device now neither is it nor hears its requests.
func TestPitfallAddress(t *testing.T) {
	x := newWorld(t)
	at := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
	elsewhere := fakePeer{"198.51.100.7:40000", alpha.who}
	other := fakePeer{alpha.address, coap.Identity{Role: coap.RolePSK, Name: "beta"}}
	if res := x.serve(other, coap.POST, at, "", 0, ""); res.Code != coap.NotFound {
		t.Errorf("Update by another at the same address = %s, want 4.04", res.Code)
	}
	x.register(other, "ep=beta&lt=60&lwm2m=1.1", usual)
	if res := x.serve(elsewhere, coap.POST, at, "", 0, ""); res.Code != coap.Changed {
		t.Errorf("Update from another address = %s, want 2.04", res.Code)
	}
	if got := x.registration().Address; got != elsewhere.address {
		t.Errorf("address %s, want %s", got, elsewhere.address)
	}
	x.exchanger.answer = func(context.Context, *coap.Request) (*coap.Response, error) {
		return content(codec.Text, "1"), nil
	}
	if _, err := x.Read(t.Context(), "alpha", path("/3/0/9")); err != nil {
		t.Error(err)
	}
	nosec := fakePeer{address: "192.0.2.50:1"}
	x.register(nosec, "ep=gamma&lt=60&lwm2m=1.1", usual)
	const battery = `[{"n":"/3/0/9","v":7}]`
	moved := fakePeer{address: "192.0.2.51:1"}
	if res := x.serve(moved, coap.POST, "dp", "", codec.SenMLJSON, battery); res.Code != coap.NotFound {
		t.Errorf("Send without security from elsewhere = %s, want 4.04", res.Code)
	}
}

// A Register ends observations and pending operations, and what is wanted is
// established anew.
func TestPitfallReRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPair(t, lwm2m.Version11)
		x.register()
		ctx := t.Context()
		x.check("Observe", x.Observe(ctx, "alpha", path("/3/0/9"), "me"))
		for level := range int64(3) {
			x.register()
			x.set(ctx, level)
			if x.level() != level {
				t.Errorf("level %d after registering anew, want %d", x.level(), level)
			}
		}
		x.join() // a new association, as after a reboot behind another address
		x.register()
		x.set(ctx, 50)
		if x.level() != 50 {
			t.Errorf("level %d by the new association, want 50", x.level())
		}
	})
}

// 4.04 to an Update stops some clients for good: it is said only of a registration
// that is gone, not in trouble of our own, nor after a restart.
func TestPitfallSpuriousNotFound(t *testing.T) {
	x := newWorld(t)
	at := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
	broken := fakePeer{alpha.address, coap.Identity{Role: coap.RolePSK, Name: "broken"}}
	if res := x.serve(broken, coap.POST, at, "", 0, ""); res.Code != coap.InternalServerError {
		t.Errorf("Update in our trouble = %s, want 5.00", res.Code)
	}
	if res := x.restart(nil).serve(alpha, coap.POST, at, "", 0, ""); res.Code != coap.Changed {
		t.Errorf("Update after a restart = %s, want 2.04", res.Code)
	}
	if res := x.serve(alpha, coap.POST, at, "lt=0x", 0, ""); res.Code != coap.BadRequest {
		t.Errorf("malformed Update = %s, want 4.00", res.Code)
	}
	x.serve(alpha, coap.DELETE, at, "", 0, "")
	if res := x.serve(alpha, coap.POST, at, "", 0, ""); res.Code != coap.NotFound {
		t.Errorf("Update of what is gone = %s, want 4.04", res.Code)
	}
}

// Whatever a device in queue mode says, an answer and a Send too, begins its window
// anew.
func TestPitfallQueueWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=3600&lwm2m=1.1&b=U&Q", usual)
		x.answer(content(codec.Text, "1"), nil)
		time.Sleep(90 * time.Second)
		asleep(t, x, "before the end of the window", false) // its answer
		time.Sleep(90 * time.Second)
		asleep(t, x, "after an answer", false)
		time.Sleep(94 * time.Second)
		asleep(t, x, "after the window", true)
		x.serve(alpha, coap.POST, "dp", "", codec.SenMLJSON, `[{"n":"/3/0/9","v":7}]`)
		asleep(t, x, "after a Send", false)
	})
}

// The version of an object may stand at its link or at that of an instance, quoted
// or not; without, it is that of the device's LwM2M version, and of no later one.
func TestPitfallObjectVersion(t *testing.T) {
	for _, tt := range []struct {
		version, links, want string
	}{
		{"1.0", "</3/0>", "1.0"},
		{"1.1", "</3/0>", "1.1"},
		{"1.2", "</3/0>", "1.2"},
		{"1.1", `</3>;ver=1.2,</3/0>`, "1.2"},
		{"1.1", `</3>;ver="1.2",</3/0>`, "1.2"},
		{"1.1", `</3/0>;ver=1.0`, "1.0"},
		{"1.1", `</3/0>, </3>;ver=1.2`, "1.2"},
		{"1.1", `</3/0>;ver=x`, "1.1"},
	} {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=60&lwm2m="+tt.version, tt.links)
		if got, ok := x.registration().ObjectVersion(3); got != tt.want || !ok {
			t.Errorf("%s, %s: version %q, want %q", tt.version, tt.links, got, tt.want)
		}
	}
}

// Opaque values in all variants of base64, links by "vlo", and base names that change
// inside a pack.
func TestPitfallSenML(t *testing.T) {
	opaque := lwm2m.Opaque([]byte{0xfb, 0xff})
	for _, tt := range []struct {
		body string
		path string
		want lwm2m.Value
	}{
		{`[{"n":"/19/0/0/0","vd":"-_8"}]`, "/19/0/0/0", opaque},
		{`[{"n":"/19/0/0/0","vd":"-_8="}]`, "/19/0/0/0", opaque},
		{`[{"n":"/19/0/0/0","vd":"+/8="}]`, "/19/0/0/0", opaque},
		{`[{"n":"/19/0/7","vlo":"3:0"}]`, "/19/0/7", lwm2m.Objlnk(3, 0)},
		{`[{"n":"/19/0/7","vlo":"FFFF:FFFF"}]`, "/19/0/7", lwm2m.Objlnk(lwm2m.NoID, lwm2m.NoID)},
		{`[{"bn":"/3/0/","n":"9","v":5}]`, "/3/0/9", lwm2m.Integer(5)},
		{`[{"bn":"/3/0/9","v":6}]`, "/3/0/9", lwm2m.Integer(6)},
		{`[{"bn":"/3/","n":"0/14","vs":"x"},{"bn":"/3/0/","n":"9","v":7}]`, "/3/0/9", lwm2m.Integer(7)},
	} {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual+",</19/0>")
		res := x.serve(alpha, coap.POST, "dp", "", codec.SenMLJSON, tt.body)
		if v, _ := x.store.Value("alpha", path(tt.path)); res.Code != coap.Changed || v.Value != tt.want {
			t.Errorf("Send %s = %s %q, kept %v; want %v", tt.body, res.Code, res.Payload, v, tt.want)
		}
	}
}

// Values of a Send count whether or not something is observed.
func TestPitfallSendWithoutObservation(t *testing.T) {
	x := newWorld(t)
	x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
	var events []server.Happening
	defer x.Subscribe(func(e server.Event) { events = append(events, e.Kind) })()
	res := x.serve(alpha, coap.POST, "dp", "", codec.SenMLJSON, `[{"n":"/3/0/9","v":7}]`)
	v, _ := x.store.Value("alpha", path("/3/0/9"))
	if res.Code != coap.Changed || v.Value != lwm2m.Integer(7) || len(events) != 1 || events[0] != server.Sent {
		t.Errorf("Send = %s, kept %v, events %v", res.Code, v, events)
	}
}

// A TLV answer may have or lack the level of what was asked for.
func TestPitfallTLVLevel(t *testing.T) {
	for name, tt := range map[string]struct{ path, body string }{
		"instance, without its level": {"/3/0", "\xc1\x09\x07"},
		"instance, with its level":    {"/3/0", "\x03\x00\xc1\x09\x07"},
		"object":                      {"/3", "\x03\x00\xc1\x09\x07"},
		"resource":                    {"/3/0/9", "\xc1\x09\x07"},
	} {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=60&lwm2m=1.0", usual)
		x.answer(content(codec.TLV, tt.body), nil)
		got, err := x.Read(t.Context(), "alpha", path(tt.path))
		if err != nil || len(got) != 1 || got[0] != entry("/3/0/9", lwm2m.Integer(7)) {
			t.Errorf("%s: Read = %v, %v", name, got, err)
		}
	}
}

// A write of the lifetime is followed by the device's Update (§6.2.2), which counts;
// a write of Mute (/1/x/23) is a write as any other.
func TestLifetimeChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		at := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.2", usual)
		err := x.Write(t.Context(), "alpha", path("/1/0/1"),
			[]lwm2m.Entry{entry("/1/0/1", lwm2m.Integer(600))}, server.Replace)
		if err != nil || x.registration().Lifetime != time.Minute {
			t.Errorf("Write = %v, lifetime %v before the Update", err, x.registration().Lifetime)
		}
		x.serve(alpha, coap.POST, at, "lt=600", 0, "")
		if got := x.registration(); got.Lifetime != 10*time.Minute || got.ExpiresAt.Sub(got.UpdatedAt) != 10*time.Minute {
			t.Errorf("after the Update %+v", got)
		}
		x.taken()
		err = x.Write(t.Context(), "alpha", path("/1/0/23"),
			[]lwm2m.Entry{entry("/1/0/23", lwm2m.Boolean(false))}, server.Replace)
		if sent := x.taken(); err != nil || len(sent) != 1 || strings.Join(sent[0].Path, "/") != "1/0/23" {
			t.Errorf("Write of Mute = %v, %v", err, sent)
		}
	})
}

// Composites of devices that acknowledge and never answer end by the caller's
// patience.
func TestPitfallCompositeWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
		x.exchanger.answer = func(ctx context.Context, _ *coap.Request) (*coap.Response, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := x.ReadComposite(ctx, "alpha", paths("/3")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ReadComposite = %v", err)
		}
	})
}
