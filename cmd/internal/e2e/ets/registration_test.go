package ets_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/server"
)

const (
	query11 = "ep=alpha&lt=300&lwm2m=1.1&b=U"
	links   = `</>;rt="oma.lwm2m";ct="110 112",</1/0>,</3/0>`
)

// registered returns a world with alpha in it.
func registered(t *testing.T, query, links string) (*world, *device) {
	t.Helper()
	x := newWorld(t)
	d := x.device("")
	d.register(query, links)
	synctest.Wait()
	return x, d
}

func ets101(t *testing.T) {
	x, _ := registered(t, query11+"&sms=491701234567", `</>;rt="oma.lwm2m";ct="110 112",</1/0>,</3/0>,</5>`)
	r := x.registration()
	if r.Lifetime != 300*time.Second || r.Version != lwm2m.Version11 || r.Binding != "U" || r.SMS != "491701234567" {
		t.Errorf("registration %+v", r)
	}
	if !slices.Equal(r.Formats, []uint16{110, 112}) || len(r.Objects) != 3 {
		t.Errorf("formats %v, objects %v", r.Formats, r.Objects)
	}
}

func ets102(t *testing.T) {
	x, d := registered(t, query11, links)
	d.says("PUT /1/0/1", 204)
	x.write("/1/0/1", lwm2m.Integer(20))
	d.wants("PUT /1/0/1 ct=112 81A200662F312F302F310214")
	d.update("lt=20", 204)
	time.Sleep(19 * time.Second)
	x.registration()
	time.Sleep(3 * time.Second)
	x.gone()
	if len(x.happened(server.Expired)) != 1 {
		t.Error("no event")
	}
	d.update("", 404)
}

func ets103(t *testing.T) {
	x, d := registered(t, query11, links)
	d.says("POST /1/0/4", 204)
	x.must("Execute", x.Execute(t.Context(), "alpha", path("/1/0/4"), ""))
	d.wants("POST /1/0/4")
	d.expect("De-register", d.do(4, d.location, "", -1, ""), 202)
	x.gone()
}

func ets104(t *testing.T) {
	x, d := registered(t, query11, links)
	d.says("POST /1/0/8", 204)
	time.Sleep(200 * time.Second)
	x.must("Execute", x.Execute(t.Context(), "alpha", path("/1/0/8"), ""))
	d.wants("POST /1/0/8")
	d.update("", 204)
	time.Sleep(298 * time.Second)
	if r := x.registration(); r.Lifetime != 300*time.Second {
		t.Errorf("lifetime %v", r.Lifetime)
	}
}

func ets105(t *testing.T) {
	x, d := registered(t, query11, links)
	x.must("Dismiss", x.Dismiss(t.Context(), "alpha", "test"))
	d.update("", 404)
	d.register(query11, links)
	x.registration()
}

func ets107(t *testing.T) {
	x, d := registered(t, "ep=alpha&lt=60&lwm2m=1.1&b=U", links)
	d.says("PUT /1/0/1", 204)
	x.write("/1/0/1", lwm2m.Integer(120))
	d.update("lt=120", 204)
	time.Sleep(118 * time.Second)
	if r := x.registration(); r.Lifetime != 120*time.Second {
		t.Errorf("lifetime %v", r.Lifetime)
	}
	time.Sleep(4 * time.Second)
	x.gone()
}

func ets108(t *testing.T) {
	x, _ := registered(t, "ep=alpha&lt=3600&lwm2m=1.1&b=U&Q", links)
	if p := x.Presence("alpha"); !p.Queue || p.Asleep || !x.registration().Queue {
		t.Errorf("presence %+v", p)
	}
	time.Sleep(94 * time.Second)
	if p := x.Presence("alpha"); !p.Asleep {
		t.Errorf("presence after 94 s %+v", p)
	}
}

func ets241(t *testing.T) {
	x, d := registered(t, query11, links)
	d.says("POST /3/0/4", 204)
	x.must("Execute", x.Execute(t.Context(), "alpha", path("/3/0/4"), ""))
	old := d.location
	d.register(query11, links)
	if d.location == old {
		t.Error("the location of a dead registration is used again")
	}
	d.expect("Update of the old one", d.do(2, old, "", -1, ""), 404)
	d.update("", 204)
	if n := x.store.Registrations(); n != 1 {
		t.Errorf("%d registrations", n)
	}
}

