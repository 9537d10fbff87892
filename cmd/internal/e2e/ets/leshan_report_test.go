package ets_test

import (
	"errors"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/server"
)

func badNotification(t *testing.T) {
	x, d := registered(t, query11, links)
	token := x.observed(d, "/3/0/9")
	d.notify(con, token, 2, reply{code: 205, format: 666, body: "?"})
	d.notify(con, token, 3, reply{code: 205, format: 110, body: "["})
	d.update("", 204)
	d.says("GET /3/0/0", 205, "0", "41")
	same(t, "Read", x.read("/3/0/0"), []string{"/3/0/0=A"})
	if v := x.value("/3/0/9"); v != "1" {
		t.Errorf("value %q", v)
	}
}

func observedGone(t *testing.T) {
	x, d := registered(t, query11, links)
	token := x.observed(d, "/3/0/9")
	d.notify(con, token, 2, reply{code: 404, format: -1})
	if n := len(x.happened(server.Lost)); n != 1 {
		t.Errorf("%d observations lost", n)
	}
	if d.notify(con, token, 3, text("5")) != rst {
		t.Error("a notification after the end is not reset")
	}
}

func history(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	token := x.observed(d, "/3/0/9")
	body := `[{"bn":"/3/0/9","bt":1700000000,"t":2,"v":12},{"t":1,"v":11},{"t":0,"v":10}]`
	d.notify(non, token, 2, reply{code: 205, format: 110, body: body})
	events := x.happened(server.Notified)
	if n := len(events[len(events)-1].Entries); n != 3 {
		t.Errorf("%d values", n)
	}
	if v := x.value("/3/0/9"); v != "12" {
		t.Errorf("value %q, want the newest", v)
	}
}

func unexpectedPath(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	d.says("FETCH /", 205, "110", hexOf(`[{"n":"/3/0/1","vs":"x"}]`))
	if _, err := x.ReadComposite(t.Context(), "alpha", paths("/3/0/9")); !errors.Is(err, server.ErrAnswer) {
		t.Errorf("Read-Composite = %v", err)
	}
}

func emptyObject(t *testing.T) {
	x, d := registered(t, query11, linksJSON)
	for _, answer := range [][2]string{{"110", hexOf("[]")}, {"112", "80"}, {"11542", ""}} {
		d.says("GET /16", 205, answer[0], answer[1])
		same(t, "Read in "+answer[0], x.read("/16"), []string{})
	}
}

func emptyOpaque(t *testing.T) {
	x, d := registered(t, query11, `</1/0>,</3/0>,</19/0>`)
	d.says("GET /19/0/0/0", 205, "42", "")
	entries, err := x.Read(t.Context(), "alpha", path("/19/0/0/0"))
	if err != nil || len(entries) != 1 || entries[0].Value.Plain() != "" {
		t.Errorf("Read = %v, %v", entries, err)
	}
}

func failures(t *testing.T) {
	x, d := registered(t, query11, links)
	for want, code := range map[int]coap.Code{
		400: coap.BadRequest, 401: coap.Unauthorized, 404: coap.NotFound, 405: coap.MethodNotAllowed,
	} {
		d.says("GET /3/0/4", want)
		_, err := x.Read(t.Context(), "alpha", path("/3/0/4"))
		refusedWith(t, "Read", err, code)
	}
}

func sendHistory(t *testing.T) {
	x, d := registered(t, query11, links)
	body := `[{"bn":"/3/0/","bt":1700000000,"n":"9","v":50},{"n":"9","t":60,"v":51},{"n":"9","t":120,"v":52}]`
	d.expect("Send", d.do(2, "/dp", "", 110, body), 204)
	events := x.happened(server.Sent)
	if len(events) != 1 || len(events[0].Entries) != 3 {
		t.Fatalf("events %v", events)
	}
	for i, e := range events[0].Entries {
		if e.Time.Unix() != 1700000000+60*int64(i) {
			t.Errorf("value %d is of %v", i, e.Time)
		}
	}
	if v := x.value("/3/0/9"); v != "52" {
		t.Errorf("value %q", v)
	}
}

func badValue(t *testing.T) {
	x, d := registered(t, query11, links)
	err := x.Write(t.Context(), "alpha", path("/1/0/1"), []lwm2m.Entry{entry("/1/0/1", lwm2m.String("x"))}, server.Replace)
	if err == nil {
		t.Error("text is written to an integer")
	}
	d.wants()
}

func replaceInstance(t *testing.T) {
	x, d := registered(t, "ep=alpha&lt=60&b=U", `</1/0>,</3/0>,</16/0>`)
	d.says("PUT /16/0", 204)
	x.must("Write", x.Write(t.Context(), "alpha", path("/16/0"), []lwm2m.Entry{
		entry("/16/0/0/0", lwm2m.String("a")), entry("/16/0/0/1", lwm2m.String("b")),
	}, server.Replace))
	d.wants("PUT /16/0 ct=11542 8600" + "410061" + "410162")
}

func movedNotification(t *testing.T) {
	x := newWorld(t)
	d := x.device("alpha")
	d.register(query11, links)
	x.observed(d, "/3/0/9")
	x.join(d, "alpha", "198.51.100.9:1000")
	d.update("", 204)
	time.Sleep(time.Second)
	asked := d.wants("GET /3/0/9 observe=0") // a new association knows nothing of the old observation
	d.notify(con, asked[0].token, 2, text("5"))
	if v := x.value("/3/0/9"); v != "5" {
		t.Errorf("value %q", v)
	}
}

func movedSend(t *testing.T) {
	x := newWorld(t)
	d := x.device("alpha")
	d.register(query11, links)
	x.join(d, "alpha", "198.51.100.9:1000")
	d.expect("Send", d.do(2, "/dp", "", 110, `[{"n":"/3/0/9","v":5}]`), 204)
	if v := x.value("/3/0/9"); v != "5" {
		t.Errorf("value %q", v)
	}
}

// strangers are what comes from another address without security.
func strangers(t *testing.T) {
	x, d := registered(t, query11, links)
	token := x.observed(d, "/3/0/9")
	x.join(d, "", "198.51.100.9:1000")
	if d.notify(con, token, 2, text("5")) == ack {
		t.Error("a notification of a stranger is acknowledged")
	}
	if m := d.do(2, "/dp", "", 110, `[{"n":"/3/0/9","v":6}]`); m.number() < 400 || m.number() >= 500 {
		t.Errorf("Send of a stranger: %d", m.number())
	}
	if v := x.value("/3/0/9"); v != "1" {
		t.Errorf("value %q", v)
	}
}
