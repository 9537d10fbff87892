package server_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

const usual = "</1/0>,</3/0>,</5>"

func peerOf(name string) fakePeer {
	return fakePeer{"192.0.2.9:1", coap.Identity{Role: coap.RolePSK, Name: name}}
}

// Codes of Register (Core 1.2.2 §6.2.1), every row of the table of answers.
func TestRegisterCodes(t *testing.T) {
	nosec := fakePeer{address: "192.0.2.3:1"}
	for _, tt := range []struct {
		name, query, body string
		peer              fakePeer
		format            uint16
		want              coap.Code
	}{
		{name: "1.0, only ep", query: "ep=alpha", want: coap.Created},
		{name: "1.0 without ep", query: "lt=60", want: coap.BadRequest},
		{name: "1.0 with Q", query: "ep=alpha&Q", want: coap.Created},
		{name: "1.0, UQS", query: "ep=alpha&b=UQS&lwm2m=1.0", want: coap.Created},
		{name: "1.0 has no T", query: "ep=alpha&b=T", want: coap.BadRequest},
		{name: "1.0, Q alone", query: "ep=alpha&b=Q", want: coap.BadRequest},
		{name: "1.1", query: "ep=alpha&lt=60&lwm2m=1.1&b=U&Q", want: coap.Created},
		{name: "1.1 without ep", query: "lt=60&lwm2m=1.1", want: coap.Created},
		{name: "1.1 without ep nor identity", query: "lt=60&lwm2m=1.1", peer: nosec, want: coap.BadRequest},
		{name: "1.1 without lt", query: "ep=alpha&lwm2m=1.1", want: coap.BadRequest},
		{name: "1.1 with UQ", query: "ep=alpha&lt=60&lwm2m=1.1&b=UQ", want: coap.BadRequest},
		{name: "1.1 has no M", query: "ep=alpha&lt=60&lwm2m=1.1&b=M", want: coap.BadRequest},
		{name: "1.2 has M", query: "ep=alpha&lt=60&lwm2m=1.2&b=UM", want: coap.Created},
		{name: "letter twice", query: "ep=alpha&lt=60&lwm2m=1.2&b=UU", want: coap.BadRequest},
		{name: "2.0", query: "lwm2m=2.0", want: coap.PreconditionFailed},
		{name: "lwm2m empty", query: "ep=alpha&lwm2m=", want: coap.BadRequest},
		{name: "lt negative", query: "ep=alpha&lt=-1", want: coap.BadRequest},
		{name: "lt beyond 32 bits", query: "ep=alpha&lt=4294967296", want: coap.BadRequest},
		{name: "ep twice", query: "ep=alpha&ep=beta", want: coap.BadRequest},
		{name: "ep empty", query: "ep=", want: coap.BadRequest},
		{name: "ep too long", query: "ep=" + strings.Repeat("x", 256), want: coap.BadRequest},
		{name: "unknown parameter", query: "ep=alpha&x=1&y", want: coap.Created},
		{name: "pid alone", query: "ep=alpha&lt=1&lwm2m=1.2&pid=6:27354b9a", body: "-", want: coap.Conflict},
		{name: "pid and list", query: "ep=alpha&lt=1&lwm2m=1.2&pid=oma:x", want: coap.Created},
		{name: "pid malformed", query: "ep=alpha&lt=1&lwm2m=1.2&pid=9", want: coap.BadRequest},
		{name: "1.1 knows no pid", query: "ep=alpha&lt=1&lwm2m=1.1&pid=9", want: coap.Created},
		{name: "no list", query: "ep=alpha", body: "-", want: coap.BadRequest},
		{name: "no object", query: "ep=alpha", body: `</>;rt="oma.lwm2m",</x>`, want: coap.BadRequest},
		{name: "no links", query: "ep=alpha", body: "<<", want: coap.BadRequest},
		{name: "too many", query: "ep=alpha", body: strings.Repeat("</3/0>,", 2048) + "</3/0>", want: coap.BadRequest},
		{name: "root unusable", query: "ep=alpha", body: `</a//b>;rt="oma.lwm2m",</3/0>`, want: coap.BadRequest},
		{name: "no link-format", query: "ep=alpha", format: codec.SenMLJSON, want: coap.UnsupportedContentFormat},
		{name: "another's name", query: "ep=beta", want: coap.BadRequest},
		{name: "unauthenticated", query: "ep=a", peer: peerOf("stranger"), want: coap.Unauthorized},
		{name: "forbidden", query: "ep=a", peer: peerOf("banned"), want: coap.Forbidden},
		{name: "our own trouble", query: "ep=a", peer: peerOf("broken"), want: coap.InternalServerError},
	} {
		x := newWorld(t)
		if tt.peer.address == "" {
			tt.peer = alpha
		}
		if tt.body == "" {
			tt.body = usual
		}
		if tt.format == 0 {
			tt.format = codec.Link
		}
		res := x.serve(tt.peer, coap.POST, "rd", tt.query, tt.format, strings.TrimPrefix(tt.body, "-"))
		if res.Code != tt.want || len(res.Payload) > 200 {
			t.Errorf("%s: Register %q = %s %q, want %s", tt.name, tt.query, res.Code, res.Payload, tt.want)
		}
		if n := x.store.Registrations(); (n == 1) != (tt.want == coap.Created) {
			t.Errorf("%s: %d registrations after %s", tt.name, n, res.Code)
		}
	}
}