func ets950(t *testing.T) {
	one, two := newWorld(t), newWorld(t)
	for _, x := range []*world{one, two} {
		x.device("").register(query11, links)
		x.registration()
	}
}

func ets951(t *testing.T) {
	for _, bounds := range [][]string{{"pmin=10", "pmax=60"}, {"pmin=20", "pmax=120"}} {
		x, d := registered(t, query11, links)
		d.says("PUT /3/0/1", 204)
		x.must("Write-Attributes", x.WriteAttributes(t.Context(), "alpha", path("/3/0/1"), bounds))
		d.wants("PUT /3/0/1?" + bounds[0] + "&" + bounds[1])
		d.on("GET /3/0/1", func(message) reply {
			return reply{code: 205, format: linkFormat, body: "</3/0/1>;" + bounds[0] + ";" + bounds[1]}
		})
		got, err := x.Discover(t.Context(), "alpha", path("/3/0/1"))
		x.must("Discover", err)
		if len(got) != 1 || got[0].Target != "/3/0/1" || len(got[0].Attributes) != 2 {
			t.Errorf("Discover = %v", got)
		}
	}
}

func ets1250(t *testing.T) {
	x, d := registered(t, query11, `</1/0>,</3/0>,</10/0>,</11>`)
	d.on("POST /11", func(message) reply { return reply{code: 201, format: -1, path: "/11/0"} })
	p, err := x.Create(t.Context(), "alpha", lwm2m.NewPath(11), -1, []lwm2m.Entry{entry("/11/0/0", lwm2m.String("net"))})
	x.must("Create", err)
	if p != path("/11/0") {
		t.Errorf("created %v", p)
	}
	d.expect("Update", d.do(2, d.location, "", linkFormat, `</1/0>,</3/0>,</10/0>,</11/0>`), 204)
	if !x.registration().Has(path("/11/0")) {
		t.Errorf("objects %v", x.registration().Objects)
	}
	d.says("PUT /11/0/1", 204)
	x.write("/11/0/1", lwm2m.String("apn"))
	d.says("GET /11/0/1", 205, "0", "61706E")
	same(t, "Read", x.read("/11/0/1"), []string{"/11/0/1=apn"})
}

func ets1350(t *testing.T) {
	x := newWorld(t)
	d := x.device("alpha")
	d.register(query11, links)
	x.join(d, "alpha", "198.51.100.7:4000")
	d.update("", 204)
	if r := x.registration(); r.Address != "198.51.100.7:4000" {
		t.Errorf("address %s", r.Address)
	}
	d.says("GET /3/0/0", 205, "0", "41")
	same(t, "Read", x.read("/3/0/0"), []string{"/3/0/0=A"})
}

const profile = "&lt=60&lwm2m=1.2&b=U&pid=6:27354b9a"

// taught is a world that has learned a profile from a whole registration.
func taught(t *testing.T) (*world, *device) {
	t.Helper()
	x := newWorld(t)
	x.device("").register("ep=first"+profile, `</1/0>,</3/0>,</5/0>`)
	return x, x.device("")
}

func ets110(t *testing.T) {
	x, d := taught(t)
	d.expect("unknown", d.do(2, "/rd", "ep=alpha&lt=60&lwm2m=1.2&pid=6:00000000", -1, ""), 409)
	d.location = d.expect("Register", d.do(2, "/rd", "ep=alpha"+profile, -1, ""), 201).texts(optLocation, "/", "/")
	if r := x.registration(); !r.Has(path("/5/0")) || len(r.Objects) != 3 {
		t.Errorf("objects %v", r.Objects)
	}
	d.update("", 204)
}

func ets111(t *testing.T) {
	x, d := taught(t)
	d.register("ep=alpha"+profile, "</4/0>")
	if r := x.registration(); !r.Has(path("/5/0")) || !r.Has(path("/4/0")) || len(r.Objects) != 4 {
		t.Errorf("objects %v", r.Objects)
	}
}
