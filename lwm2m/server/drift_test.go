package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
)

func with(t server.Target, query ...string) server.Target {
	t, err := t.With(query)
	if err != nil {
		panic(err)
	}
	return t
}

// states returns what the server tells of the observations of alpha.
func (x *pair) states() (out []string) {
	x.t.Helper()
	synctest.Wait()
	all, err := x.Observations(x.t.Context(), "alpha")
	if err != nil {
		x.t.Fatal(err)
	}
	for _, r := range all {
		out = append(out, fmt.Sprintf("%s %s %s%s", r.Template, r.Target, r.State, r.Reason))
	}
	return out
}

// What a template wants is established at each Register, as far as the device has
// its objects; what is wanted of the device itself goes before it; what nobody wants
// any more is cancelled; and what is missing, and why, can be seen.
func TestTemplates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPair(t, lwm2m.Version12)
		ctx := t.Context()
		level, zone := server.Node(path("/3/0/9")), server.Node(path("/3/0/14"))
		x.store.SetTemplate(server.Template{Name: "all", Targets: []server.Target{
			with(level, "pmin=1"), zone, server.Node(path("/3/0/77")), server.Node(path("/77/0")),
		}})
		if err := x.ObserveTarget(ctx, "alpha", with(zone, "pmax=60"), "me"); err == nil {
			t.Error("ObserveTarget of a device that is not there")
		}
		want := []string{
			" /3/0/14 with pmax=60 waiting", "all /3/0/77 waiting", "all /3/0/9 with pmin=1 waiting", "all /77/0 waiting",
		}
		if got := x.states(); !slices.Equal(got, want) {
			t.Errorf("before the Register %q, want %q", got, want)
		}
		x.register()
		want = []string{
			" /3/0/14 with pmax=60 established", "all /3/0/77 refuseddevice answered 4.04",
			"all /3/0/9 with pmin=1 established", "all /77/0 absent",
		}
		if got := x.states(); !slices.Equal(got, want) {
			t.Errorf("after the Register %q, want %q", got, want)
		}
		x.store.SetTemplate(server.Template{Name: "all", Targets: []server.Target{with(level, "pmin=2")}})
		if got := x.states(); len(got) != 2 || got[1] != "all /3/0/9 with pmin=2 waiting" {
			t.Errorf("after the change of the template %q", got)
		}
		x.Reconsider()
		want = []string{" /3/0/14 with pmax=60 established", "all /3/0/9 with pmin=2 established"}
		if got := x.states(); !slices.Equal(got, want) {
			t.Errorf("reconsidered %q, want %q", got, want)
		}
		x.store.SetTemplate(server.Template{})
		if got := x.states(); !slices.Contains(got, " /3/0/9 with pmin=2 unwanted") {
			t.Errorf("after the end of the template %q", got)
		}
		x.Reconsider("alpha")
		if got := x.states(); !slices.Equal(got, want[:1]) {
			t.Errorf("reconsidered %q, want %q", got, want[:1])
		}
		x.set(ctx, 9)
		if x.level() == 9 {
			t.Error("the device still notifies")
		}
	})
}

// Attributes go on the request from 1.2 on, and before it otherwise, or if the
// device refuses them there (§6.4.1).
func TestObserveAttributes(t *testing.T) {
	for _, tt := range []struct {
		version string
		refuses bool // attributes on the request
		want    []string
	}{
		{"1.0", false, []string{"PUT 3/0/9 pmin=1&gt=2", "GET 3/0/9 "}},
		{"1.1", false, []string{"PUT 3/0/9 pmin=1&gt=2", "GET 3/0/9 "}},
		{"1.2", false, []string{"GET 3/0/9 pmin=1&gt=2"}},
		{"1.2", true, []string{"GET 3/0/9 pmin=1&gt=2", "PUT 3/0/9 pmin=1&gt=2", "GET 3/0/9 "}},
	} {
		synctest.Test(t, func(t *testing.T) {
			x := newPair(t, lwm2m.Version11)
			var got []string
			raw, toServer, stop := x.raw(func(_ context.Context, q *coap.Request) *coap.Response {
				name := map[coap.Code]string{coap.GET: "GET", coap.PUT: "PUT"}[q.Method]
				got = append(got, name+" "+strings.Join(q.Path, "/")+" "+strings.Join(q.Query, "&"))
				if q.Method == coap.PUT {
					return &coap.Response{Code: coap.Changed}
				}
				if tt.refuses && len(q.Query) > 0 {
					return &coap.Response{Code: coap.BadRequest}
				}
				res := content(codec.Text, "1")
				res.Observe = true
				return res
			})
			defer stop()
			_, err := raw.Do(t.Context(), toServer, &coap.Request{
				Method: coap.POST, Path: []string{"rd"}, Query: []string{"ep=alpha", "lt=60", "lwm2m=" + tt.version},
				Payload: []byte(usual),
			})
			x.check("Register", err)
			target := with(server.Node(path("/3/0/9")), "pmin=1", "gt=2")
			x.check("Observe", x.ObserveTarget(t.Context(), "alpha", target, "me"))
			x.check("Observe again, attributes kept", x.Observe(t.Context(), "alpha", path("/3/0/9"), "me"))
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: sent %q, want %q", tt.version, got, tt.want)
			}
		})
	}
}

func TestTemplateRefused(t *testing.T) {
	many := make([]server.Target, server.MaxTargets+1)
	for i := range many {
		many[i] = server.Node(lwm2m.NewPath(uint16(i)))
	}
	one := []server.Target{server.Node(path("/3"))}
	for name, tt := range map[string]server.Template{
		"no name":    {Targets: one},
		"long name":  {Name: strings.Repeat("x", 65), Targets: one},
		"no targets": {Name: "x"},
		"too many":   {Name: "x", Targets: many},
		"the root":   {Name: "x", Targets: []server.Target{server.Node(path("/"))}},
		"twice":      {Name: "x", Targets: []server.Target{one[0], with(one[0], "pmin=1")}},
	} {
		if err := tt.Check(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := (server.Template{Name: "x", Targets: one}).Check(); err != nil {
		t.Error(err)
	}
}
