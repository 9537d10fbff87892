package client_test

import (
	"context"
	"testing"
	"testing/synctest"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// accessWorld has two servers, and object 16 with an instance that the first
// owns and lets the second read, and one of the second alone.
func accessWorld(t *testing.T, servers int) *client.Client {
	t.Helper()
	server := client.NewTable(client.TableOptions{ID: 1, Schema: testSchema})
	for i := range servers {
		p := lwm2m.NewPath(1, uint16(i), 0)
		server.Set(lwm2m.Entry{Path: p, Value: lwm2m.Integer(int64(i + 1))})
	}
	access := client.NewTable(client.TableOptions{ID: 2, Values: []lwm2m.Entry{
		entry("/2/0/0", lwm2m.Integer(1024)), entry("/2/0/1", lwm2m.Integer(0)),
		entry("/2/0/2/2", lwm2m.Integer(1)), entry("/2/0/3", lwm2m.Integer(1)),
		entry("/2/1/0", lwm2m.Integer(1024)), entry("/2/1/1", lwm2m.Integer(1)),
		entry("/2/1/2/2", lwm2m.Integer(15)), entry("/2/1/2/0", lwm2m.Integer(0)), entry("/2/1/3", lwm2m.Integer(2)),
		entry("/2/2/0", lwm2m.Integer(1024)), entry("/2/2/1", lwm2m.Integer(lwm2m.NoID)),
		entry("/2/2/2/2", lwm2m.Integer(16)), entry("/2/2/3", lwm2m.Integer(lwm2m.NoID)),
	}})
	things := client.NewTable(client.TableOptions{
		ID: 1024, Values: []lwm2m.Entry{entry("/1024/0/0", lwm2m.Integer(1)), entry("/1024/1/0", lwm2m.Integer(2))},
		Resources: []uint16{1},
		OnExecute: func(_ context.Context, _ client.Session, _ lwm2m.Path, _ string) error { return nil },
		OnCreate: func(_ context.Context, _ client.Session, _ lwm2m.Path, e []lwm2m.Entry) ([]lwm2m.Entry, error) {
			return e, nil
		},
		OnDelete: func(context.Context, client.Session, lwm2m.Path) error { return nil },
	})
	c, err := client.New(client.Options{
		Endpoint: "a", Engine: &fakeEngine{}, Objects: []client.Object{server, access, things},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Attach(fakePeer("1"), client.Account{Server: 1})
	c.Attach(fakePeer("2"), client.Account{Server: 2})
	return c
}

func TestAccess(t *testing.T) {
	tests := []struct {
		server, path string
		method       coap.Code
		body         string
		want, single coap.Code // with one server alone, nothing is refused
	}{
		{"1", "/1024/0/0", coap.GET, "", coap.Content, coap.Content},
		{"2", "/1024/0/0", coap.GET, "", coap.Content, coap.Content},
		{"1", "/1024/1/0", coap.GET, "", coap.Unauthorized, coap.Content},
		{"1", "/1024", coap.GET, "", coap.Content, coap.Content},
		{"1", "/1024/0/0", coap.PUT, "5", coap.Changed, coap.Changed},
		{"2", "/1024/0/0", coap.PUT, "5", coap.Unauthorized, coap.Changed},
		{"2", "/1024/1/0", coap.PUT, "5", coap.Changed, coap.Changed},
		{"1", "/1024/0/1", coap.POST, "", coap.Changed, coap.Changed},
		{"2", "/1024/0/1", coap.POST, "", coap.Unauthorized, coap.Changed},
		{"1", "/1024", coap.POST, "", coap.Unauthorized, coap.Created},
		{"2", "/1024", coap.POST, "", coap.Created, coap.Created},
		{"2", "/1024/0", coap.DELETE, "", coap.Unauthorized, coap.Deleted},
		{"2", "/1024/1", coap.DELETE, "", coap.Deleted, coap.Deleted},
		{"1", "/1/0/0", coap.GET, "", coap.Content, coap.Content},
		{"1", "/1/1/0", coap.GET, "", coap.Unauthorized, coap.NotFound},
		{"2", "/2/0/3", coap.GET, "", coap.Content, coap.Content},
		{"2", "/2/0/3", coap.PUT, "2", coap.Unauthorized, coap.Changed},
		{"1", "/2/0/3", coap.PUT, "2", coap.Changed, coap.Changed},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			for servers, want := range map[int]coap.Code{2: tt.want, 1: tt.single} {
				c := accessWorld(t, servers)
				r := &coap.Request{
					Peer: fakePeer(tt.server), Method: tt.method, Path: path(tt.path).Segments(), Payload: []byte(tt.body),
				}
				if tt.body != "" {
					r.ContentFormat = coap.FormatID(codec.Text)
				}
				if got := c.ServeCoAP(t.Context(), r).Code; got != want {
					t.Errorf("server %s of %d: %s %s = %s, want %s", tt.server, servers, tt.method, tt.path, got, want)
				}
			}
		})
	}
}

// Who creates an instance owns it; its rights go with it.
func TestAccessOfCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := accessWorld(t, 2)
		ask := func(server string, method coap.Code, p string) coap.Code {
			return c.ServeCoAP(t.Context(), &coap.Request{
				Peer: fakePeer(server), Method: method, Path: path(p).Segments(),
			}).Code
		}
		ask("2", coap.POST, "/1024")
		if got := ask("2", coap.POST, "/1024/2/1"); got != coap.Changed {
			t.Errorf("Execute by the owner = %s", got)
		}
		if got := ask("1", coap.POST, "/1024/2/1"); got != coap.Unauthorized {
			t.Errorf("Execute by another = %s", got)
		}
		if got := ask("2", coap.GET, "/2/3/3"); got != coap.Content {
			t.Errorf("its rights = %s", got)
		}
		ask("2", coap.DELETE, "/1024/2")
		if got := ask("2", coap.GET, "/2/3/3"); got != coap.NotFound {
			t.Errorf("its rights afterwards = %s", got)
		}
	})
}
