package ets_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
)

// account is a server without security, as the server's side is configured.
func account(short int64, uri string) bootstrap.Account {
	s, v := path("/0/0"), path("/1/0")
	return bootstrap.Account{
		Short: uint16(short),
		Security: []lwm2m.Entry{
			{Path: s.Child(0), Value: lwm2m.String(uri)},
			{Path: s.Child(1), Value: lwm2m.Boolean(false)},
			{Path: s.Child(2), Value: lwm2m.Integer(3)},
			{Path: s.Child(10), Value: lwm2m.Integer(short)},
		},
		Server: []lwm2m.Entry{
			{Path: v.Child(0), Value: lwm2m.Integer(short)},
			{Path: v.Child(1), Value: lwm2m.Integer(300)},
			{Path: v.Child(7), Value: lwm2m.String("U")},
		},
	}
}

// What the account above is in TLV, written by hand.
const (
	tlvSecurity = "C80008636F61703A2F2F68 C10100 C10203 C10A65"
	tlvServer   = "C10065 C201012C C10755"
)

// bootWorld has one server account to give, and a device with the bootstrap
// account /0/1 and nothing else.
func bootWorld(t *testing.T) (*world, *device) {
	t.Helper()
	x := newWorld(t)
	x.gives(nil, account(101, "coap://h"))
	d := x.device("alpha")
	d.discovers(`</>;lwm2m=1.1,</0/1>,</3/0>`)
	for _, key := range []string{"PUT /0/0", "PUT /1/0", "POST /bs"} {
		d.says(key, 204)
	}
	return x, d
}

func (d *device) discovers(links string) {
	d.on("GET /", func(message) reply { return reply{code: 205, format: linkFormat, body: links} })
}

// bootstrap sends a Bootstrap-Request and waits for the session.
func (d *device) bootstrap(query string) {
	d.t.Helper()
	d.expect("Bootstrap-Request", d.do(2, "/bs", query, -1, ""), 204)
	synctest.Wait()
}

// ended checks how the session ended.
func (x *world) ended(state bootstrap.State, reason string) {
	x.t.Helper()
	synctest.Wait()
	r, err := x.traces.Last(x.t.Context(), "alpha")
	if err != nil || r.State != state || !strings.Contains(r.Reason, reason) {
		x.t.Errorf("session %s %q (%v), want %s %q", r.State, r.Reason, err, state, reason)
	}
}

func put(p, tlv string) string { return "PUT " + p + " ct=11542 " + strings.ReplaceAll(tlv, " ", "") }

func ets0(t *testing.T) {
	x, d := bootWorld(t)
	d.bootstrap("ep=alpha&pct=11542")
	asked := d.wants("GET /", put("/0/0", tlvSecurity), put("/1/0", tlvServer), "POST /bs")
	if accept, ok := asked[0].option(optAccept); !ok || accept != linkFormat {
		t.Errorf("Discover accepts %d", accept)
	}
	x.ended(bootstrap.Done, "")
	// Again: ssid and uri of the Discover payload are understood, what is right stays.
	d.discovers(`</>;lwm2m=1.1,</0/0>;ssid=101;uri="coap://h",</0/1>,</1/0>;ssid=101`)
	d.says("GET /1", 205, "11542", "08000A "+tlvServer)
	d.bootstrap("ep=alpha&pct=11542")
	d.wants("GET /", "GET /1", put("/0/0", tlvSecurity), "POST /bs")
	x.ended(bootstrap.Done, "")
}

func ets4(t *testing.T) {
	x, d := bootWorld(t)
	d.discovers(`</>;lwm2m=1.1,</0/1>,</0/3>;ssid=7,</1/2>;ssid=7,</3/0>`)
	d.says("GET /1", 205, "11542", "080203 C10007")
	d.says("DELETE /0/3", 202)
	d.says("DELETE /1/2", 202)
	d.bootstrap("ep=alpha&pct=11542")
	d.wants("GET /", "GET /1", "DELETE /0/3", "DELETE /1/2", put("/0/0", tlvSecurity), put("/1/0", tlvServer), "POST /bs")
	x.ended(bootstrap.Done, "")
}

func ets5(t *testing.T) {
	x, d := bootWorld(t)
	d.register(query11, links)
	d.says("POST /1/0/9", 204)
	x.must("Execute", x.Execute(t.Context(), "alpha", path("/1/0/9"), ""))
	d.wants("POST /1/0/9")
	d.bootstrap("ep=alpha&pct=11542")
	d.wants("GET /", put("/0/0", tlvSecurity), put("/1/0", tlvServer), "POST /bs")
	x.ended(bootstrap.Done, "")
	d.register(query11, links)
}

func ets7(t *testing.T) {
	x, d := bootWorld(t)
	d.bootstrap("ep=alpha")
	x.ended(bootstrap.Done, "")
	d.taken()
	// The configured server cannot be reached: the device comes back, and registers.
	d.discovers(`</>;lwm2m=1.1,</0/0>;ssid=101,</0/1>,</1/0>;ssid=101,</3/0>`)
	d.bootstrap("ep=alpha")
	x.ended(bootstrap.Done, "")
	d.register(query11, links)
	x.registration()
}

