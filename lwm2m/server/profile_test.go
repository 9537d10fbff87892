package server_test

import (
	"fmt"
	"strings"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

// objects lists what the device registered.
func (x *world) objects(device string) string {
	x.t.Helper()
	reg, err := x.Registration(deviceID(device))
	if err != nil {
		x.t.Fatal(err)
	}
	var out []string
	for _, o := range reg.Objects {
		out = append(out, o.Path.String())
	}
	return strings.Join(out, " ")
}

// Profile ids are learned from whole lists (§6.2.1; 1.2-int-110, 1.2-int-111).
func TestProfiles(t *testing.T) {
	const a, b, none = "6:27354b9a", "oma:b", ""
	secure, nosec := peerOf("d"), fakePeer{address: "192.0.2.6:1"}
	for _, tt := range []struct {
		name  string
		first [][2]string // pid and list of devices that registered before
		peer  fakePeer
		pid   string
		list  string
		want  coap.Code
		has   string
	}{
		{name: "unknown", peer: secure, pid: a, want: coap.Conflict},
		{name: "unknown, with a part", peer: secure, pid: a, list: "</4/0>", want: coap.Conflict},
		{name: "unknown, with a whole list", peer: secure, pid: a, list: usual, want: coap.Created, has: "/1/0 /3/0 /5"},
		{name: "known", first: [][2]string{{a, usual}}, peer: secure, pid: a, want: coap.Created, has: "/1/0 /3/0 /5"},
		{
			name: "known, with a part", first: [][2]string{{a, usual}}, peer: secure, pid: a, list: "</4/0>",
			want: coap.Created, has: "/1/0 /3/0 /4/0 /5",
		},
		{
			name: "two", first: [][2]string{{a, usual}, {b, usual + ",</7/0>"}}, peer: secure, pid: `"` + a + "," + b + `"`,
			want: coap.Created, has: "/1/0 /3/0 /5 /7/0",
		},
		{name: "one of two unknown", first: [][2]string{{a, usual}}, peer: secure, pid: a + "," + b, want: coap.Conflict},
		{
			name: "a part teaches nothing", first: [][2]string{{a, "</3/0>"}}, peer: secure, pid: a, want: coap.Conflict,
		},
		{
			name: "disputed", first: [][2]string{{a, usual}, {a, "</1/0>,</3/0>,</6>"}}, peer: secure, pid: a,
			want: coap.Conflict,
		},
		{
			name: "more than the profile", first: [][2]string{{a, usual}, {a, usual + ",</6>"}}, peer: secure, pid: a,
			want: coap.Created, has: "/1/0 /3/0 /5",
		},
		{name: "taught with security", first: [][2]string{{a, usual}}, peer: nosec, pid: a, want: coap.Conflict},
	} {
		x := newWorld(t)
		register := func(p fakePeer, ep, pid, list string) *coap.Response {
			query := "ep=" + ep + "&lt=60&lwm2m=1.2"
			if pid != none {
				query += "&pid=" + pid
			}
			return x.serve(p, coap.POST, "rd", query, codec.Link, list)
		}
		for i, f := range tt.first {
			name := fmt.Sprint("first", i)
			register(peerOf(name), name, f[0], f[1])
		}
		res := register(tt.peer, "d", tt.pid, tt.list)
		if res.Code != tt.want {
			t.Errorf("%s: Register = %s %q, want %s", tt.name, res.Code, res.Payload, tt.want)
		}
		if res.Code == coap.Created && x.objects("d") != tt.has {
			t.Errorf("%s: objects %q, want %q", tt.name, x.objects("d"), tt.has)
		}
	}
}

// An Update may name a profile too; one that is unknown is 4.00, for there is no 4.09.
func TestUpdateByProfile(t *testing.T) {
	x := newWorld(t)
	at := x.register(alpha, "ep=alpha&lt=60&lwm2m=1.2&pid=oma:a", usual)
	x.register(peerOf("beta"), "ep=beta&lt=60&lwm2m=1.2&pid=oma:b", usual+",</7/0>")
	for _, tt := range []struct {
		query, list string
		want        coap.Code
		has         string
	}{
		{"pid=oma:c", "", coap.BadRequest, "/1/0 /3/0 /5"},
		{"pid=oma:b", "", coap.Changed, "/1/0 /3/0 /5 /7/0"},
		{"pid=oma:a", "</9/0>", coap.Changed, "/1/0 /3/0 /5 /9/0"},
		{"", "", coap.Changed, "/1/0 /3/0 /5 /9/0"},
		{"", "</3/0>", coap.Changed, "/3/0"},
	} {
		res := x.serve(alpha, coap.POST, at, tt.query, codec.Link, tt.list)
		if res.Code != tt.want || x.objects("alpha") != tt.has {
			t.Errorf("Update %q %q = %s %q, objects %q; want %s, %q", tt.query, tt.list, res.Code, res.Payload,
				x.objects("alpha"), tt.want, tt.has)
		}
	}
}

// More profiles than are kept push the oldest out.
func TestProfilesAreBounded(t *testing.T) {
	x := newWorld(t)
	for i := range 1025 {
		x.register(alpha, fmt.Sprint("ep=alpha&lt=60&lwm2m=1.2&pid=v:", i), usual)
	}
	for pid, want := range map[string]coap.Code{"v:0": coap.Conflict, "v:1": coap.Created, "v:1024": coap.Created} {
		if res := x.serve(alpha, coap.POST, "rd", "ep=alpha&lt=60&lwm2m=1.2&pid="+pid, codec.Link, ""); res.Code != want {
			t.Errorf("Register by %s = %s, want %s", pid, res.Code, want)
		}
	}
}

// So do long lists.
func TestProfilesOfManyObjects(t *testing.T) {
	x := newWorld(t)
	var long strings.Builder
	long.WriteString(usual)
	for i := range 2000 {
		fmt.Fprintf(&long, ",</%d>", 20000+i)
	}
	for i := range 40 {
		x.register(alpha, fmt.Sprint("ep=alpha&lt=60&lwm2m=1.2&pid=v:", i), long.String())
	}
	for pid, want := range map[string]coap.Code{"v:0": coap.Conflict, "v:39": coap.Created} {
		if res := x.serve(alpha, coap.POST, "rd", "ep=alpha&lt=60&lwm2m=1.2&pid="+pid, codec.Link, ""); res.Code != want {
			t.Errorf("Register by %s = %s, want %s", pid, res.Code, want)
		}
	}
}

// Queue mode inside the binding, as only 1.0 has it, is understood of later clients
// if somebody said so.
func TestTolerantBinding(t *testing.T) {
	for _, tolerant := range []bool{false, true} {
		x := &world{t: t, store: &servertest.Store{}, exchanger: &fakeExchanger{}}
		x.Server = mustNew(t, server.Options{
			Store: x.store, Exchanger: x.exchanger, Schema: testSchema, Identify: identify, Tolerant: tolerant,
		})
		res := x.serve(alpha, coap.POST, "rd", "ep=alpha&lt=60&lwm2m=1.1&b=UQ", codec.Link, usual)
		if tolerant != (res.Code == coap.Created) {
			t.Errorf("tolerant %t: Register with b=UQ = %s", tolerant, res.Code)
		}
		if tolerant && (!x.registration().Queue || x.registration().Binding != "U") {
			t.Errorf("registration %+v", x.registration())
		}
	}
}

// What devices taught is known after a restart, and so is a dispute.
func TestProfilesReturn(t *testing.T) {
	x, log := newLogged(t)
	const query = "ep=%s&lt=60&lwm2m=1.2&pid=%s"
	teach := func(w *world, name, pid, list string) coap.Code {
		return w.serve(peerOf(name), coap.POST, "rd", fmt.Sprintf(query, name, pid), codec.Link, list).Code
	}
	teach(x, "a", "oma:a", usual)
	teach(x, "b", "oma:b", usual)
	teach(x, "c", "oma:b", "</1/0>,</3/0>,</6>")
	y := x.over(log)
	if code := teach(y, "d", "oma:a", ""); code != coap.Created || y.objects("d") != "/1/0 /3/0 /5" {
		t.Errorf("by a profile of before: %s, %s", code, y.objects("d"))
	}
	if code := teach(y, "e", "oma:b", ""); code != coap.Conflict {
		t.Errorf("by a disputed profile: %s", code)
	}
}
