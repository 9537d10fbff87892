package server_test

import (
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
)

// TestRepeatedAfterCrash serves a request, and again by a server that knows no
// more than what was stored: what a device repeats when the server was killed
// before its answer arrived, and the engine has forgotten the message.
func TestRepeatedAfterCrash(t *testing.T) {
	x := newWorld(t)
	twice := func(method coap.Code, path, query string, format uint16, body string) (a, b *coap.Response) {
		a = x.serve(alpha, method, path, query, format, body)
		x.Server = mustNew(t, server.Options{Store: x.store, Exchanger: x.exchanger, Schema: testSchema, Identify: identify})
		return a, x.serve(alpha, method, path, query, format, body)
	}
	first, second := twice(coap.POST, "rd", "ep=alpha&lt=60&lwm2m=1.1", codec.Link, usual)
	if first.Code != coap.Created || second.Code != coap.Created {
		t.Fatalf("Register = %s, then %s", first.Code, second.Code)
	}
	old, at := strings.Join(first.LocationPath, "/"), strings.Join(second.LocationPath, "/")
	if res := x.serve(alpha, coap.POST, old, "", 0, ""); res.Code != coap.NotFound {
		t.Errorf("first location = %s", res.Code)
	}
	a, b := twice(coap.POST, at, "lt=120", 0, "")
	if a.Code != coap.Changed || b.Code != coap.Changed || x.registration().Lifetime.Seconds() != 120 {
		t.Errorf("Update = %s, then %s: %+v", a.Code, b.Code, x.registration())
	}
	a, b = twice(coap.POST, "dp", "", codec.SenMLJSON, `[{"n":"/3/0/9","v":7}]`)
	v, _ := x.store.Value("alpha", path("/3/0/9"))
	if a.Code != coap.Changed || b.Code != coap.Changed || v.Value != lwm2m.Integer(7) {
		t.Errorf("Send = %s, then %s: kept %v", a.Code, b.Code, v)
	}
	a, b = twice(coap.DELETE, at, "", 0, "")
	if _, err := x.Registration("alpha"); a.Code != coap.Deleted || b.Code != coap.NotFound || err == nil {
		t.Errorf("De-register = %s, then %s, %v", a.Code, b.Code, err)
	}
}
