package ets_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/server"
)

const gatewayLinks = `</>;rt="oma.lwm2m";ct=110,</1/0>,</3/0>,</25/0>`

// gateway registers a gateway with a device behind it, of which the server learns.
func gateway(t *testing.T) (*world, *device) {
	t.Helper()
	x := newWorld(t)
	d := x.device("")
	d.says("GET /25", 205, "110", hexOf(`[{"bn":"/25/0/","n":"0","vs":"sensor 1"},{"n":"1","vs":"d01"},`+
		`{"n":"3","vs":"</d01/3/0>,</d01/3303/0>"}]`))
	d.register(query11, gatewayLinks)
	synctest.Wait()
	d.wants("GET /25 observe=0")
	if v := x.value("/25/0/1"); v != "d01" {
		t.Fatalf("prefix %q", v)
	}
	return x, d
}

// Devices behind a gateway are addressed below their prefixes (Gateway 1.1 §7).
func gatewayOperations(t *testing.T) {
	x, d := gateway(t)
	d.says("GET /d01/3/0/0", 205, "0", hexOf("Maker"))
	same(t, "Read", x.read("/d01/3/0/0"), []string{"/d01/3/0/0=Maker"})
	for _, name := range []string{"/d01/3303/0/5700", "/3303/0/5700"} { // with the prefix, and as the device itself says
		d.says("GET /d01/3303/0", 205, "110", hexOf(`[{"n":"`+name+`","v":21.5}]`))
		same(t, "Read", x.read("/d01/3303/0"), []string{"/d01/3303/0/5700=21.5"})
	}
	d.says("GET /d01/3303/0", 205, "110", hexOf(`[{"n":"/d02/3303/0/5700","v":1}]`))
	if _, err := x.Read(t.Context(), "alpha", path("/d01/3303/0")); !errors.Is(err, server.ErrAnswer) {
		t.Errorf("an answer of another device: %v", err)
	}
	d.says("GET /d01/3", 205, "40", hexOf(`</d01/3/0>,</d01/3/0/0>;pmin=10`))
	links, err := x.Discover(t.Context(), "alpha", path("/d01/3"))
	x.must("Discover", err)
	if len(links) != 2 || links[1].Target != "/d01/3/0/0" {
		t.Errorf("discovered %v", links)
	}
	d.taken()
	for _, key := range []string{"PUT /d01/3/0/14", "PUT /d01/3303/0/5700", "POST /d01/3/0/4", "DELETE /d01/3303/0"} {
		d.says(key, 204)
	}
	x.must("Write", x.Write(t.Context(), "alpha", path("/d01/3/0/14"), []lwm2m.Entry{
		entry("/d01/3/0/14", lwm2m.String("+02:00")),
	}, server.Replace))
	x.must("Write-Attributes", x.WriteAttributes(t.Context(), "alpha", path("/d01/3303/0/5700"), []string{"gt=30"}))
	x.must("Execute", x.Execute(t.Context(), "alpha", path("/d01/3/0/4"), ""))
	d.on("POST /d01/3303", func(message) reply { return reply{code: 201, format: -1, path: "/d01/3303/7"} })
	made, err := x.Create(t.Context(), "alpha", path("/d01/3303"), -1, []lwm2m.Entry{
		entry("/d01/3303/0/5701", lwm2m.String("Cel")),
	})
	x.must("Create", err)
	if made != path("/d01/3303/7") {
		t.Errorf("created %s", made)
	}
	d.says("DELETE /d01/3303/7", 202)
	x.must("Delete", x.Delete(t.Context(), "alpha", made))
	asked := d.taken()
	var keys []string
	for _, m := range asked {
		keys = append(keys, m.key())
	}
	same(t, "asked", keys, []string{
		"PUT /d01/3/0/14", "PUT /d01/3303/0/5700", "POST /d01/3/0/4", "POST /d01/3303", "DELETE /d01/3303/7",
	})
	if got := names(t, asked[3].payload); !slices.Equal(got, []string{"/d01/3303/65535/5701"}) {
		t.Errorf("Create names %q", got)
	}
}

