package server_test

import (
	"context"
	"strings"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

// FuzzServeCoAP sends requests of all kinds, before and after a registration.
// Each is answered, and one that is refused changes nothing.
func FuzzServeCoAP(f *testing.F) {
	f.Add(uint8(coap.POST), "rd", "ep=alpha&lt=60&lwm2m=1.1&b=U&Q", int32(40), []byte(usual))
	f.Add(uint8(coap.POST), "rd", "ep=alpha&lwm2m=1.2&lt=0&pid=oma:x", int32(40),
		[]byte(`</a>;rt="oma.lwm2m";ct="110",</a/3>;ver=1.2`))
	f.Add(uint8(coap.POST), "rd/x", "lt=5&b=UQ&sms=1", int32(-1), []byte(nil))
	f.Add(uint8(coap.DELETE), "rd/x", "", int32(-1), []byte(nil))
	f.Add(uint8(coap.POST), "dp", "", int32(110), []byte(`[{"n":"/3/0/9","v":7}]`))
	f.Add(uint8(coap.POST), "dp", "", int32(112), []byte("\x81\xa2\x00\x66/3/0/9\x02\x07"))
	f.Add(uint8(coap.POST), "dp", "", int32(11544), []byte("\xa1\x83\x03\x00\x09\x07"))
	f.Fuzz(func(t *testing.T, method uint8, path, query string, format int32, body []byte) {
		store := &servertest.Store{}
		s := mustNew(t, server.Options{
			Store: store, Exchanger: &fakeExchanger{}, Schema: testSchema, Identify: identify,
		})
		q := &coap.Request{Peer: alpha, Method: coap.Code(method), Path: strings.Split(path, "/"), Payload: body}
		if query != "" {
			q.Query = strings.Split(query, "&")
		}
		if format >= 0 && format < 65536 {
			q.ContentFormat = coap.FormatID(uint16(format))
		}
		serve := func(q *coap.Request) *coap.Response {
			before := len(store.Audited())
			res := s.ServeCoAP(context.Background(), q)
			if res == nil || !res.Code.IsResponse() || res.Code == coap.InternalServerError {
				t.Fatalf("%v answered %v", q, res)
			}
			if !res.Code.IsSuccess() && len(store.Audited()) != before {
				t.Errorf("%v refused by %s has changed the store", q, res.Code)
			}
			if res.Sent != nil {
				res.Sent()
			}
			return res
		}
		serve(q)
		res := serve(&coap.Request{
			Peer: alpha, Method: coap.POST, Path: []string{"rd"}, Query: []string{"ep=alpha"}, Payload: []byte(usual),
		})
		if res.Code != coap.Created || store.Registrations() != 1 {
			t.Fatalf("Register = %s, %d registrations", res.Code, store.Registrations())
		}
		if len(q.Path) == 2 && q.Path[0] == "rd" {
			q.Path = res.LocationPath
		}
		serve(q)
	})
}
