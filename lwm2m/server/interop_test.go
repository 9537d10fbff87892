package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

// A pair is a server and a client, each on an engine, with everything running.
type pair struct {
	*server.Server
	t              *testing.T
	store          *servertest.Store
	engine, device *coap.Engine // the server's, the client's
	c              *client.Client
	toServer       *coap.PipeEnd
	toDevice       *coap.PipeEnd
	base, list     *client.Table
	executed       []string

	mu     sync.Mutex
	events []string
}

// newPair starts all of it; call it inside a synctest bubble.
func newPair(t *testing.T, v lwm2m.Version, formats ...uint16) *pair {
	t.Helper()
	x := &pair{t: t, store: &servertest.Store{}}
	x.engine = coap.New(coap.Options{
		Handler: coap.HandlerFunc(func(ctx context.Context, q *coap.Request) *coap.Response {
			if len(formats) > 0 && len(q.Payload) > 0 && q.Path[0] == "rd" { // announce these only
				q.Payload = fmt.Appendf(nil, `</>;rt="oma.lwm2m";ct="%s",</3>;ver=1.2,</3/0>,</1024>`, join(formats))
			}
			return x.ServeCoAP(ctx, q)
		}),
		Closed: func(p coap.Peer) { x.Closed(p) },
	})
	x.Server = mustNew(t, server.Options{Store: x.store, Exchanger: x.engine, Schema: testSchema, Identify: identify})
	t.Cleanup(x.Subscribe(func(e server.Event) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.events = append(x.events, string(e.Kind))
	}))
	x.device = coap.New(coap.Options{Handler: coap.HandlerFunc(func(ctx context.Context, q *coap.Request) *coap.Response {
		return x.c.ServeCoAP(ctx, q)
	})})
	x.join()
	x.tables()
	var err error
	x.c, err = client.New(client.Options{
		Endpoint: "alpha", Version: v, Lifetime: 300 * time.Second, Schema: testSchema, Engine: x.device,
		Objects: []client.Object{x.base, x.list},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, run := range []func(context.Context) error{x.device.Run, x.engine.Run, x.Run} {
		group.Go(func() { _ = run(ctx) })
	}
	t.Cleanup(func() { cancel(); group.Wait() })
	return x
}

func join(formats []uint16) string {
	text := fmt.Sprint(formats)
	return text[1 : len(text)-1]
}

// join makes a new association of the same device.
func (x *pair) join() {
	x.toServer, x.toDevice = coap.Join(x.device, x.engine, coap.Medium{A: alpha.who})
}

func (x *pair) tables() {
	x.base = client.NewTable(client.TableOptions{
		ID: 3, Version: "1.2", Schema: testSchema, Resources: []uint16{4},
		Values: []lwm2m.Entry{
			entry("/3/0/0", lwm2m.String("Steward")), entry("/3/0/6/0", lwm2m.Integer(1)),
			entry("/3/0/6/1", lwm2m.Integer(5)), entry("/3/0/9", lwm2m.Integer(100)),
			entry("/3/0/14", lwm2m.String("+02:00")),
		},
		OnExecute: func(_ context.Context, _ client.Session, p lwm2m.Path, args string) error {
			x.executed = append(x.executed, p.String()+" "+args)
			return nil
		},
	})
	x.list = client.NewTable(client.TableOptions{
		ID: 1024, Schema: testSchema, Resources: []uint16{0, 1},
		OnCreate: func(_ context.Context, _ client.Session, _ lwm2m.Path, in []lwm2m.Entry) ([]lwm2m.Entry, error) {
			return in, nil
		},
		OnDelete: func(context.Context, client.Session, lwm2m.Path) error { return nil },
	})
}

func (x *pair) register() {
	x.t.Helper()
	if err := x.c.Register(x.t.Context(), x.toServer); err != nil {
		x.t.Fatal(err)
	}
	synctest.Wait()
}

func (x *pair) check(what string, err error) {
	x.t.Helper()
	if err != nil {
		x.t.Errorf("%s: %v", what, err)
	}
}

// set changes the battery level and lets the news travel.
func (x *pair) set(ctx context.Context, level int64) {
	x.base.Set(entry("/3/0/9", lwm2m.Integer(level)))
	x.run(ctx)
}

// run lets the client send what is due.
func (x *pair) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = x.c.Run(ctx) }()
	time.Sleep(time.Second) // of the bubble
	synctest.Wait()
	cancel()
	<-done
}

// seen returns the events so far.
func (x *pair) seen() []string {
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.events)
}

func (x *pair) level() int64 {
	v, _ := x.store.Value("alpha", path("/3/0/9"))
	n, _ := v.Int()
	return n
}

