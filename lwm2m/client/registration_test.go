package client_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
)

func TestRegister(t *testing.T) {
	security := client.NewTable(client.TableOptions{
		ID: 0, Version: "1.2", Values: []lwm2m.Entry{entry("/0/0/0", lwm2m.String("coaps://h"))},
	})
	tests := []struct {
		name  string
		o     client.Options
		query []string
		links string
	}{
		{
			name: "1.0", o: client.Options{Version: lwm2m.Version10, Queue: true, Lifetime: time.Minute},
			query: []string{"ep=urn:dev:ops:1", "lt=60", "lwm2m=1.0", "b=UQ"},
			links: `</3>;ver=1.2,</3/0>,</5>;ver=1.1,</5/0>,</1024>,</3303>;ver=1.1,</3303/0>`,
		},
		{
			name: "1.1", o: client.Options{Version: lwm2m.Version11, Queue: true},
			query: []string{"ep=urn:dev:ops:1", "lt=86400", "lwm2m=1.1", "b=U", "Q"},
			links: `</>;rt="oma.lwm2m";ct="112 110 11542 60",` +
				`</3>;ver=1.2,</3/0>,</5>;ver=1.1,</5/0>,</1024>,</3303>;ver=1.1,</3303/0>`,
		},
		{
			name: "1.2, Security is not listed", o: client.Options{Objects: []client.Object{security}},
			query: []string{"ep=urn:dev:ops:1", "lt=86400", "lwm2m=1.2", "b=U"},
			links: `</>;rt="oma.lwm2m";ct="11544 112 110 11542 60",` +
				`</3/0>,</5>;ver=1.1,</5/0>,</1024>,</3303>;ver=1.1,</3303/0>`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newWorld(t, tt.o)
				if err := x.c.Register(t.Context(), x.toServer); err != nil {
					t.Fatalf("Register = %v", err)
				}
				q := x.server.taken()[0]
				if id, _ := q.ContentFormat.ID(); q.Method != coap.POST || strings.Join(q.Path, "/") != "rd" || id != 40 {
					t.Errorf("Register sent %s %v format %d", q.Method, q.Path, id)
				}
				if !slices.Equal(q.Query, tt.query) {
					t.Errorf("query = %q, want %q", q.Query, tt.query)
				}
				if string(q.Payload) != tt.links {
					t.Errorf("links = %s\nwant    %s", q.Payload, tt.links)
				}
				if got := x.c.Location(x.toServer); !slices.Equal(got, []string{"rd", "a1"}) {
					t.Errorf("Location = %q", got)
				}
			})
		})
	}
}

func TestRegisterRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{})
		x.server.setAnswer(func(*coap.Request) *coap.Response {
			return &coap.Response{Code: coap.BadRequest, Payload: []byte("unknown endpoint")}
		})
		err := x.c.Register(t.Context(), x.toServer)
		if refused, ok := errors.AsType[*client.CodeError](err); !ok || refused.Code != coap.BadRequest {
			t.Errorf("Register = %v, want a CodeError 4.00", err)
		}
		if x.c.Location(x.toServer) != nil {
			t.Error("Location after a refusal, want nil")
		}
		// Whoever is not a server of ours gets nothing.
		if resp := x.do(coap.GET, "/3/0", -1, -1, ""); resp.Code != coap.Unauthorized {
			t.Errorf("Read without an account = %s, want 4.01", resp.Code)
		}
		x.server.setAnswer(func(*coap.Request) *coap.Response { return &coap.Response{Code: coap.Created} })
		if err := x.c.Register(t.Context(), x.toServer); !errors.Is(err, client.ErrNotRegistered) {
			t.Errorf("Register without a location = %v, want ErrNotRegistered", err)
		}
	})
}

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{Lifetime: time.Hour})
		if err := x.c.Update(t.Context(), x.toServer); !errors.Is(err, client.ErrNotRegistered) {
			t.Errorf("Update = %v, want ErrNotRegistered", err)
		}
		x.register()
		if err := x.c.Update(t.Context(), x.toServer); err != nil {
			t.Errorf("Update = %v", err)
		}
		q := x.server.taken()[0]
		if strings.Join(q.Path, "/") != "rd/a1" || len(q.Query) > 0 || len(q.Payload) > 0 {
			t.Errorf("Update without news = %v %q %q", q.Path, q.Query, q.Payload)
		}
		// A new lifetime goes out by itself, and so does a new instance.
		x.c.SetLifetime(x.toServer, 2*time.Hour)
		synctest.Wait()
		if q = x.server.taken()[0]; !slices.Equal(q.Query, []string{"lt=7200"}) || len(q.Payload) > 0 {
			t.Errorf("Update after SetLifetime = %q %q", q.Query, q.Payload)
		}
		x.do(coap.POST, "/1024", -1, -1, "")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if q = x.server.taken()[0]; len(q.Query) > 0 || !strings.Contains(string(q.Payload), "</1024/0>") {
			t.Errorf("Update after Create = %q %q", q.Query, q.Payload)
		}
		x.c.RequestUpdate(x.toServer)
		synctest.Wait()
		if got := x.server.taken(); len(got) != 1 || len(got[0].Payload) > 0 {
			t.Errorf("RequestUpdate sent %d requests", len(got))
		}
	})
}

func TestRunKeepsRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{Lifetime: 300 * time.Second})
		x.register()
		time.Sleep(206 * time.Second)
		synctest.Wait()
		if got := x.server.taken(); len(got) != 0 {
			t.Errorf("%d requests before the Update is due", len(got))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := x.server.taken(); len(got) != 1 || strings.Join(got[0].Path, "/") != "rd/a1" {
			t.Errorf("%d requests when the Update is due, want 1", len(got))
		}
		// The server has forgotten us: 4.04, and the client registers anew.
		lost := true
		x.server.setAnswer(func(q *coap.Request) *coap.Response {
			if len(q.Path) == 2 && lost {
				lost = false
				return &coap.Response{Code: coap.NotFound}
			}
			return &coap.Response{Code: coap.Created, LocationPath: []string{"rd", "b2"}}
		})
		time.Sleep(208 * time.Second)
		synctest.Wait()
		if got := x.c.Location(x.toServer); !slices.Equal(got, []string{"rd", "b2"}) {
			t.Errorf("Location after 4.04 = %q, want the new one", got)
		}
	})
}

func TestRunRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed atomic.Int32
		x := newWorld(t, client.Options{
			Lifetime: 100 * time.Second, Retry: 10 * time.Second,
			Failed: func(coap.Peer, error) { failed.Add(1) },
		})
		x.register()
		x.server.setAnswer(func(*coap.Request) *coap.Response { return &coap.Response{Code: coap.ServiceUnavailable} })
		time.Sleep(50*time.Second + 31*time.Second) // due at 50; again after 10, then after 20
		synctest.Wait()
		if got := len(x.server.taken()); got != 3 || failed.Load() != 3 {
			t.Errorf("%d requests, %d failures, want 3, 3", got, failed.Load())
		}
		x.server.setAnswer(nil)
		time.Sleep(41 * time.Second)
		synctest.Wait()
		if got := len(x.server.taken()); got != 1 {
			t.Errorf("%d requests after the server came back, want 1", got)
		}
	})
}

func TestDeregister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{})
		x.register()
		if err := x.c.Deregister(t.Context(), x.toServer); err != nil {
			t.Errorf("Deregister = %v", err)
		}
		if q := x.server.taken()[0]; q.Method != coap.DELETE || strings.Join(q.Path, "/") != "rd/a1" {
			t.Errorf("Deregister sent %s %v", q.Method, q.Path)
		}
		if resp := x.do(coap.GET, "/3/0", -1, -1, ""); resp.Code != coap.Unauthorized {
			t.Errorf("Read after Deregister = %s, want 4.01", resp.Code)
		}
		if err := x.c.Deregister(t.Context(), x.toServer); !errors.Is(err, client.ErrNotRegistered) {
			t.Errorf("Deregister again = %v, want ErrNotRegistered", err)
		}
	})
}

