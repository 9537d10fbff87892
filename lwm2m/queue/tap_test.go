package queue_test

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

type auditRow = audit.Row

// An exchanger is a server with one device that answers all with "abc".
type exchanger struct{ acknowledge bool }

type peer struct{}

func (peer) Send([]byte) error       { return nil }
func (peer) Identity() coap.Identity { return coap.Identity{} }
func (peer) Addr() netip.AddrPort    { return netip.MustParseAddrPort("192.0.2.1:1") }
func (peer) String() string          { return "192.0.2.1:1" }

func (x *exchanger) Do(_ context.Context, _ coap.Peer, r *coap.Request) (*coap.Response, error) {
	if x.acknowledge {
		r.Acknowledged()
		time.Sleep(time.Second)
	}
	return &coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(0), Payload: []byte("abc")}, nil
}

func (x *exchanger) Observe(context.Context, coap.Peer, *coap.Request, func(*coap.Response)) (
	*coap.Response, *coap.Observation, error,
) {
	return nil, nil, coap.ErrTimeout
}

type schema struct{}

func (schema) Resource(uint16, uint16) (lwm2m.ResourceInfo, bool) { return lwm2m.ResourceInfo{}, false }

// exchange reads a path by a server of its own.
func (x *exchanger) exchange(ctx context.Context, path string) error {
	s, err := server.New(ctx, server.Options{
		Store: &servertest.Store{}, Exchanger: x, Schema: schema{},
		Identify: func(context.Context, coap.Identity, lwm2m.Endpoint) (fleet.ID, error) { return "A", nil },
	})
	if err != nil {
		return err
	}
	res := s.ServeCoAP(ctx, &coap.Request{
		Peer: peer{}, Method: coap.POST, Path: []string{"rd"}, Query: strings.Split("ep=A&lt=60&lwm2m=1.1", "&"),
		Payload: []byte("</3/0>"), ContentFormat: coap.FormatID(40),
	})
	res.Sent()
	p, err := lwm2m.ParsePath(path)
	if err != nil {
		return err
	}
	_, err = s.Read(ctx, "A", p)
	return err
}