// All operations in every version, and in each format that a client may prefer.
func TestInterop(t *testing.T) {
	for _, tt := range []struct {
		version lwm2m.Version
		formats []uint16
	}{
		{lwm2m.Version10, nil},
		{lwm2m.Version11, nil},
		{lwm2m.Version12, nil},
		{lwm2m.Version10, []uint16{11543, 11542}},
		{lwm2m.Version11, []uint16{110}},
		{lwm2m.Version11, []uint16{112}},
		{lwm2m.Version11, []uint16{11542}},
		{lwm2m.Version11, []uint16{60, 110}},
		{lwm2m.Version12, []uint16{11544}},
		{lwm2m.Version12, []uint16{0}},
	} {
		t.Run(fmt.Sprint(tt.version, tt.formats), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newPair(t, tt.version, tt.formats...)
				x.register()
				x.operate(t.Context())
				x.report(t.Context())
			})
		})
	}
}

// operate goes through device management (§6.3).
func (x *pair) operate(ctx context.Context) {
	got, err := x.Read(ctx, "alpha", path("/3/0"))
	x.check("Read", err)
	if !slices.Contains(got, entry("/3/0/6/1", lwm2m.Integer(5))) || len(got) != 5 {
		x.t.Errorf("Read /3/0 = %v", got)
	}
	got, err = x.Read(ctx, "alpha", path("/3/0/9"))
	x.check("Read", err)
	if len(got) != 1 || got[0] != entry("/3/0/9", lwm2m.Integer(100)) {
		x.t.Errorf("Read /3/0/9 = %v", got)
	}
	zone := func(text string) []lwm2m.Entry { return []lwm2m.Entry{entry("/3/0/14", lwm2m.String(text))} }
	x.check("Write", x.Write(ctx, "alpha", path("/3/0/14"), zone("Z"), server.Replace))
	if v := x.base.Value(path("/3/0/14")); v != lwm2m.String("Z") {
		x.t.Errorf("written %v, want Z", v)
	}
	x.check("Write", x.Write(ctx, "alpha", path("/3/0"), zone("A"), server.Update))
	x.check("Execute", x.Execute(ctx, "alpha", path("/3/0/4"), "0='x'"))
	if !slices.Equal(x.executed, []string{"/3/0/4 0='x'"}) {
		x.t.Errorf("executed %q", x.executed)
	}
	x.check("WriteAttributes", x.WriteAttributes(ctx, "alpha", path("/3/0/9"), []string{"pmax=600"}))
	links, err := x.Discover(ctx, "alpha", path("/3/0/9"))
	x.check("Discover", err)
	if len(links) != 1 || links[0].Target != "/3/0/9" || len(links[0].Attributes) == 0 {
		x.t.Errorf("Discover = %v", links)
	}
	x.instances(ctx)
}

// instances creates and deletes.
func (x *pair) instances(ctx context.Context) {
	in := []lwm2m.Entry{entry("/1024/0/1", lwm2m.String("a")), entry("/1024/0/0/3", lwm2m.Integer(4))}
	for _, instance := range []int{7, -1} {
		p, err := x.Create(ctx, "alpha", lwm2m.NewPath(1024), instance, in)
		x.check("Create", err)
		if p.Len() != 2 || x.list.Value(p.Child(0).Child(3)) != lwm2m.Integer(4) {
			x.t.Fatalf("Create = %v", p)
		}
		more := []lwm2m.Entry{{Path: p.Child(0).Child(4), Value: lwm2m.Integer(5)}}
		x.check("Write", x.Write(ctx, "alpha", p.Child(0), more, server.Update))
		if got, err := x.Read(ctx, "alpha", p.Child(0)); err != nil || len(got) != 2 {
			x.t.Errorf("Read of two = %v, %v", got, err)
		}
		x.check("Delete", x.Delete(ctx, "alpha", p))
		_, err = x.Read(ctx, "alpha", p)
		var refused *server.ResponseError
		if !errors.As(err, &refused) || refused.Code != coap.NotFound {
			x.t.Errorf("Read of nothing = %v, want 4.04", err)
		}
	}
}

// report goes through information reporting (§6.4).
func (x *pair) report(ctx context.Context) {
	p := path("/3/0/9")
	x.check("Observe", x.Observe(ctx, "alpha", p, "me"))
	x.check("Observe again", x.Observe(ctx, "alpha", p, "me"))
	if x.set(ctx, 50); x.level() != 50 {
		x.t.Errorf("notified %d, want 50", x.level())
	}
	x.check("Cancel", x.CancelObserve(ctx, "alpha", p, "me"))
	if x.set(ctx, 49); x.level() != 50 {
		x.t.Errorf("notified %d after cancelling", x.level())
	}
	err := x.c.Send(ctx, x.toServer, p)
	if errors.Is(err, client.ErrVersion) {
		return
	}
	x.check("Send", err)
	if x.level() != 49 {
		x.t.Errorf("sent %d, want 49", x.level())
	}
}

