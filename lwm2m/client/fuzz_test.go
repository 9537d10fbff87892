package client_test

import (
	"context"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
)

// FuzzServeCoAP sends requests of all kinds. Whatever comes is answered by a
// response code, and the object tree stays one that can be read and encoded.
func FuzzServeCoAP(f *testing.F) {
	f.Add(uint8(coap.GET), "3/0", "", int32(-1), int32(112), uint8(1), []byte(nil))
	f.Add(uint8(coap.GET), "3", "depth=3", int32(-1), int32(40), uint8(0), []byte(nil))
	f.Add(uint8(coap.PUT), "3/0/9", "pmin=1&pmax=2&gt=3", int32(-1), int32(-1), uint8(0), []byte(nil))
	f.Add(uint8(coap.PUT), "3/0/14", "", int32(0), int32(-1), uint8(0), []byte("Z"))
	f.Add(uint8(coap.POST), "1024", "", int32(110), int32(-1), uint8(0), []byte(`[{"n":"/1024/1/1","vs":"a"}]`))
	f.Add(uint8(coap.POST), "1024", "", int32(11542), int32(-1), uint8(0), []byte("\xc1\x01b"))
	f.Add(uint8(coap.POST), "3/0/4", "", int32(0), int32(-1), uint8(0), []byte("0='x',1"))
	f.Add(uint8(coap.DELETE), "1024/0", "", int32(-1), int32(-1), uint8(0), []byte(nil))
	f.Add(uint8(coap.FETCH), "", "", int32(110), int32(11544), uint8(1), []byte(`[{"n":"/3"},{"n":"/"}]`))
	f.Add(uint8(coap.IPATCH), "", "", int32(320), int32(-1), uint8(0), []byte(`[{"n":"/1024/0/0/1","v":null}]`))
	f.Fuzz(func(t *testing.T, method uint8, p, query string, format, accept int32, observe uint8, body []byte) {
		x := &world{t: t, created: true}
		x.tables()
		x.list.Set(entry("/1024/0/0/1", lwm2m.Integer(1)))
		c, err := client.New(client.Options{
			Endpoint: "a", Schema: testSchema, Engine: &fakeEngine{},
			Objects: []client.Object{x.base, x.firmware, x.sensor, x.list},
		})
		if err != nil {
			t.Fatal(err)
		}
		peer := fakePeer("alpha")
		c.Attach(peer, client.Account{Server: 1})
		q := &coap.Request{
			Peer: peer, Method: coap.Code(method), Observe: coap.ObserveOp(observe % 3), Payload: body, Token: []byte{1},
			ContentFormat: optional(format), Accept: optional(accept),
		}
		if p != "" {
			q.Path = strings.Split(p, "/")
		}
		if query != "" {
			q.Query = strings.Split(query, "&")
		}
		for range 2 { // what the first has changed must not break the second
			if resp := c.ServeCoAP(context.Background(), q); resp == nil || !resp.Code.IsResponse() {
				t.Fatalf("%v answered %v", q, resp)
			}
		}
		for _, id := range []string{"3", "5", "1024", "3303"} {
			q := &coap.Request{Peer: peer, Method: coap.GET, Path: []string{id}}
			if resp := c.ServeCoAP(context.Background(), q); resp.Code != coap.Content {
				t.Errorf("afterwards /%s is answered %s", id, resp.Code)
			}
		}
	})
}

func optional(id int32) coap.Format {
	if id < 0 || id > 65535 {
		return coap.Format{}
	}
	return coap.FormatID(uint16(id))
}