func TestSend(t *testing.T) {
	mute := entry("/1/0/23", lwm2m.Boolean(false))
	account := client.NewTable(client.TableOptions{
		ID: 1, Schema: testSchema, Values: []lwm2m.Entry{entry("/1/0/0", lwm2m.Integer(101)), mute},
	})
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t, client.Options{Objects: []client.Object{account}})
		if err := x.c.Send(t.Context(), x.toServer, path("/3/0/9")); !errors.Is(err, client.ErrNotRegistered) {
			t.Errorf("Send = %v, want ErrNotRegistered", err)
		}
		x.c.Attach(x.toServer, client.Account{Server: 101})
		x.register()
		if err := x.c.Send(t.Context(), x.toServer, path("/3/0/9"), path("/3303/0/5700")); err != nil {
			t.Errorf("Send = %v", err)
		}
		q := x.server.taken()[0]
		got := decoded(t, "/", &coap.Response{ContentFormat: q.ContentFormat, Payload: q.Payload})
		if strings.Join(q.Path, "/") != "dp" || !slices.Equal(got, []string{"/3/0/9=100", "/3303/0/5700=20"}) {
			t.Errorf("Send sent %v %q", q.Path, got)
		}
		mute.Value = lwm2m.Value{} // without the resource the server counts as muted
		account.Set(mute)
		if err := x.c.Send(t.Context(), x.toServer, path("/3/0/9")); !errors.Is(err, client.ErrMuted) {
			t.Errorf("Send = %v, want ErrMuted", err)
		}
	})
	t.Run("1.0", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newWorld(t, client.Options{Version: lwm2m.Version10})
			if err := x.c.Send(t.Context(), x.toServer, path("/3")); !errors.Is(err, client.ErrVersion) {
				t.Errorf("Send = %v, want ErrVersion", err)
			}
		})
	})
}

// The server's instance of LwM2M Server decides about lifetime and periods, and
// its Registration Update Trigger asks for an Update.
func TestServerObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := client.NewTable(client.TableOptions{
			ID: 1, Version: "1.2", Schema: testSchema, Resources: []uint16{2, 8},
			Values: []lwm2m.Entry{
				entry("/1/0/0", lwm2m.Integer(7)), entry("/1/0/1", lwm2m.Integer(10)),
				entry("/1/1/0", lwm2m.Integer(101)), entry("/1/1/1", lwm2m.Integer(600)),
			},
			OnExecute: func(context.Context, client.Session, lwm2m.Path, string) error { return nil },
		})
		x := newWorld(t, client.Options{Objects: []client.Object{account}})
		x.c.Attach(x.toServer, client.Account{Server: 101})
		if err := x.c.Register(t.Context(), x.toServer); err != nil {
			t.Fatal(err)
		}
		if q := x.server.taken()[0]; !slices.Contains(q.Query, "lt=600") {
			t.Errorf("Register sent %q, want lt=600", q.Query)
		}
		x.do(coap.PUT, "/1/1/1", 0, -1, "900")
		synctest.Wait()
		if got := x.server.taken(); len(got) != 1 || !slices.Equal(got[0].Query, []string{"lt=900"}) {
			t.Errorf("after Write of the lifetime the server got %d requests", len(got))
		}
		x.do(coap.POST, "/1/1/8", -1, -1, "")
		synctest.Wait()
		if got := x.server.taken(); len(got) != 1 || len(got[0].Query) > 0 {
			t.Errorf("after the trigger the server got %d requests", len(got))
		}
		account.Set(entry("/1/1/2", lwm2m.Integer(5)))
		wa := x.observePath("/3303/0/5700")
		x.temperature(30)
		wa.want("before the default pmin")
		time.Sleep(5 * time.Second)
		wa.want("at the default pmin", "/3303/0/5700=30")
	})
}

// A muteEngine acknowledges, but no answer comes while it is mute.
type muteEngine struct {
	fakeEngine
	mute atomic.Bool
}

func (m *muteEngine) Do(ctx context.Context, p coap.Peer, r *coap.Request) (*coap.Response, error) {
	if m.mute.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m.fakeEngine.Do(ctx, p, r)
}

// A server that acknowledges and is gone then, as at a restart, is not waited for
// longer than Patience says.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed atomic.Int32
		m := &muteEngine{}
		c, err := client.New(client.Options{
			Endpoint: "a", Engine: m, Lifetime: 100 * time.Second, Patience: 20 * time.Second,
			Failed: func(_ coap.Peer, err error) {
				if !errors.Is(err, coap.ErrTimeout) {
					t.Errorf("failed with %v", err)
				}
				failed.Add(1)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		if err := c.Register(ctx, fakePeer("s")); err != nil {
			t.Fatal(err)
		}
		m.mute.Store(true)
		time.Sleep(50*time.Second + 21*time.Second) // the Update is due at 50
		synctest.Wait()
		if failed.Load() != 1 {
			t.Errorf("%d failures within the patience, want 1", failed.Load())
		}
		began := time.Now()
		err = c.Register(ctx, fakePeer("t"))
		if took := time.Since(began); !errors.Is(err, coap.ErrTimeout) || took != 20*time.Second {
			t.Errorf("Register = %v after %v", err, took)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := c.Register(ctx, fakePeer("u")); !errors.Is(err, context.Canceled) {
			t.Errorf("Register after the end = %v", err)
		}
	})
}