func gatewayReports(t *testing.T) {
	x, d := gateway(t)
	token := x.observed(d, "/d01/3/0/9")
	d.notify(con, token, 2, reply{code: 205, format: 110, body: `[{"n":"/d01/3/0/9","v":7}]`})
	if v := x.value("/d01/3/0/9"); v != "7" {
		t.Errorf("value %q after a notification", v)
	}
	d.expect("Send", d.do(2, "/dp", "", 110,
		`[{"n":"/3/0/9","v":50},{"n":"/d01/3/0/9","v":8},{"n":"/d02/3303/0/5700","v":19.5}]`), 204)
	for p, want := range map[string]string{"/3/0/9": "50", "/d01/3/0/9": "8", "/d02/3303/0/5700": "19.5"} {
		if v := x.value(p); v != want {
			t.Errorf("%s = %q after a Send, want %s", p, v, want)
		}
	}
	// {["d01", 3303, 0, 5700]: 22}
	d.expect("Send of LwM2M CBOR", d.do(2, "/dp", "", 11544, unhex("a184 63643031 190ce7 00 191644 16")), 204)
	if v := x.value("/d01/3303/0/5700"); v != "22" {
		t.Errorf("value %q after a Send of LwM2M CBOR", v)
	}
	d.expect("a name that is none", d.do(2, "/dp", "", 110, `[{"n":"/a/b/3/0/9","v":1}]`), 400)
}

func gatewayComposite(t *testing.T) {
	x, d := gateway(t)
	d.says("FETCH /", 205, "110", hexOf(`[{"n":"/d01/3/0/0","vs":"Maker"},{"n":"/d01/3303/0/5700","v":20}]`))
	entries, err := x.ReadComposite(t.Context(), "alpha", paths("/d01/3/0/0", "/d01/3303/0"))
	x.must("Read-Composite", err)
	if len(entries) != 2 || entries[1].Path != path("/d01/3303/0/5700") {
		t.Errorf("read %v", entries)
	}
	asked := d.taken()
	if got := names(t, asked[0].payload); !slices.Equal(got, []string{"/d01/3/0/0", "/d01/3303/0"}) {
		t.Errorf("asked for %q", got)
	}
	d.says("iPATCH /", 204)
	x.must("Write-Composite", x.WriteComposite(t.Context(), "alpha", []lwm2m.Entry{
		entry("/d01/3/0/14", lwm2m.String("+01:00")), entry("/d01/3/0/15", lwm2m.String("Europe/Berlin")),
	}))
	if got := names(t, d.taken()[0].payload); !slices.Equal(got, []string{"/d01/3/0/14", "/d01/3/0/15"}) {
		t.Errorf("written %q", got)
	}
	_, err = x.ReadComposite(t.Context(), "alpha", paths("/d01/3/0/0", "/3/0/0"))
	if !errors.Is(err, lwm2m.ErrPath) {
		t.Errorf("of two devices: %v", err)
	}
	target, first := x.observedTogether(d, `[{"n":"/d01/3/0/9","v":1}]`, "/d01/3/0/9", "/d01/3303/0/5700")
	d.notify(con, first.token, 2, pack(`[{"n":"/d01/3/0/9","v":2},{"n":"/d01/3303/0/5700","v":3}]`))
	if v := x.value("/d01/3303/0/5700"); v != "3" {
		t.Errorf("value %q", v)
	}
	x.must("Cancel", x.CancelTarget(t.Context(), "alpha", target, "test"))
}

// A device that is no gateway has nothing behind it.
func noGateway(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	if _, err := x.Read(t.Context(), "alpha", path("/d01/3/0/0")); !errors.Is(err, server.ErrUnsupported) {
		t.Errorf("Read = %v", err)
	}
	d.wants()
	d.expect("Send", d.do(2, "/dp", "", 110, `[{"n":"/d01/3/0/9","v":8}]`), 400)
	if v := x.value("/d01/3/0/9"); v != "" {
		t.Errorf("value %q", v)
	}
}

// The list of devices behind a gateway is observed anew after each Register.
func gatewayReturns(t *testing.T) {
	x, d := gateway(t)
	d.register(query11, gatewayLinks)
	synctest.Wait()
	asked := d.wants("GET /25 observe=0")
	d.notify(con, asked[0].token, 9, pack(`[{"bn":"/25/1/","n":"0","vs":"sensor 2"},{"n":"1","vs":"d02"}]`))
	if v := x.value("/25/1/1"); v != "d02" {
		t.Errorf("prefix %q", v)
	}
	d.says("GET /d02/3/0/0", 404)
	_, err := x.Read(t.Context(), "alpha", path("/d02/3/0/0"))
	refusedWith(t, "Read", err, coap.NotFound)
}
