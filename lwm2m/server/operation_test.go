package server_test

import (
	"context"
	"errors"
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

// An operation is one call on the device alpha.
type operation func(context.Context, *server.Server) error

func read(p string) operation {
	return func(ctx context.Context, s *server.Server) error { _, err := s.Read(ctx, "alpha", path(p)); return err }
}

func write(p string, m server.Mode, entries ...lwm2m.Entry) operation {
	return func(ctx context.Context, s *server.Server) error { return s.Write(ctx, "alpha", path(p), entries, m) }
}

func execute(p, args string) operation {
	return func(ctx context.Context, s *server.Server) error { return s.Execute(ctx, "alpha", path(p), args) }
}

func remove(p string) operation {
	return func(ctx context.Context, s *server.Server) error { return s.Delete(ctx, "alpha", path(p)) }
}

func attributes(p string, query ...string) operation {
	return func(ctx context.Context, s *server.Server) error {
		return s.WriteAttributes(ctx, "alpha", path(p), query)
	}
}

func discover(p string) operation {
	return func(ctx context.Context, s *server.Server) error {
		_, err := s.Discover(ctx, "alpha", path(p))
		return err
	}
}

func create(instance int, entries ...lwm2m.Entry) operation {
	return func(ctx context.Context, s *server.Server) error {
		_, err := s.Create(ctx, "alpha", lwm2m.NewPath(1024), instance, entries)
		return err
	}
}

func observe(p string) operation {
	return func(ctx context.Context, s *server.Server) error { return s.Observe(ctx, "alpha", path(p), "me") }
}

func show(r *coap.Request) string {
	f, ok := r.ContentFormat.ID()
	format := ""
	if ok {
		format = fmt.Sprint(f)
	}
	methods := map[coap.Code]string{coap.PUT: "PUT", coap.POST: "POST", coap.DELETE: "DELETE"}
	return fmt.Sprintf("%s /%s?%s %s %d", methods[r.Method], strings.Join(r.Path, "/"), strings.Join(r.Query, "&"),
		format, len(r.Payload))
}

// What goes on the wire for each operation (§6.3, §7.5), or why nothing does.
func TestOperations(t *testing.T) {
	zone := entry("/3/0/14", lwm2m.String("Z"))
	item, text := entry("/1024/0/0/1", lwm2m.Integer(1)), entry("/1/0/1", lwm2m.String("x"))
	for _, tt := range []struct {
		name, version, want string
		do                  operation
		err                 error
	}{
		{name: "write", version: "1.0", do: write("/3/0/14", server.Replace, zone), want: "PUT /3/0/14? 11542 3"},
		{name: "write", version: "1.1", do: write("/3/0/14", server.Replace, zone), want: "PUT /3/0/14? 112 14"},
		{name: "write instance", version: "1.1", do: write("/3/0", server.Update, zone), want: "POST /3/0? 112 14"},
		{name: "POST would execute", version: "1.1", do: write("/3/0/14", server.Update, zone), want: "PUT /3/0/14? 112 14"},
		{name: "multiple", version: "1.1", do: write("/1024/0/0", server.Update, item), want: "POST /1024/0/0? 112 17"},
		{name: "write object", version: "1.1", do: write("/3", server.Replace, zone), err: lwm2m.ErrPath},
		{name: "write outside", version: "1.1", do: write("/3/1", server.Replace, zone), err: lwm2m.ErrPath},
		{name: "write kind", version: "1.1", do: write("/1/0", server.Update, text), err: lwm2m.ErrValue},
		{name: "write below a resource", version: "1.0", do: write("/1024/0/0/1", false, item), err: server.ErrUnsupported},
		{name: "execute", version: "1.1", do: execute("/3/0/4", ""), want: "POST /3/0/4?  0"},
		{name: "execute with arguments", version: "1.1", do: execute("/3/0/4", "0='x'"), want: "POST /3/0/4? 0 5"},
		{name: "execute garbage", version: "1.1", do: execute("/3/0/4", "x"), err: lwm2m.ErrArguments},
		{name: "execute object", version: "1.1", do: execute("/3", ""), err: lwm2m.ErrPath},
		{name: "delete", version: "1.0", do: remove("/1024/0"), want: "DELETE /1024/0?  0"},
		{name: "delete all", version: "1.0", do: remove("/"), err: lwm2m.ErrPath},
		{name: "delete resource", version: "1.2", do: remove("/3/0/14"), err: lwm2m.ErrPath},
		{name: "delete resource instance", version: "1.1", do: remove("/1024/0/0/1"), err: server.ErrUnsupported},
		{name: "delete resource instance", version: "1.2", do: remove("/1024/0/0/1"), want: "DELETE /1024/0/0/1?  0"},
		{
			name: "attributes", version: "1.1", do: attributes("/3/0/9", "pmin=1", "gt=-2.5", "st"),
			want: "PUT /3/0/9?pmin=1&gt=-2.5&st  0",
		},
		{name: "no attributes", version: "1.1", do: attributes("/3/0/9"), err: lwm2m.ErrAttribute},
		{name: "unknown attribute", version: "1.1", do: attributes("/3/0/9", "dim=1"), err: lwm2m.ErrAttribute},
		{name: "attribute twice", version: "1.1", do: attributes("/3/0/9", "pmin=1", "pmin=2"), err: lwm2m.ErrQuery},
		{name: "lt above gt", version: "1.1", do: attributes("/3/0/9", "lt=2", "gt=1"), err: lwm2m.ErrAttribute},
		{name: "threshold of text", version: "1.1", do: attributes("/3/0/14", "gt=1"), err: lwm2m.ErrAttribute},
		{name: "create", version: "1.0", do: create(3, entry("/1024/0/1", lwm2m.String("x"))), want: "POST /1024? 11542 5"},
		{name: "create elsewhere", version: "1.0", do: create(3, zone), err: lwm2m.ErrPath},
		{name: "create nothing", version: "1.0", do: create(lwm2m.NoID), err: lwm2m.ErrPath},
		{name: "read root", version: "1.2", do: read("/"), err: lwm2m.ErrPath},
		{name: "read instance of 1.0", version: "1.0", do: read("/3/0/6/0"), err: server.ErrUnsupported},
		{name: "discover root", version: "1.2", do: discover("/"), err: lwm2m.ErrPath},
		{name: "observe root", version: "1.2", do: observe("/"), err: lwm2m.ErrPath},
		{name: "observe instance of 1.0", version: "1.0", do: observe("/3/0/6/0"), err: server.ErrUnsupported},
	} {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=60&lwm2m="+tt.version, usual)
		err := tt.do(t.Context(), x.Server)
		var got strings.Builder
		for _, q := range x.taken() {
			got.WriteString(show(q))
		}
		if !errors.Is(err, tt.err) || got.String() != tt.want {
			t.Errorf("%s %s: %v, sent %q; want %v, %q", tt.name, tt.version, err, got.String(), tt.err, tt.want)
		}
	}
}

// Writes to a 1.0 client that announces JSON, for which there is no encoder.
func TestWriteJSONClient(t *testing.T) {
	x := newWorld(t)
	x.register(alpha, "ep=alpha", `</>;ct=11543,</3/0>`)
	if err := write("/3/0/14", server.Replace, entry("/3/0/14", lwm2m.String("Z")))(t.Context(), x.Server); err != nil {
		t.Error(err)
	}
	if f, _ := x.taken()[0].ContentFormat.ID(); f != codec.TLV {
		t.Errorf("written in %d, want TLV", f)
	}
}

func content(format uint16, body string) *coap.Response {
	return &coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(format), Payload: []byte(body)}
}

