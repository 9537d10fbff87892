package ets_test

import (
	"encoding/hex"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/server"
)

func hexOf(text string) string { return hex.EncodeToString([]byte(text)) }

// text is a value in text/plain.
func text(body string) reply { return reply{code: 205, body: body} }

// observed has alpha observed at a path, whose first value is 1, and returns the
// token.
func (x *world) observed(d *device, p string) string {
	x.t.Helper()
	d.says("GET "+p, 205, "0", "31")
	x.must("Observe", x.Observe(x.t.Context(), "alpha", path(p), "test"))
	for _, m := range d.taken() {
		if m.key() == "GET "+p {
			if v, ok := m.option(optObserve); ok && v == 0 {
				return m.token
			}
		}
	}
	x.t.Fatalf("%s is not observed", p)
	return ""
}

func ets301(t *testing.T) {
	x, d := registered(t, query11, links)
	for p, query := range map[string][]string{"/3/0/7": {"pmin=5", "pmax=15"}, "/3/0/8": {"pmin=10", "pmax=20"}} {
		d.says("PUT "+p, 204)
		x.must("Write-Attributes", x.WriteAttributes(t.Context(), "alpha", path(p), query))
		d.wants("PUT " + p + "?" + query[0] + "&" + query[1])
	}
	volt, ampere := x.observed(d, "/3/0/7"), x.observed(d, "/3/0/8")
	time.Sleep(15 * time.Second)
	if d.notify(con, volt, 2, text("3600")) != ack {
		t.Error("a confirmable notification is not acknowledged")
	}
	if d.notify(non, ampere, 2, text("125")) == rst {
		t.Error("a notification is reset")
	}
	if v, a := x.value("/3/0/7"), x.value("/3/0/8"); v != "3600" || a != "125" {
		t.Errorf("values %s, %s", v, a)
	}
	if n := len(x.happened(server.Notified)); n < 2 {
		t.Errorf("%d events", n)
	}
}

func ets302(t *testing.T) {
	x, d := registered(t, query11, links)
	token := x.observed(d, "/3/0/7")
	d.hears(false) // the cancellation is lost
	ctx := t.Context()
	_ = x.CancelObserve(ctx, "alpha", path("/3/0/7"), "test")
	d.hears(true)
	for _, typ := range []byte{non, con} {
		if got := d.notify(typ, token, 3, text("9")); got != rst {
			t.Errorf("the notification was answered by %d, want a reset", got)
		}
	}
	if v := x.value("/3/0/7"); v != "1" {
		t.Errorf("value %s", v)
	}
}

func ets303(t *testing.T) {
	x, d := registered(t, query11, links)
	token := x.observed(d, "/3/0/7")
	x.must("Cancel", x.CancelObserve(t.Context(), "alpha", path("/3/0/7"), "test"))
	asked := d.wants("GET /3/0/7 observe=1")
	if asked[0].token != token {
		t.Errorf("token %x, want %x", asked[0].token, token)
	}
}

func ets306(t *testing.T) {
	x, d := registered(t, query11, links)
	d.expect("Send", d.do(2, "/dp", "", 110, `[{"bn":"/3/0/","n":"9","v":95},{"n":"13","v":1367491215}]`), 204)
	if got := x.value("/3/0/9"); got != "95" {
		t.Errorf("value %s", got)
	}
	body := unhex("81 A2 00 66 2F332F302F39 02 18 5E") // [{0:"/3/0/9",2:94}]
	d.expect("Send", d.do(2, "/dp", "", 112, body), 204)
	if got := x.value("/3/0/9"); got != "94" {
		t.Errorf("value %s", got)
	}
	if n := len(x.happened(server.Sent)); n != 2 {
		t.Errorf("%d events", n)
	}
}

func ets307(t *testing.T) {
	x, d := registered(t, query11, `</>;rt="oma.lwm2m";ct=112,</1/0>,</3/0>`)
	d.says("PUT /1/0/23", 204)
	x.write("/1/0/23", lwm2m.Boolean(true))
	d.wants("PUT /1/0/23 ct=112 81A200672F312F302F323304F5")
	x.write("/1/0/23", lwm2m.Boolean(false))
	d.wants("PUT /1/0/23 ct=112 81A200672F312F302F323304F4")
	d.expect("Send", d.do(2, "/dp", "", 110, `[{"n":"/3/0/9","v":95}]`), 204)
	if got := x.value("/3/0/9"); got != "95" {
		t.Errorf("value %s", got)
	}
}

func ets311(t *testing.T) {
	x, d := registered(t, query11, links)
	d.expect("Send", d.do(2, "/dp", "", 110, `[{"n":"/1/0/1","v":86400},{"n":"/3/0/11/0","v":0}]`), 204)
	synctest.Wait()
	if a, b := x.value("/1/0/1"), x.value("/3/0/11/0"); a != "86400" || b != "0" {
		t.Errorf("values %q, %q", a, b)
	}
}
