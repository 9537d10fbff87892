package client_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

func TestRead(t *testing.T) {
	device := []string{"/3/0/0=Steward", "/3/0/14=+02:00", "/3/0/6/0=1", "/3/0/6/1=5", "/3/0/9=100"}
	tests := []struct {
		version lwm2m.Version
		path    string
		accept  int
		format  uint16
		want    []string
	}{
		{lwm2m.Version10, "/3/0", -1, codec.TLV, device},
		{lwm2m.Version10, "/3", int(codec.TLV), codec.TLV, device},
		{lwm2m.Version10, "/3/0/9", int(codec.Text), codec.Text, []string{"/3/0/9=100"}},
		{lwm2m.Version11, "/3/0", -1, codec.SenMLCBOR, device},
		{lwm2m.Version11, "/3/0", int(codec.SenMLJSON), codec.SenMLJSON, device},
		{lwm2m.Version11, "/3/0/6", int(codec.TLV), codec.TLV, []string{"/3/0/6/0=1", "/3/0/6/1=5"}},
		{lwm2m.Version12, "/3/0", -1, codec.LwM2MCBOR, device},
		{lwm2m.Version12, "/3/0", int(codec.SenMLCBOR), codec.SenMLCBOR, device},
		{lwm2m.Version12, "/3/0/6/1", int(codec.CBOR), codec.CBOR, []string{"/3/0/6/1=5"}},
		{lwm2m.Version12, "/3/0/0", int(codec.Text), codec.Text, []string{"/3/0/0=Steward"}},
		{lwm2m.Version12, "/1024", -1, codec.LwM2MCBOR, []string{}},
		{lwm2m.Version12, "/5/0", int(codec.LwM2MCBOR), codec.LwM2MCBOR, []string{"/5/0/3=0"}},
	}
	for _, tt := range tests {
		t.Run(string(tt.version)+" "+tt.path+" "+codecName(tt.format), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newWorld(t, client.Options{Version: tt.version})
				x.register()
				resp := x.do(coap.GET, tt.path, -1, tt.accept, "")
				id, _ := resp.ContentFormat.ID()
				if resp.Code != coap.Content || id != tt.format {
					t.Fatalf("Read = %s format %d, want 2.05 format %d", resp.Code, id, tt.format)
				}
				if got := decoded(t, tt.path, resp); !slices.Equal(got, tt.want) {
					t.Errorf("Read = %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func codecName(id uint16) string { return coap.FormatID(id).String() }

// The refusals of §6.3, each with its code.
func TestRefusals(t *testing.T) {
	security := client.NewTable(client.TableOptions{
		ID: 0, Version: "1.2", Values: []lwm2m.Entry{entry("/0/0/0", lwm2m.String("coaps://h"))},
	})
	const (
		none         = -1
		twoInstances = `[{"n":"/1024/0/1","vs":"a"},{"n":"/1024/1/1","vs":"b"}]`
	)
	tests := []struct {
		name   string
		method coap.Code
		path   string
		format int
		accept int
		body   string
		query  []string
		want   coap.Code
	}{
		{"Read of an unknown object", coap.GET, "/4", none, none, "", nil, coap.NotFound},
		{"Read of an unknown instance", coap.GET, "/3/1", none, none, "", nil, coap.NotFound},
		{"Read of an unknown resource", coap.GET, "/3/0/99", none, none, "", nil, coap.NotFound},
		{"Read of an unknown resource instance", coap.GET, "/3/0/6/9", none, none, "", nil, coap.NotFound},
		{"Read of an executable", coap.GET, "/3/0/4", none, none, "", nil, coap.MethodNotAllowed},
		{"Read of what is write-only", coap.GET, "/5/0/0", none, none, "", nil, coap.MethodNotAllowed},
		{"Read of the root", coap.GET, "/", none, none, "", nil, coap.MethodNotAllowed},
		{"Read of Security", coap.GET, "/0/0", none, none, "", nil, coap.Unauthorized},
		{"Write of Security", coap.PUT, "/0/0/0", 0, none, "coap://evil", nil, coap.Unauthorized},
		{"Discover of Security", coap.GET, "/0", none, 40, "", nil, coap.Unauthorized},
		{"Read in an unknown format", coap.GET, "/3/0", none, 50, "", nil, coap.NotAcceptable},
		{"Read of an instance as text", coap.GET, "/3/0", none, 0, "", nil, coap.NotAcceptable},
		{"Write without a format", coap.PUT, "/3/0/14", none, none, "x", nil, coap.UnsupportedContentFormat},
		{"Write in an unknown format", coap.PUT, "/3/0/14", 50, none, "x", nil, coap.UnsupportedContentFormat},
		{"Write of a malformed body", coap.PUT, "/3/0/14", 112, none, "x", nil, coap.BadRequest},
		{"Write of another node", coap.PUT, "/3/0/14", 110, none, `[{"n":"/3/0/15","vs":"x"}]`, nil, coap.BadRequest},
		{"Write of what is read-only", coap.PUT, "/3/0/9", 0, none, "1", nil, coap.MethodNotAllowed},
		{"Write of read-only inside", coap.POST, "/3/0", 110, none, `[{"n":"/3/0/9","v":1}]`, nil, coap.MethodNotAllowed},
		{"Write of an unknown resource", coap.PUT, "/3/0/99", 0, none, "1", nil, coap.NotFound},
		{"Write of a whole object", coap.PUT, "/3", 11542, none, "", nil, coap.MethodNotAllowed},
		{"POST on a resource instance", coap.POST, "/3/0/6/0", 0, none, "1", nil, coap.MethodNotAllowed},
		{"Execute of a value", coap.POST, "/3/0/9", none, none, "", nil, coap.MethodNotAllowed},
		{"Execute with malformed arguments", coap.POST, "/3/0/4", 0, none, "0='", nil, coap.BadRequest},
		{"Execute that fails", coap.POST, "/3/0/4", 0, none, "9", nil, coap.InternalServerError},
		{"Create where there is one", coap.POST, "/3", none, none, "", nil, coap.MethodNotAllowed},
		{"Create of two", coap.POST, "/1024", 110, none, twoInstances, nil, coap.BadRequest},
		{"Delete of an object", coap.DELETE, "/3", none, none, "", nil, coap.MethodNotAllowed},
		{"Delete of what must stay", coap.DELETE, "/3/0", none, none, "", nil, coap.MethodNotAllowed},
		{"Delete of what is not there", coap.DELETE, "/1024/9", none, none, "", nil, coap.NotFound},
		{"Write-Attributes of nonsense", coap.PUT, "/3/0/9", none, none, "", []string{"pmin=x"}, coap.BadRequest},
		{"Write-Attributes unknown", coap.PUT, "/3/0/9", none, none, "", []string{"foo=1"}, coap.BadRequest},
		{"Write-Attributes against §7.3.2", coap.PUT, "/3/0/9", none, none, "", []string{"gt=1", "lt=2"}, coap.BadRequest},
		{"threshold on a string", coap.PUT, "/3/0/0", none, none, "", []string{"gt=1"}, coap.BadRequest},
		{"Write-Attributes on nothing", coap.PUT, "/3/0/99", none, none, "", []string{"pmin=1"}, coap.NotFound},
		{"Discover too deep", coap.GET, "/3", none, 40, "", []string{"depth=4"}, coap.BadRequest},
		{"Discover of nothing", coap.GET, "/3/0/99", none, 40, "", nil, coap.NotFound},
		{"Read-Composite with a path", coap.FETCH, "/3", 110, none, "[]", nil, coap.MethodNotAllowed},
		{"Read-Composite malformed", coap.FETCH, "/", 110, none, "{", nil, coap.BadRequest},
		{"Read-Composite without a format", coap.FETCH, "/", none, none, "", nil, coap.UnsupportedContentFormat},
		{"Write-Composite of an unknown object", coap.IPATCH, "/", 110, none, `[{"n":"/4/0/0","v":1}]`, nil, coap.NotFound},
		{"Write-Composite of read-only", coap.IPATCH, "/", 110, none, `[{"n":"/3/0/9","v":1}]`, nil, coap.MethodNotAllowed},
		{"an unknown method", coap.PATCH, "/3", 110, none, "[]", nil, coap.MethodNotAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newWorld(t, client.Options{Objects: []client.Object{security}})
				x.register()
				if resp := x.do(tt.method, tt.path, tt.format, tt.accept, tt.body, tt.query...); resp.Code != tt.want {
					t.Errorf("answer %s %q, want %s", resp.Code, resp.Payload, tt.want)
				}
			})
		})
	}
}

func TestRefusalsOutsideThePaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{Version: lwm2m.Version10})
		x.register()
		for _, tt := range []struct {
			segments string
			method   coap.Code
			want     coap.Code
		}{
			{"bs", coap.POST, coap.NotFound},
			{"x", coap.GET, coap.NotFound},
			{"3/0/6/0", coap.GET, coap.MethodNotAllowed}, // no paths of resource instances in 1.0
			{"", coap.FETCH, coap.MethodNotAllowed},      // no composites either
		} {
			q := &coap.Request{Method: tt.method}
			if tt.segments != "" {
				q.Path = strings.Split(tt.segments, "/")
			}
			resp, err := x.engine.Do(t.Context(), x.toDevice, q)
			if err != nil || resp.Code != tt.want {
				t.Errorf("%s /%s = %v, %v, want %s", tt.method, tt.segments, resp, err, tt.want)
			}
		}
	})
}