// Answers to Read: decoded by the format that came, and judged.
func TestReadAnswers(t *testing.T) {
	var refusal *server.ResponseError
	for _, tt := range []struct {
		name string
		res  *coap.Response
		err  error
		want error
	}{
		{name: "TLV", res: content(codec.TLV, "\xc1\x09\x07")},
		{name: "text without a format", res: &coap.Response{Code: coap.Content, Payload: []byte("7")}},
		{name: "SenML JSON", res: content(codec.SenMLJSON, `[{"n":"/3/0/9","v":7}]`)},
		{name: "outside", res: content(codec.SenMLJSON, `[{"n":"/3/0/14","vs":"x"}]`), want: server.ErrAnswer},
		{name: "another root", res: content(codec.SenMLJSON, `[{"n":"/x/3/0/9","v":7}]`), want: server.ErrAnswer},
		{name: "garbage", res: content(codec.SenMLCBOR, "\xff"), want: server.ErrAnswer},
		{name: "unknown format", res: content(999, "7"), want: server.ErrAnswer},
		{name: "time-out", err: coap.ErrTimeout, want: coap.ErrTimeout},
		{name: "closed", err: coap.ErrClosed, want: coap.ErrClosed},
	} {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
		x.answer(tt.res, tt.err)
		got, err := x.Read(t.Context(), "alpha", path("/3/0/9"))
		_, kept := x.store.Value("alpha", path("/3/0/9"))
		if !errors.Is(err, tt.want) || kept != (tt.want == nil) {
			t.Errorf("%s: Read = %v, %v, kept %v; want %v", tt.name, got, err, kept, tt.want)
		}
		if n := len(x.taken()); n != 1 {
			t.Errorf("%s: %d requests, want 1", tt.name, n)
		}
	}
	x := newWorld(t)
	x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
	for code, requests := range map[coap.Code]int{
		coap.NotFound: 1, coap.Unauthorized: 1, coap.NotAcceptable: 2, coap.UnsupportedContentFormat: 2,
	} {
		x.answer(&coap.Response{Code: code, Payload: []byte(strings.Repeat("\xc3\xa9", 300))}, nil)
		_, err := x.Read(t.Context(), "alpha", path("/3/0/9"))
		if !errors.As(err, &refusal) || refusal.Code != code || len(refusal.Diagnostic) != 200 {
			t.Errorf("Read answered %s = %v", code, err)
		}
		if n := len(x.taken()); n != requests {
			t.Errorf("Read answered %s took %d requests, want %d", code, n, requests)
		}
	}
}