func TestRoutes(t *testing.T) {
	x := newWorld(t)
	at := x.register(alpha, "ep=alpha", usual)
	for _, tt := range []struct {
		method coap.Code
		path   string
		want   coap.Code
	}{
		{coap.GET, "rd", coap.MethodNotAllowed},
		{coap.GET, at, coap.MethodNotAllowed},
		{coap.PUT, at, coap.MethodNotAllowed},
		{coap.GET, "dp", coap.MethodNotAllowed},
		{coap.POST, at + "/x", coap.NotFound},
		{coap.POST, "", coap.NotFound},
		{coap.GET, ".well-known/core", coap.NotFound},
		{coap.POST, "bs", coap.NotFound},
	} {
		if res := x.serve(alpha, tt.method, tt.path, "", 0, ""); res.Code != tt.want {
			t.Errorf("%s /%s = %s, want %s", tt.method, tt.path, res.Code, tt.want)
		}
	}
}

func TestRegistration(t *testing.T) {
	x := newWorld(t)
	x.register(alpha, "ep=alpha&lt=0&lwm2m=1.1&b=US&Q&sms=46&x=1&y",
		`</lwm2m>;rt="core.x oma.lwm2m";ct="112 110 112 99999",</lwm2m/3/0/>;ver="1.2", </lwm2m/1>;ver=1.1,`+
			`</lwm2m/1/0>,</lwm2m/3/0>,</lwm2m/5>,</6/0>,</lwm2m/7/0/1>,</lwm2m/4>;ver=x`)
	got := x.registration()
	want := server.Registration{
		ID: got.ID, Device: "alpha", Endpoint: "alpha", Version: lwm2m.Version11, Binding: "US", Queue: true, SMS: "46",
		Root: "/lwm2m", Formats: []uint16{112, 110}, Unknown: []string{"x=1", "y"}, Address: alpha.address,
		Objects: []server.ObjectLink{
			{Path: path("/1"), Version: "1.1"},
			{Path: path("/1/0")},
			{Path: path("/3/0"), Version: "1.2"},
			{Path: path("/4")},
			{Path: path("/5")},
		},
		RegisteredAt: got.RegisteredAt, UpdatedAt: got.RegisteredAt,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("registration %+v\nwant %+v", got, want)
	}
	for object, version := range map[uint16]string{1: "1.1", 3: "1.2", 4: "1.2", 5: "1.0", 6: ""} {
		if v, ok := got.ObjectVersion(object); v != version || ok != (version != "") {
			t.Errorf("ObjectVersion(%d) = %q, %v; want %q", object, v, ok, version)
		}
	}
}

// Codes and effects of Update (§6.2.2).
func TestUpdate(t *testing.T) {
	before := newWorld(t)
	for _, tt := range []struct {
		name, query, body string
		peer              fakePeer
		format            uint16
		want              coap.Code
		change            func(*server.Registration)
	}{
		{name: "refresh", want: coap.Changed},
		{name: "lt", query: "lt=120", want: coap.Changed, change: func(r *server.Registration) {
			r.Lifetime = 2 * time.Minute
		}},
		{name: "b without Q", query: "b=US", want: coap.Changed, change: func(r *server.Registration) {
			r.Binding, r.Queue = "US", false
		}},
		{name: "sms", query: "sms=1", want: coap.Changed, change: func(r *server.Registration) { r.SMS = "1" }},
		{name: "same names", query: "ep=alpha&lwm2m=1.1", want: coap.Changed},
		{name: "another name", query: "ep=beta", want: coap.BadRequest},
		{name: "another version", query: "lwm2m=1.2", want: coap.BadRequest},
		{name: "bad lt", query: "lt=x", want: coap.BadRequest},
		{name: "list keeps the root", body: "</lw/9>", want: coap.Changed, change: func(r *server.Registration) {
			r.Objects = []server.ObjectLink{{Path: path("/9")}}
		}},
		{name: "formats", body: `</>;ct=110,</9>`, want: coap.Changed, change: func(r *server.Registration) {
			r.Root, r.Formats, r.Objects = "", []uint16{110}, []server.ObjectLink{{Path: path("/9")}}
		}},
		{
			name: "root without formats, as Leshan says it", body: `</lw>;rt="oma.lwm2m",</lw/9>`, want: coap.Changed,
			change: func(r *server.Registration) { r.Objects = []server.ObjectLink{{Path: path("/9")}} },
		},
		{name: "bad list", body: "x", want: coap.BadRequest},
		{name: "bad format", body: "</9>", format: codec.TLV, want: coap.UnsupportedContentFormat},
		{name: "another device", peer: peerOf("beta"), want: coap.NotFound},
		{name: "banned", peer: peerOf("banned"), want: coap.NotFound},
		{name: "our trouble is no 4.04", peer: peerOf("broken"), want: coap.InternalServerError},
	} {
		x := &world{Server: before.Server, t: t, store: before.store}
		at := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1&Q", `</lw>;rt="oma.lwm2m";ct=112,</lw/3/0>`)
		want := x.registration()
		if tt.change != nil {
			tt.change(&want)
		}
		if tt.peer.address == "" {
			tt.peer = alpha
		}
		if tt.format == 0 {
			tt.format = codec.Link
		}
		res := x.serve(tt.peer, coap.POST, at, tt.query, tt.format, tt.body)
		got := x.registration()
		if res.Code != tt.want {
			t.Errorf("%s: %s %q, want %s", tt.name, res.Code, res.Payload, tt.want)
		}
		got.UpdatedAt, got.ExpiresAt = want.UpdatedAt, want.ExpiresAt
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: registration %+v\nwant %+v", tt.name, got, want)
		}
	}
	if res := before.serve(alpha, coap.POST, "rd/none", "", 0, ""); res.Code != coap.NotFound {
		t.Errorf("Update of nothing = %s, want 4.04", res.Code)
	}
}