func TestWriteAndExecute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{})
		x.register()
		if resp := x.do(coap.PUT, "/3/0/14", 0, -1, "+01:00"); resp.Code != coap.Changed {
			t.Errorf("Write = %s", resp.Code)
		}
		if v := x.base.Value(path("/3/0/14")); v != lwm2m.String("+01:00") {
			t.Errorf("after Write the value is %q", v)
		}
		// Partial: what is not listed stays.
		if resp := x.do(coap.POST, "/3/0", 110, -1, `[{"n":"/3/0/15","vs":"Europe/Paris"}]`); resp.Code != coap.Changed {
			t.Errorf("partial Write = %s", resp.Code)
		}
		if v := x.base.Value(path("/3/0/14")); v != lwm2m.String("+01:00") {
			t.Errorf("after the partial Write the other value is %q", v)
		}
		// Replace: optional ones that can be written go.
		if resp := x.do(coap.PUT, "/3/0", 110, -1, `[{"n":"/3/0/15","vs":"UTC"}]`); resp.Code != coap.Changed {
			t.Errorf("Write with replacement = %s", resp.Code)
		}
		if got, want := decoded(t, "/3/0", x.do(coap.GET, "/3/0", -1, 112, "")), []string{
			"/3/0/0=Steward", "/3/0/15=UTC", "/3/0/6/0=1", "/3/0/6/1=5", "/3/0/9=100",
		}; !slices.Equal(got, want) {
			t.Errorf("after the replacement /3/0 is %q, want %q", got, want)
		}
		if resp := x.do(coap.POST, "/3/0/4", 0, -1, "0='now'"); resp.Code != coap.Changed {
			t.Errorf("Execute = %s", resp.Code)
		}
		x.do(coap.POST, "/3/0/4", -1, -1, "")
		if want := []string{"/3/0/4 0='now'", "/3/0/4 "}; !slices.Equal(x.executed, want) {
			t.Errorf("executed %q, want %q", x.executed, want)
		}
		// A package in several blocks; write-only resources are not kept.
		image := bytes.Repeat([]byte("0123456789abcdef"), 500)
		if resp := x.do(coap.PUT, "/5/0/0", 42, -1, string(image)); resp.Code != coap.Changed {
			t.Errorf("Write of a package = %s", resp.Code)
		}
		if len(x.packages) != 1 || !bytes.Equal(x.packages[0], image) {
			t.Errorf("the device got %d packages", len(x.packages))
		}
		if v := x.firmware.Value(path("/5/0/0")); v != (lwm2m.Value{}) {
			t.Error("the package was stored as a value")
		}
	})
}

func TestCreateAndDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{})
		x.register()
		create := func(format int, body string, want coap.Code, location string) {
			t.Helper()
			resp := x.do(coap.POST, "/1024", format, -1, body)
			if resp.Code != want || strings.Join(resp.LocationPath, "/") != location {
				t.Errorf("Create = %s %q, want %s %q", resp.Code, resp.LocationPath, want, location)
			}
		}
		create(110, `[{"n":"/1024/1/1","vs":"a"},{"n":"/1024/1/0/5","v":5}]`, coap.Created, "1024/1")
		create(110, `[{"n":"/1024/1/1","vs":"a"}]`, coap.BadRequest, "") // exists
		create(-1, "", coap.Created, "1024/0")
		create(11542, "\xc1\x01b", coap.Created, "1024/2") // TLV without an instance: the client chooses
		create(110, `[{"n":"/1024/7/0","v":5}]`, coap.BadRequest, "")
		want := []string{"/1024/1/0/5=5", "/1024/1/1=a", "/1024/2/1=b"}
		if got := decoded(t, "/1024", x.do(coap.GET, "/1024", -1, 112, "")); !slices.Equal(got, want) {
			t.Errorf("/1024 = %q, want %q", got, want)
		}
		// Multiple resource: merge, replace, delete one instance.
		x.do(coap.POST, "/1024/1/0", 110, -1, `[{"n":"/1024/1/0/6","v":6}]`)
		if v := x.list.Value(path("/1024/1/0/5")); v != lwm2m.Integer(5) {
			t.Errorf("after the partial Write instance 5 is %v", v)
		}
		x.do(coap.PUT, "/1024/1/0", 110, -1, `[{"n":"/1024/1/0/7","v":7},{"n":"/1024/1/0/8","v":8}]`)
		if resp := x.do(coap.DELETE, "/1024/1/0/7", -1, -1, ""); resp.Code != coap.Deleted {
			t.Errorf("Delete of a resource instance = %s", resp.Code)
		}
		got := decoded(t, "/1024/1/0", x.do(coap.GET, "/1024/1/0", -1, 112, ""))
		if !slices.Equal(got, []string{"/1024/1/0/8=8"}) {
			t.Errorf("/1024/1/0 = %q", got)
		}
		if resp := x.do(coap.DELETE, "/1024/1", -1, -1, ""); resp.Code != coap.Deleted {
			t.Errorf("Delete = %s", resp.Code)
		}
		if resp := x.do(coap.GET, "/1024/1", -1, -1, ""); resp.Code != coap.NotFound {
			t.Errorf("Read after Delete = %s, want 4.04", resp.Code)
		}
		x.created = false
		create(-1, "", coap.Unauthorized, "")
	})
}