func TestUnreachable(t *testing.T) {
	x := newWorld(t)
	for _, do := range []operation{
		read("/3"), write("/3/0", server.Update), execute("/3/0/4", ""), remove("/3/0"),
		attributes("/3", "pmin=1"), discover("/3"), create(-1), observe("/3"),
	} {
		if err := do(t.Context(), x.Server); !errors.Is(err, server.ErrNotRegistered) {
			t.Errorf("of a stranger: %v, want ErrNotRegistered", err)
		}
	}
	x.register(alpha, "ep=alpha", usual)
	x.Closed(alpha)
	if err := read("/3")(t.Context(), x.Server); !errors.Is(err, server.ErrUnreachable) {
		t.Errorf("of a device whose association ended: %v, want ErrUnreachable", err)
	}
}

// Neither packages nor keys nor anything long is kept.
func TestKeptValues(t *testing.T) {
	x := newWorld(t)
	x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", usual)
	for text, tt := range map[string]struct {
		v    lwm2m.Value
		kept bool
	}{
		"/3/0/14":   {lwm2m.String("Z"), true},
		"/1/0/1":    {lwm2m.Integer(60), true},
		"/5/0/0":    {lwm2m.Opaque([]byte{1}), false},
		"/999/0/0":  {lwm2m.Opaque([]byte{1}), false}, // unknown: may be a key
		"/1024/0/1": {lwm2m.String(strings.Repeat("x", 5000)), false},
	} {
		if err := write(text, server.Replace, entry(text, tt.v))(t.Context(), x.Server); err != nil {
			t.Error(err)
		}
		if v, kept := x.store.Value("alpha", path(text)); kept != tt.kept {
			t.Errorf("after a Write of %s kept %v, %v; want %v", text, v, kept, tt.kept)
		}
	}
}

// The alternate path is in front of the request's path and of names.
func TestAlternatePath(t *testing.T) {
	x := newWorld(t)
	x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", `</a%20b/c>;rt="oma.lwm2m",</a%20b/c/3/0>,</a%20b/c/1024>`)
	x.answer(content(codec.TLV, "\xc1\x09\x07"), nil)
	if err := read("/3/0/9")(t.Context(), x.Server); err != nil {
		t.Error(err)
	}
	if got, want := x.taken()[0].Path, []string{"a b", "c", "3", "0", "9"}; !slices.Equal(got, want) {
		t.Errorf("Read of %q, want %q", got, want)
	}
	x.answer(content(codec.Link, "</a%20b/c/3/0>,</a%20b/c/3/0/9>;pmin=1,</x>"), nil)
	links, err := x.Discover(t.Context(), "alpha", path("/3/0"))
	if err != nil || len(links) != 2 || links[1].Target != "/3/0/9" || len(links[1].Attributes) != 1 {
		t.Errorf("Discover = %v, %v", links, err)
	}
	x.answer(&coap.Response{Code: coap.Created, LocationPath: []string{"a b", "c", "1024", "7"}}, nil)
	if p, err := x.Create(t.Context(), "alpha", lwm2m.NewPath(1024), -1, nil); err != nil || p != path("/1024/7") {
		t.Errorf("Create = %v, %v", p, err)
	}
}