func TestDeregister(t *testing.T) {
	x := newWorld(t)
	at := x.register(alpha, "ep=alpha", usual)
	for _, tt := range []struct {
		peer fakePeer
		want coap.Code
	}{
		{peerOf("beta"), coap.NotFound},
		{peerOf("broken"), coap.InternalServerError},
		{alpha, coap.Deleted},
		{alpha, coap.NotFound},
	} {
		if res := x.serve(tt.peer, coap.DELETE, at, "", 0, ""); res.Code != tt.want {
			t.Errorf("De-register by %s = %s, want %s", tt.peer.who.Name, res.Code, tt.want)
		}
	}
	if x.Reachable("alpha") {
		t.Error("reachable after De-register")
	}
}

func TestSend(t *testing.T) {
	const battery = `[{"n":"/3/0/9","v":7}]`
	for _, tt := range []struct {
		name, body string
		peer       fakePeer
		format     uint16
		want       coap.Code
	}{
		{"value", battery, alpha, codec.SenMLJSON, coap.Changed},
		{"new association of the same identity", battery, fakePeer{"192.0.2.7:1", alpha.who}, codec.SenMLJSON, coap.Changed},
		{"unregistered", battery, peerOf("beta"), codec.SenMLJSON, coap.NotFound},
		{"stranger", battery, peerOf("stranger"), codec.SenMLJSON, coap.NotFound},
		{"NoSec from elsewhere", battery, fakePeer{address: "192.0.2.8:1"}, codec.SenMLJSON, coap.NotFound},
		{"our trouble", battery, peerOf("broken"), codec.SenMLJSON, coap.InternalServerError},
		{"object not registered", `[{"n":"/6/0/0","v":7}]`, alpha, codec.SenMLJSON, coap.NotFound},
		{"malformed", "[", alpha, codec.SenMLJSON, coap.BadRequest},
		{"wrong type", `[{"n":"/3/0/9","vs":"x"}]`, alpha, codec.SenMLJSON, coap.BadRequest},
		{"another root", `[{"n":"/x/3/0/9","v":7}]`, alpha, codec.SenMLJSON, coap.BadRequest},
		{"format", "7", alpha, codec.Text, coap.UnsupportedContentFormat},
	} {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
		res := x.serve(tt.peer, coap.POST, "dp", "", tt.format, tt.body)
		v, kept := x.store.Value("alpha", path("/3/0/9"))
		if res.Code != tt.want || kept != (tt.want == coap.Changed) {
			t.Errorf("%s: Send = %s %q, kept %v; want %s", tt.name, res.Code, res.Payload, v, tt.want)
		}
	}
}

// Of historical values the newest is the last known one; an alternate path is
// part of the names.
func TestSendHistory(t *testing.T) {
	x := newWorld(t)
	x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", `</lw>;rt="oma.lwm2m",</lw/3/0>`)
	res := x.serve(alpha, coap.POST, "dp", "", codec.SenMLJSON,
		`[{"bn":"/lw/3/0/","n":"9","v":2,"t":1700000020},{"n":"9","v":1,"t":1700000010}]`)
	if v, _ := x.store.Value("alpha", path("/3/0/9")); res.Code != coap.Changed || v.Value != lwm2m.Integer(2) {
		t.Errorf("Send = %s %q, kept %v; want 2", res.Code, res.Payload, v)
	}
}

func TestNewRefuses(t *testing.T) {
	good := server.Options{
		Store: &servertest.Store{}, Exchanger: &fakeExchanger{}, Schema: testSchema, Identify: identify,
	}
	for name, spoil := range map[string]func(*server.Options){
		"store": func(o *server.Options) { o.Store = nil }, "exchanger": func(o *server.Options) { o.Exchanger = nil },
		"schema": func(o *server.Options) { o.Schema = nil }, "identify": func(o *server.Options) { o.Identify = nil },
		"workers": func(o *server.Options) { o.Workers = -1 },
	} {
		o := good
		spoil(&o)
		if _, err := server.New(t.Context(), o); err == nil {
			t.Errorf("New without good %s succeeded", name)
		}
	}
}