func TestComposite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{})
		x.register()
		body, err := codec.EncodePaths(codec.SenMLCBOR, []lwm2m.Path{
			path("/3/0/0"), path("/3/0/6"), path("/3/0/6/0"), path("/9/0"), path("/3/0/4"), path("/3303/0/5700"),
		})
		if err != nil {
			t.Fatal(err)
		}
		resp := x.do(coap.FETCH, "/", 112, -1, string(body))
		want := []string{"/3/0/0=Steward", "/3/0/6/0=1", "/3/0/6/1=5", "/3303/0/5700=20"}
		if got := decoded(t, "/", resp); !slices.Equal(got, want) {
			t.Errorf("Read-Composite = %q, want %q", got, want)
		}
		if resp = x.do(coap.FETCH, "/", 110, int(codec.LwM2MCBOR), `[{"n":"/9"}]`); resp.Code != coap.Content {
			t.Errorf("Read-Composite of nothing = %s, want 2.05", resp.Code)
		}
		x.do(coap.POST, "/1024", 110, -1, `[{"n":"/1024/0/1","vs":"old"},{"n":"/1024/0/0/5","v":5}]`)
		resp = x.do(coap.IPATCH, "/", 110, -1, `[{"n":"/3/0/14","vs":"Z"},{"n":"/1024/0/1","vs":"new"}]`)
		if resp.Code != coap.Changed || x.base.Value(path("/3/0/14")) != lwm2m.String("Z") ||
			x.list.Value(path("/1024/0/1")) != lwm2m.String("new") {
			t.Errorf("Write-Composite = %s", resp.Code)
		}
		// All or nothing: the last value does not fit.
		resp = x.do(coap.IPATCH, "/", 110, -1,
			`[{"n":"/3/0/14","vs":"lost"},{"n":"/1024/0/0/9","v":9},{"n":"/1024/0/1/3","vs":"x"}]`)
		if resp.Code != coap.BadRequest || x.base.Value(path("/3/0/14")) != lwm2m.String("Z") ||
			x.list.Value(path("/1024/0/0/9")) != (lwm2m.Value{}) {
			t.Errorf("Write-Composite with an error = %s, /3/0/14 = %v", resp.Code, x.base.Value(path("/3/0/14")))
		}
		resp = x.do(coap.IPATCH, "/", int(codec.ETCHJSON), -1, `[{"n":"/1024/0/0/5","v":null}]`)
		if resp.Code != coap.Changed || x.list.Value(path("/1024/0/0/5")) != (lwm2m.Value{}) {
			t.Errorf("Write-Composite with a deletion = %s", resp.Code)
		}
	})
}

