package server_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
)

func paths(texts ...string) (out []lwm2m.Path) {
	for _, t := range texts {
		out = append(out, path(t))
	}
	return out
}

func nodes(texts ...string) server.Target {
	t, err := server.Nodes(paths(texts...))
	if err != nil {
		panic(err)
	}
	return t
}

func formats(rs []*coap.Request) (out [][2]uint16) {
	for _, r := range rs {
		body, _ := r.ContentFormat.ID()
		accept, _ := r.Accept.ID()
		out = append(out, [2]uint16{body, accept})
	}
	return out
}

// What goes on the wire for composite operations (§6.3.8, §6.3.9), or why nothing does.
func TestCompositeFormats(t *testing.T) {
	read := func(ctx context.Context, s *server.Server) error {
		_, err := s.ReadComposite(ctx, "alpha", paths("/3/0/9", "/1"))
		return err
	}
	writes := func(entries ...lwm2m.Entry) operation {
		return func(ctx context.Context, s *server.Server) error { return s.WriteComposite(ctx, "alpha", entries) }
	}
	zone, gone := entry("/3/0/14", lwm2m.String("Z")), lwm2m.Entry{Path: path("/1024/0/0/1")}
	for _, tt := range []struct {
		name, version, ct string
		do                operation
		code              coap.Code
		want              [][2]uint16
		err               error
	}{
		{name: "read", version: "1.0", do: read, err: server.ErrUnsupported},
		{name: "read", version: "1.1", do: read, want: [][2]uint16{{112, 112}}},
		{name: "read, JSON only", version: "1.1", ct: "110", do: read, want: [][2]uint16{{110, 110}}},
		{name: "read", version: "1.2", do: read, want: [][2]uint16{{112, 11544}}},
		{name: "read, ETCH", version: "1.2", ct: "112 322", do: read, want: [][2]uint16{{112, 112}}},
		{
			name: "read, body refused", version: "1.1", do: read, code: coap.UnsupportedContentFormat,
			want: [][2]uint16{{112, 112}, {110, 112}},
		},
		{
			name: "read, answer refused", version: "1.2", do: read, code: coap.NotAcceptable,
			want: [][2]uint16{{112, 11544}, {112, 112}},
		},
		{name: "write", version: "1.0", do: writes(zone), err: server.ErrUnsupported},
		{name: "write", version: "1.1", do: writes(zone), want: [][2]uint16{{112, 0}}},
		{name: "write", version: "1.2", do: writes(zone), want: [][2]uint16{{11544, 0}}},
		{name: "delete", version: "1.1", do: writes(zone, gone), err: server.ErrUnsupported},
		{name: "delete", version: "1.2", do: writes(zone, gone), want: [][2]uint16{{322, 0}}},
		{
			name: "write refused", version: "1.1", do: writes(zone), code: coap.UnsupportedContentFormat,
			want: [][2]uint16{{112, 0}, {110, 0}},
		},
		{name: "write nothing", version: "1.1", do: writes(), err: lwm2m.ErrPath},
		{name: "write an instance", version: "1.1", do: writes(entry("/3/0", lwm2m.String("x"))), err: lwm2m.ErrPath},
		{name: "write twice", version: "1.1", do: writes(zone, zone), err: lwm2m.ErrDuplicate},
	} {
		x := newWorld(t)
		links := usual
		if tt.ct != "" {
			links = `</>;rt="oma.lwm2m";ct="` + tt.ct + `",` + usual
		}
		x.register(alpha, "ep=alpha&lt=60&lwm2m="+tt.version, links)
		if tt.code != 0 {
			x.answer(&coap.Response{Code: tt.code}, nil)
		}
		err := tt.do(t.Context(), x.Server)
		var refused *server.ResponseError
		if answered := errors.As(err, &refused); answered != (tt.code != 0) || !answered && !errors.Is(err, tt.err) {
			t.Errorf("%s %s: %v, want %v", tt.name, tt.version, err, tt.err)
		}
		if got := formats(x.taken()); !slices.Equal(got, tt.want) {
			t.Errorf("%s %s: formats %v, want %v", tt.name, tt.version, got, tt.want)
		}
	}
}