// Observations come back after Register, and after an Update by a new
// association; what the old ones still say is dropped.
func TestObservationsReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPair(t, lwm2m.Version11)
		ctx, p := t.Context(), path("/3/0/9")
		if err := x.Observe(ctx, "alpha", p, "me"); !errors.Is(err, server.ErrNotRegistered) {
			t.Errorf("Observe before Register = %v, want ErrNotRegistered", err)
		}
		x.register()
		if x.set(ctx, 50); x.level() != 50 {
			t.Errorf("after Register: %d, want 50", x.level())
		}
		x.register()
		if x.set(ctx, 51); x.level() != 51 {
			t.Errorf("after another Register: %d, want 51", x.level())
		}
		old, location := x.toServer, x.c.Location(x.toServer)
		x.join()
		x.c.Attach(x.toServer, client.Account{})
		res, err := x.device.Do(ctx, x.toServer, &coap.Request{Method: coap.POST, Path: location})
		if err != nil || res.Code != coap.Changed {
			t.Fatalf("Update from elsewhere = %v, %v", res, err)
		}
		synctest.Wait()
		x.c.Detach(old)
		if x.set(ctx, 52); x.level() != 52 {
			t.Errorf("after an Update by a new association: %d, want 52", x.level())
		}
		if err := x.Dismiss(ctx, "alpha", "test"); err != nil {
			t.Error(err)
		}
		if x.set(ctx, 53); x.level() != 52 {
			t.Errorf("after Dismiss: %d, want 52", x.level())
		}
	})
}

// An instance that goes ends its observation, which returns with it.
func TestObservationLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPair(t, lwm2m.Version11)
		x.register()
		ctx := t.Context()
		in := []lwm2m.Entry{entry("/1024/0/1", lwm2m.String("a"))}
		_, err := x.Create(ctx, "alpha", lwm2m.NewPath(1024), 0, in)
		x.check("Create", err)
		x.check("Observe", x.Observe(ctx, "alpha", path("/1024/0"), "me"))
		x.check("Delete", x.Delete(ctx, "alpha", path("/1024/0")))
		x.run(ctx)
		if !slices.Contains(x.seen(), string(server.Lost)) {
			t.Errorf("events %q, want a lost observation", x.seen())
		}
		_, err = x.Create(ctx, "alpha", lwm2m.NewPath(1024), 0, in)
		x.check("Create", err)
		x.check("Update", x.c.Update(ctx, x.toServer))
		synctest.Wait()
		x.list.Set(entry("/1024/0/1", lwm2m.String("b")))
		x.run(ctx)
		if v, _ := x.store.Value("alpha", path("/1024/0/1")); v.Value != lwm2m.String("b") {
			t.Errorf("notified %v, want b", v)
		}
	})
}

// A registration that is not refreshed goes, one that is stays, and 0 is for ever.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPair(t, lwm2m.Version11)
		x.register()
		forever := fakePeer{"192.0.2.4:1", coap.Identity{}}
		(&world{Server: x.Server, t: t, store: x.store}).register(forever, "ep=beta&lt=0&lwm2m=1.1", usual)
		time.Sleep(200 * time.Second)
		x.check("Update", x.c.Update(t.Context(), x.toServer))
		time.Sleep(200 * time.Second)
		if !x.Reachable("alpha") {
			t.Error("gone in spite of an Update")
		}
		time.Sleep(102 * time.Second)
		if _, err := x.Registration("alpha"); !errors.Is(err, server.ErrNotRegistered) || x.Reachable("alpha") {
			t.Errorf("after its lifetime: %v, want ErrNotRegistered", err)
		}
		if err := x.c.Update(t.Context(), x.toServer); !errors.Is(err, client.ErrNotRegistered) {
			t.Errorf("Update after the lifetime = %v, want ErrNotRegistered", err)
		}
		if want := []string{"registered", "registered", "updated", "expired"}; !slices.Equal(x.seen(), want) {
			t.Errorf("events %q, want %q", x.seen(), want)
		}
		if !x.Reachable("beta") {
			t.Error("a registration for ever is gone")
		}
	})
}

// A device that does not answer: time-out, and another try at its next Update.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPair(t, lwm2m.Version11)
		deaf := true
		x.toServer, x.toDevice = coap.Join(x.device, x.engine, coap.Medium{A: alpha.who, BtoA: func(d []byte) [][]byte {
			if deaf {
				return nil
			}
			return [][]byte{d}
		}})
		deaf = false
		x.register()
		deaf = true
		if err := x.Observe(t.Context(), "alpha", path("/3/0/9"), "me"); !errors.Is(err, coap.ErrTimeout) {
			t.Errorf("Observe = %v, want ErrTimeout", err)
		}
		deaf = false
		x.check("Update", x.c.Update(t.Context(), x.toServer))
		synctest.Wait()
		if x.level() != 100 {
			t.Errorf("after the Update: %d, want 100", x.level())
		}
	})
}