func ets8(t *testing.T) {
	x, d := bootWorld(t)
	p := path("/2/0")
	acl := []lwm2m.Entry{
		{Path: p.Child(0), Value: lwm2m.Integer(3)},
		{Path: p.Child(1), Value: lwm2m.Integer(0)},
		{Path: p.Child(2).Child(0), Value: lwm2m.Integer(31)},
		{Path: p.Child(3), Value: lwm2m.Integer(65535)},
	}
	const tlvACL = "C10003 C10100 8302 41001F C4030000FFFF"
	x.gives([]bootstrap.Instance{{Path: p, Entries: acl}}, account(101, "coap://h"))
	d.says("PUT /2/0", 204)
	d.bootstrap("ep=alpha&pct=11542")
	d.wants("GET /", put("/0/0", tlvSecurity), put("/1/0", tlvServer), put("/2/0", tlvACL), "POST /bs")
	d.discovers(`</>;lwm2m=1.1,</0/0>;ssid=101,</0/1>,</1/0>;ssid=101,</2/0>`)
	d.says("GET /1", 205, "11542", "08000A "+tlvServer)
	d.says("GET /2", 205, "11542", "080011 C10003 C10100 8302 41001F C4030000FFFF")
	d.bootstrap("ep=alpha&pct=11542")
	d.wants("GET /", "GET /1", "GET /2", put("/0/0", tlvSecurity), "POST /bs")
	x.ended(bootstrap.Done, "")
}

func ets9(t *testing.T) {
	x, d := bootWorld(t)
	finishes := 0
	d.on("POST /bs", func(message) reply {
		if finishes++; finishes == 1 {
			return reply{code: 406, format: -1}
		}
		return reply{code: 204, format: -1}
	})
	d.bootstrap("ep=alpha&pct=11542")
	first := []string{"GET /", put("/0/0", tlvSecurity), put("/1/0", tlvServer), "POST /bs"}
	d.wants(append(first, first[1:]...)...)
	x.ended(bootstrap.Done, "")
	d.says("POST /bs", 406)
	d.bootstrap("ep=alpha&pct=11542")
	x.ended(bootstrap.Failed, "inconsistent")
}

func ets12(t *testing.T) {
	_, d := bootWorld(t)
	// SenML JSON is read by a program of the standard library.
	m := d.expect("GET /bspack", d.do(1, "/bspack", "ep=alpha&acc=</0/1>", -1, "", uintOption(optAccept, 110)), 205)
	if v, _ := m.option(optFormat); v != 110 {
		t.Errorf("format %d", v)
	}
	got := senml(t, m.payload)
	for p, want := range map[string]any{
		"/0/0/0": "coap://h", "/0/0/1": false, "/0/0/2": 3.0, "/0/0/10": 101.0,
		"/1/0/0": 101.0, "/1/0/1": 300.0, "/1/0/7": "U",
	} {
		if got[p] != want {
			t.Errorf("%s = %v, want %v", p, got[p], want)
		}
	}
	if _, own := got["/0/1/0"]; own || len(got) != 7 {
		t.Errorf("pack %v", got)
	}
	d.wants()
	d.expect("TLV", d.do(1, "/bspack", "ep=alpha", -1, "", uintOption(optAccept, 11542)), 406)
}

// tlvs walks the resources of an instance in TLV and returns them by id; none if
// the body is not TLV.
func tlvs(body string) map[int]string {
	out := map[int]string{}
	for b := []byte(body); len(b) > 0; {
		kind, id, n := b[0], int(b[1]), int(b[0]&7)
		b = b[2:]
		if kind&0x20 != 0 {
			id, b = id<<8|int(b[0]), b[1:]
		}
		if more := int(kind >> 3 & 3); more > 0 {
			n = 0
			for range more {
				n, b = n<<8|int(b[0]), b[1:]
			}
		}
		if n > len(b) {
			return nil
		}
		out[id], b = string(b[:n]), b[n:]
	}
	return out
}

func packCodes(t *testing.T) {
	x := newWorld(t)
	d, named := x.device(""), x.device("alpha")
	for name, c := range map[string]struct {
		d      *device
		method byte
		query  string
		want   int
	}{
		"no name":             {d, 1, "", 400},
		"POST":                {named, 2, "ep=alpha", 405},
		"DELETE":              {named, 4, "ep=alpha", 405},
		"another's name":      {named, 1, "ep=beta", 400},
		"nothing to be given": {named, 1, "ep=alpha", 500},
	} {
		if m := c.d.do(c.method, "/bspack", c.query, -1, ""); m.number() != c.want {
			t.Errorf("%s: %d %q, want %d", name, m.number(), m.payload, c.want)
		}
	}
}
