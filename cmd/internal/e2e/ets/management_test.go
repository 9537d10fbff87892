package ets_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/server"
)

// senml reads SenML JSON (RFC 8428) into a map of values by name.
func senml(t *testing.T, body string) map[string]any {
	t.Helper()
	var records []map[string]any
	if err := json.Unmarshal([]byte(body), &records); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	base, out := "", map[string]any{}
	for _, r := range records {
		if s, ok := r["bn"].(string); ok {
			base = s
		}
		name, _ := r["n"].(string)
		for _, label := range []string{"v", "vs", "vb", "vd", "vlo"} {
			if v, ok := r[label]; ok {
				out[base+name] = v
			}
		}
	}
	return out
}

// refusedWith tells whether a device's answer was passed on.
func refusedWith(t *testing.T, what string, err error, code coap.Code) {
	t.Helper()
	var answer *server.ResponseError
	if !errors.As(err, &answer) || answer.Code != code {
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

func ets221(t *testing.T) {
	x, d := registered(t, query11, links)
	ctx := t.Context()
	for _, key := range []string{"GET /0", "PUT /0/0/0", "PUT /0"} {
		d.says(key, 401)
	}
	_, err := x.Read(ctx, "alpha", path("/0"))
	refusedWith(t, "Read /0", err, coap.Unauthorized)
	err = x.Write(ctx, "alpha", path("/0/0/0"), []lwm2m.Entry{entry("/0/0/0", lwm2m.String("x"))}, server.Replace)
	refusedWith(t, "Write /0/0/0", err, coap.Unauthorized)
	err = x.WriteAttributes(ctx, "alpha", path("/0"), []string{"pmin=30", "pmax=45"})
	refusedWith(t, "Write-Attributes /0", err, coap.Unauthorized)
	var asked []string
	for _, m := range d.taken() {
		asked = append(asked, m.key())
	}
	same(t, "asked", asked, []string{"GET /0", "PUT /0/0/0", "PUT /0"})
}

func ets226(t *testing.T) {
	x, d := registered(t, "ep=alpha&lt=300&b=U", `</1/0>,</3/0>`) // 1.0: TLV
	d.says("POST /1/0", 204)
	x.must("Write", x.Write(t.Context(), "alpha", path("/1/0"), []lwm2m.Entry{
		entry("/1/0/1", lwm2m.Integer(61)), entry("/1/0/6", lwm2m.Boolean(true)),
	}, server.Update))
	d.wants("POST /1/0 ct=11542 C1013DC10601")
	d.update("lt=61", 204)
	d.says("GET /1/0", 205, "11542", "08000C C10001 C1013D C10601 C10755")
	same(t, "Read", x.read("/1/0"), []string{"/1/0/0=1", "/1/0/1=61", "/1/0/6=1", "/1/0/7=U"})
}

func ets227(t *testing.T) {
	x, d := registered(t, "ep=alpha&lt=300&b=U", `</1/0>,</3/0>`)
	d.says("PUT /1/0/1", 204)
	x.write("/1/0/1", lwm2m.Integer(63))
	d.wants("PUT /1/0/1 ct=11542 C1013F")
	d.update("lt=63", 204)
	d.says("GET /1/0/1", 205, "11542", "C1013F")
	same(t, "Read", x.read("/1/0/1"), []string{"/1/0/1=63"})
}

func ets233(t *testing.T) {
	x, d := registered(t, query11, `</>;rt="oma.lwm2m";ct=112,</1/0>,</3/0>,</16/0>`)
	writes(x, d, func(format int, body string) string {
		if format != 112 {
			t.Errorf("format %d", format)
		}
		return body
	}, []string{
		"82 A3 21 65 2F312F302F 00 61 31 02 18 3D A2 00 61 36 04 F5", // [{-2:"/1/0/",0:"1",2:61},{0:"6",4:true}]
		"81 A2 00 69 2F31362F302F302F30 03 64 74657374",              // [{0:"/16/0/0/0",3:"test"}]
		"81 A2 00 66 2F312F302F31 02 18 3F",                          // [{0:"/1/0/1",2:63}]
	})
}

func ets234(t *testing.T) {
	x, d := registered(t, query11, `</>;rt="oma.lwm2m";ct=110,</1/0>,</3/0>,</16/0>`)
	writes(x, d, func(format int, body string) string {
		if format != 110 {
			t.Errorf("format %d", format)
		}
		b, err := json.Marshal(senml(t, body))
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}, []string{
		`{"/1/0/1":61,"/1/0/6":true}`, `{"/16/0/0/0":"test"}`, `{"/1/0/1":63}`,
	})
}

// writes does the three writes of cases 233 and 234; seen tells a body, which is in
// hex if it begins so.
func writes(x *world, d *device, seen func(format int, body string) string, want []string) {
	x.t.Helper()
	for _, key := range []string{"POST /1/0", "PUT /16/0/0/0", "PUT /1/0/1"} {
		d.says(key, 204)
	}
	x.must("Write", x.Write(x.t.Context(), "alpha", path("/1/0"), []lwm2m.Entry{
		entry("/1/0/1", lwm2m.Integer(61)), entry("/1/0/6", lwm2m.Boolean(true)),
	}, server.Update))
	d.update("lt=61", 204)
	x.write("/16/0/0/0", lwm2m.String("test"))
	x.write("/1/0/1", lwm2m.Integer(63))
	d.update("lt=63", 204)
	var keys, bodies []string
	for _, m := range d.taken() {
		format, _ := m.option(optFormat)
		keys, bodies = append(keys, m.key()), append(bodies, seen(format, m.payload))
	}
	for i, text := range want {
		if text[0] != '{' {
			want[i] = unhex(text)
		}
	}
	same(x.t, "requests", keys, []string{"POST /1/0", "PUT /16/0/0/0", "PUT /1/0/1"})
	same(x.t, "bodies", bodies, want)
}

func ets237(t *testing.T) {
	x, d := registered(t, query11, links)
	want := []string{"/3/0/0=A", "/3/0/11/0=0"}
	for _, answer := range [][2]string{ // whatever was accepted, this comes
		{"11542", "C10041 830B 410000"},
		{"1542", "C10041 830B 410000"},
		{"110", hexOf(`[{"bn":"/3/0/","n":"0","vs":"A"},{"n":"11/0","v":0}]`)},
		{"112", "82 A3 21 65 2F332F302F 00 61 30 03 61 41 A2 00 64 31312F30 02 00"},
		{"11543", hexOf(`{"bn":"/3/0/","e":[{"n":"0","sv":"A"},{"n":"11/0","v":0}]}`)},
		{"11544", "A1 82 03 00 A2 00 61 41 0B A1 00 00"},
	} {
		d.says("GET /3/0", 205, answer[0], answer[1])
		if got := x.read("/3/0"); !slices.Equal(got, want) {
			t.Errorf("format %s: %q", answer[0], got)
		}
	}
	for _, answer := range [][2]string{{"0", "3836343030"}, {"60", "1A00015180"}, {"11542", "C40100015180"}} {
		d.says("GET /1/0/1", 205, answer[0], answer[1])
		same(t, "format "+answer[0], x.read("/1/0/1"), []string{"/1/0/1=86400"})
	}
}
