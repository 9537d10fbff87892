package ets_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/server"
)

const linksJSON = `</>;rt="oma.lwm2m";ct=110,</1/0>,</3/0>,</16/0>`

func paths(texts ...string) []lwm2m.Path {
	out := make([]lwm2m.Path, 0, len(texts))
	for _, p := range texts {
		out = append(out, path(p))
	}
	return out
}

// names are the names of a pack in SenML JSON, with or without values.
func names(t *testing.T, body string) (out []string) {
	t.Helper()
	var records []struct{ BN, N string }
	if err := json.Unmarshal([]byte(body), &records); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	base := ""
	for _, r := range records {
		if r.BN != "" {
			base = r.BN
		}
		out = append(out, base+r.N)
	}
	return out
}

// pack is an answer in SenML JSON.
func pack(body string) reply { return reply{code: 205, format: 110, body: body, observe: true} }

// observedTogether has alpha observed at several paths, and returns the request.
func (x *world) observedTogether(d *device, first string, texts ...string) (server.Target, message) {
	x.t.Helper()
	d.on("FETCH /", func(message) reply { return pack(first) })
	target, err := server.Nodes(paths(texts...))
	x.must("target", err)
	d.taken()
	x.must("Observe-Composite", x.ObserveTarget(x.t.Context(), "alpha", target, "test"))
	asked := d.taken()
	if len(asked) != 1 || asked[0].key() != "FETCH /" {
		x.t.Fatalf("asked %v", asked)
	}
	if v, ok := asked[0].option(optObserve); !ok || v != 0 {
		x.t.Errorf("Observe is %d", v)
	}
	same(x.t, "paths", names(x.t, asked[0].payload), texts)
	return target, asked[0]
}

func ets230(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	d.says("iPATCH /", 204)
	x.must("Write-Composite", x.WriteComposite(t.Context(), "alpha", []lwm2m.Entry{
		entry("/1/0/1", lwm2m.Integer(61)), entry("/1/0/6", lwm2m.Boolean(true)),
		entry("/16/0/0/0", lwm2m.String("a")), entry("/16/0/0/3", lwm2m.String("d")),
	}))
	d.update("lt=61", 204)
	asked := d.taken()
	if len(asked) != 1 || asked[0].key() != "iPATCH /" {
		t.Fatalf("asked %v", asked)
	}
	got := senml(t, asked[0].payload)
	want := map[string]any{"/1/0/1": 61.0, "/1/0/6": true, "/16/0/0/0": "a", "/16/0/0/3": "d"}
	if !maps.Equal(got, want) {
		t.Errorf("body %s", asked[0].payload)
	}
}

func ets304(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	d.says("PUT /1/0/1", 204)
	x.must("Write-Attributes", x.WriteAttributes(t.Context(), "alpha", path("/1/0/1"), []string{"pmin=30", "pmax=45"}))
	d.wants("PUT /1/0/1?pmin=30&pmax=45")
	_, asked := x.observedTogether(d, `[{"n":"/1/0/1","v":86400},{"n":"/3/0/11/0","v":0},{"n":"/3/0/16","vs":"U"}]`,
		"/1/0/1", "/3/0/11/0", "/3/0/16")
	time.Sleep(40 * time.Second)
	body := `[{"n":"/1/0/1","v":500},{"n":"/3/0/11/0","v":1},{"n":"/3/0/16","vs":"UT"}]`
	if d.notify(con, asked.token, 2, pack(body)) != ack {
		t.Error("the notification is not acknowledged")
	}
	for p, want := range map[string]string{"/1/0/1": "500", "/3/0/11/0": "1", "/3/0/16": "UT"} {
		if got := x.value(p); got != want {
			t.Errorf("%s = %q, want %q", p, got, want)
		}
	}
}

func ets305(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	target, first := x.observedTogether(d, `[{"n":"/1/0/1","v":1},{"n":"/3/0/16","vs":"U"}]`, "/1/0/1", "/3/0/16")
	x.must("Cancel", x.CancelTarget(t.Context(), "alpha", target, "test"))
	asked := d.taken()
	if len(asked) != 1 || asked[0].key() != "FETCH /" {
		t.Fatalf("asked %v", asked)
	}
	if asked[0].payload != first.payload || asked[0].token != first.token {
		t.Errorf("asked %v, want the list and token of %v", asked[0], first)
	}
	if v, ok := asked[0].option(optObserve); !ok || v != 1 {
		t.Errorf("Observe is %d", v)
	}
	if d.notify(non, first.token, 2, pack(`[{"n":"/1/0/1","v":2}]`)) != rst {
		t.Error("a notification after the end is not reset")
	}
}

// portfolio observes /16/0 and /16/1, of which the first is there.
func portfolio(t *testing.T) (*world, *device, message) {
	t.Helper()
	x, d := registered(t, query11, linksJSON)
	_, asked := x.observedTogether(d, `[{"n":"/16/0/0/0","vs":"a"}]`, "/16/0", "/16/1")
	return x, d, asked
}

func ets308(t *testing.T) {
	x, d, asked := portfolio(t)
	d.on("POST /16", func(message) reply { return reply{code: 201, format: -1, path: "/16/1"} })
	p, err := x.Create(t.Context(), "alpha", lwm2m.NewPath(16), 1, []lwm2m.Entry{entry("/16/1/0/0", lwm2m.String("b"))})
	x.must("Create", err)
	if p != path("/16/1") {
		t.Errorf("created %s", p)
	}
	d.notify(non, asked.token, 2, pack(`[{"n":"/16/0/0/0","vs":"a2"},{"n":"/16/1/0/0","vs":"b2"}]`))
	if a, b := x.value("/16/0/0/0"), x.value("/16/1/0/0"); a != "a2" || b != "b2" {
		t.Errorf("values %q, %q", a, b)
	}
}

func ets309(t *testing.T) {
	x, d, asked := portfolio(t)
	d.says("DELETE /16/1", 202)
	x.must("Delete", x.Delete(t.Context(), "alpha", path("/16/1")))
	d.wants("DELETE /16/1")
	if d.notify(con, asked.token, 2, pack(`[{"n":"/16/0/0/0","vs":"a2"}]`)) != ack {
		t.Error("the notification is not acknowledged")
	}
	if a := x.value("/16/0/0/0"); a != "a2" {
		t.Errorf("value %q", a)
	}
}

func ets310(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	_, asked := x.observedTogether(d, `[{"n":"/3/0/16","vs":"U"},{"n":"/3/0/11/0","v":0}]`, "/3/0/16", "/3/0/11/0")
	d.says("PUT /3", 204)
	x.must("Write-Attributes", x.WriteAttributes(t.Context(), "alpha", path("/3"), []string{"pmax=5"}))
	d.wants("PUT /3?pmax=5")
	for i := range 3 {
		time.Sleep(5 * time.Second)
		d.notify(non, asked.token, uint32(2+i), pack(`[{"n":"/3/0/16","vs":"U"},{"n":"/3/0/11/0","v":0}]`))
	}
	if n := len(x.happened(server.Notified)); n < 3 {
		t.Errorf("%d notifications", n)
	}
}