// A Create that is not told what the device chose asks for it.
// TestCreateWithoutID leaves the choice to the device: in TLV, which can leave the
// id out, if it announced that.
func TestCreateWithoutID(t *testing.T) {
	for ct, want := range map[string]uint16{"112 11542": codec.TLV, "112": codec.SenMLCBOR, "110 112": codec.SenMLCBOR} {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", `</>;rt="oma.lwm2m";ct="`+ct+`",</1024/0>`)
		var got coap.Format
		x.exchanger.answer = func(_ context.Context, q *coap.Request) (*coap.Response, error) {
			got = q.ContentFormat
			return &coap.Response{Code: coap.Created, LocationPath: []string{"1024", "1"}}, nil
		}
		in := []lwm2m.Entry{{Path: path("/1024/0/1"), Value: lwm2m.String("a")}}
		if _, err := x.Create(t.Context(), "alpha", lwm2m.NewPath(1024), -1, in); err != nil || got != coap.FormatID(want) {
			t.Errorf("ct %s: created by format %v, %v; want %d", ct, got, err, want)
		}
	}
}

func TestCreateWithoutLocation(t *testing.T) {
	x := newWorld(t)
	x.register(alpha, "ep=alpha&lt=60&lwm2m=1.1", "</1024/0>")
	for links, want := range map[string]string{
		"</1024>,</1024/0>,</1024/5>": "/1024/5", "</1024/0>": "/1024", "</1024/5>,</1024/6>": "/1024", "<<": "/1024",
	} {
		x.exchanger.answer = func(_ context.Context, q *coap.Request) (*coap.Response, error) {
			if q.Method == coap.POST {
				return &coap.Response{Code: coap.Created}, nil
			}
			return content(codec.Link, links), nil
		}
		if p, err := x.Create(t.Context(), "alpha", lwm2m.NewPath(1024), -1, nil); err != nil || p != path(want) {
			t.Errorf("Create with %s = %v, %v; want %s", links, p, err, want)
		}
	}
	x.answer(&coap.Response{Code: coap.Created, LocationPath: []string{"3", "0"}}, nil)
	if _, err := x.Create(t.Context(), "alpha", lwm2m.NewPath(1024), -1, nil); !errors.Is(err, server.ErrAnswer) {
		t.Errorf("Create at /3/0 = %v, want ErrAnswer", err)
	}
}

// What is under way ends with the session (§6.2.1).
func TestPendingEnds(t *testing.T) {
	for name, end := range map[string]func(*world, string){
		"Register": func(x *world, _ string) { x.register(alpha, "ep=alpha", usual) },
		"Update from elsewhere": func(x *world, at string) {
			x.serve(fakePeer{"192.0.2.5:1", alpha.who}, coap.POST, at, "", 0, "")
		},
		"De-register": func(x *world, at string) { x.serve(alpha, coap.DELETE, at, "", 0, "") },
		"Closed":      func(x *world, _ string) { x.Closed(alpha) },
		"Dismiss":     func(x *world, _ string) { _ = x.Dismiss(x.t.Context(), "alpha", "test") },
	} {
		synctest.Test(t, func(t *testing.T) {
			x := newWorld(t)
			at := x.register(alpha, "ep=alpha", usual)
			x.exchanger.answer = func(ctx context.Context, _ *coap.Request) (*coap.Response, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			result := make(chan error)
			go func() { result <- read("/3")(t.Context(), x.Server) }()
			synctest.Wait()
			end(x, at)
			if err := <-result; !errors.Is(err, server.ErrEnded) {
				t.Errorf("%s: Read = %v, want ErrEnded", name, err)
			}
		})
	}
}

// No request before the answer to the Register has left (§6.2.1).
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		res := x.ServeCoAP(t.Context(), &coap.Request{
			Peer: alpha, Method: coap.POST, Path: []string{"rd"}, Query: []string{"ep=alpha"}, Payload: []byte(usual),
		})
		done := make(chan error)
		go func() { done <- execute("/3/0/4", "")(t.Context(), x.Server) }()
		synctest.Wait()
		if n := len(x.taken()); n != 0 {
			t.Errorf("%d requests before the answer", n)
		}
		res.Sent()
		if err := <-done; err != nil || len(x.taken()) != 1 {
			t.Errorf("after the answer: %v", err)
		}
	})
}
