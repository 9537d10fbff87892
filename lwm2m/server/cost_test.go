package server_test

import (
	"strings"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
)

// noLog takes signs of life and forgets them.
type noLog struct{ server.Log }

func (noLog) Append(server.Sign) bool        { return true }
func (noLog) Replay(func(server.Sign)) error { return nil }

// An Update that only refreshes is what a fleet does most: its answer and what
// follows it are all that it may allocate, in queue mode too.
func TestRefreshCost(t *testing.T) {
	s := mustNew(t, server.Options{
		Store: &servertest.Store{}, Exchanger: &fakeExchanger{}, Schema: testSchema, Identify: identify, Signs: noLog{},
	})
	res := s.ServeCoAP(t.Context(), &coap.Request{
		Peer: alpha, Method: coap.POST, Path: []string{"rd"}, Query: strings.Split("ep=alpha&lt=300&lwm2m=1.1&b=U&Q", "&"),
		Payload: []byte(usual), ContentFormat: coap.FormatID(codec.Link),
	})
	res.Sent()
	update := &coap.Request{Peer: alpha, Method: coap.POST, Path: res.LocationPath}
	const most = 2
	if got := testing.AllocsPerRun(100, func() { s.ServeCoAP(t.Context(), update).Sent() }); got > most {
		t.Errorf("a refresh allocates %v times, at most %d", got, most)
	}
}