func TestDiscover(t *testing.T) {
	tests := []struct {
		name    string
		version lwm2m.Version
		path    string
		query   []string
		want    string
	}{
		{
			"object", lwm2m.Version12, "/3303", nil,
			`</3303>;ver=1.1,</3303/0>;pmin=10,</3303/0/5500>,</3303/0/5700>;gt=30.5;lt=-5,</3303/0/5701>`,
		},
		{"object, depth 0", lwm2m.Version12, "/3303", []string{"depth=0"}, `</3303>;ver=1.1`},
		{
			"object, depth 3", lwm2m.Version12, "/3",
			[]string{"depth=3"},
			`</3>,</3/0>,</3/0/0>,</3/0/4>,</3/0/6>;dim=2,</3/0/6/0>,</3/0/6/1>,</3/0/9>,</3/0/14>,</3/0/15>`,
		},
		{"instance", lwm2m.Version12, "/5/0", nil, `</5/0>,</5/0/0>,</5/0/3>`},
		{"resource with what it inherits", lwm2m.Version12, "/3303/0/5700", nil, `</3303/0/5700>;pmin=10;gt=30.5;lt=-5`},
		{"multiple resource", lwm2m.Version12, "/3/0/6", nil, `</3/0/6>;dim=2,</3/0/6/0>,</3/0/6/1>`},
		{"multiple resource of 1.1", lwm2m.Version11, "/3/0/6", nil, `</3/0/6>;dim=2`},
		{"object without instances", lwm2m.Version12, "/1024", nil, `</1024>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newWorld(t, client.Options{Version: tt.version})
				x.register()
				x.do(coap.PUT, "/3303/0", -1, -1, "", "pmin=10", "pmax=20")
				x.do(coap.PUT, "/3303/0", -1, -1, "", "pmax")
				x.do(coap.PUT, "/3303/0/5700", -1, -1, "", "gt=30.5", "lt=-5")
				resp := x.do(coap.GET, tt.path, -1, 40, "", tt.query...)
				if resp.ContentFormat != coap.FormatID(codec.Link) || string(resp.Payload) != tt.want {
					t.Errorf("Discover = %s %s\nwant %s", resp.Code, resp.Payload, tt.want)
				}
			})
		})
	}
}