// Answers to Read-Composite: parts may be missing, but nothing else may come.
func TestCompositeAnswers(t *testing.T) {
	for _, tt := range []struct {
		name string
		res  *coap.Response
		want int // values
		err  error
	}{
		{"all", content(codec.SenMLJSON, `[{"n":"/3/0/9","v":7},{"n":"/1/0/1","v":60}]`), 2, nil},
		{"a part", content(codec.SenMLJSON, `[{"n":"/3/0/9","v":7}]`), 1, nil},
		{"nothing, without a format", &coap.Response{Code: coap.Content}, 0, nil},
		{"nothing", content(codec.SenMLJSON, `[]`), 0, nil},
		{"more", content(codec.SenMLJSON, `[{"n":"/3/0/9","v":7},{"n":"/3/0/14","vs":"x"}]`), 0, server.ErrAnswer},
		{"garbage", content(codec.SenMLCBOR, "\xff"), 0, server.ErrAnswer},
	} {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
		x.answer(tt.res, nil)
		got, err := x.ReadComposite(t.Context(), "alpha", paths("/3/0/9", "/1"))
		if len(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, %v; want %d values, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
	x := newWorld(t)
	for _, list := range [][]lwm2m.Path{nil, paths("/3", "/3"), make([]lwm2m.Path, 65)} {
		if _, err := x.ReadComposite(t.Context(), "alpha", list); !errors.Is(err, lwm2m.ErrPath) {
			t.Errorf("ReadComposite of %d paths: %v, want ErrPath", len(list), err)
		}
	}
}

// Names and paths of composites of a device with an alternate path (§6.2.1).
func TestCompositeAlternatePath(t *testing.T) {
	x := newWorld(t)
	x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", `</root>;rt="oma.lwm2m";ct=110,</root/3/0>`)
	x.answer(content(codec.SenMLJSON, `[{"n":"/root/3/0/9","v":7}]`), nil)
	got, err := x.ReadComposite(t.Context(), "alpha", paths("/3/0/9"))
	sent := x.taken()[0]
	if err != nil || len(got) != 1 || strings.Join(sent.Path, "/") != "root" ||
		!strings.Contains(string(sent.Payload), "/root/3/0/9") {
		t.Errorf("ReadComposite = %v, %v; sent %q %q", got, err, sent.Path, sent.Payload)
	}
}

// Composite operations against a client, in both versions that have them.
func TestCompositeInterop(t *testing.T) {
	for _, v := range []lwm2m.Version{lwm2m.Version11, lwm2m.Version12} {
		synctest.Test(t, func(t *testing.T) {
			x := newPair(t, v)
			x.register()
			ctx := t.Context()
			got, err := x.ReadComposite(ctx, "alpha", paths("/3/0/9", "/3/0/6", "/3/0/4", "/99"))
			if err != nil || len(got) != 3 {
				t.Errorf("%s: ReadComposite = %v, %v; want 3 values", v, got, err)
			}
			if got, err = x.ReadComposite(ctx, "alpha", paths("/")); err != nil || len(got) < 5 {
				t.Errorf("%s: ReadComposite of the root = %v, %v", v, got, err)
			}
			x.check("WriteComposite", x.WriteComposite(ctx, "alpha", []lwm2m.Entry{entry("/3/0/14", lwm2m.String("Z"))}))
			if got, _ := x.Read(ctx, "alpha", path("/3/0/14")); len(got) != 1 || got[0].Value != lwm2m.String("Z") {
				t.Errorf("%s: after WriteComposite %v", v, got)
			}
			both := nodes("/3/0/9", "/3/0/14")
			x.check("Observe", x.ObserveTarget(ctx, "alpha", both, "me"))
			x.set(ctx, 42)
			if x.level() != 42 {
				t.Errorf("%s: level %d after a notification, want 42", v, x.level())
			}
			x.register() // and again
			x.set(ctx, 43)
			if x.level() != 43 {
				t.Errorf("%s: level %d after registering anew, want 43", v, x.level())
			}
			x.check("Cancel", x.CancelTarget(ctx, "alpha", both, "me"))
			x.set(ctx, 44)
			if x.level() != 43 {
				t.Errorf("%s: level %d after the cancellation, want 43", v, x.level())
			}
		})
	}
}

// The cancellation is a FETCH of the identical list (§6.4.5).
func TestCompositeCancelsTheSameList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPair(t, lwm2m.Version11)
		var asked []*coap.Request
		raw, toServer, stop := x.raw(func(_ context.Context, q *coap.Request) *coap.Response {
			asked = append(asked, q)
			res := content(codec.SenMLJSON, `[{"n":"/3/0/9","v":1}]`)
			res.Observe = q.Observe == coap.ObserveRegister
			return res
		})
		defer stop()
		_, err := raw.Do(t.Context(), toServer, &coap.Request{
			Method: coap.POST, Path: []string{"rd"}, Query: []string{"lwm2m=1.1", "lt=60"}, Payload: []byte(usual),
		})
		x.check("Register", err)
		both := nodes("/3/0/9", "/3/0/6")
		x.check("Observe", x.ObserveTarget(t.Context(), "alpha", both, "me"))
		x.check("Cancel", x.CancelTarget(t.Context(), "alpha", both, "me"))
		if len(asked) != 2 || asked[1].Method != coap.FETCH || asked[1].Observe != coap.ObserveCancel ||
			string(asked[0].Payload) != string(asked[1].Payload) || string(asked[0].Token) != string(asked[1].Token) {
			t.Errorf("asked %+v", asked)
		}
	})
}
