package server_test

import (
	"strings"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/server"
)

// TestFaults checks which refusals are told as faults of a device, and in which
// words.
func TestFaults(t *testing.T) {
	nosec := fakePeer{address: "192.0.2.9:1"}
	for _, tt := range []struct {
		name    string
		request coap.Request
		want    string // beginning of the words; "" for none
		claimed bool
	}{
		{
			"good", coap.Request{
				Peer: alpha, Path: []string{"rd"}, Query: []string{"ep=alpha"}, Payload: []byte("</3/0>"),
			}, "", false,
		},
		{
			"version",
			coap.Request{Peer: alpha, Path: []string{"rd"}, Query: []string{"ep=alpha", "lwm2m=7"}},
			"Its registration names a version of LwM2M", false,
		},
		{
			"parameter",
			coap.Request{Peer: alpha, Path: []string{"rd"}, Query: []string{"ep=alpha", "lt=x"}},
			"Its registration has a parameter", false,
		},
		{
			"links",
			coap.Request{Peer: alpha, Path: []string{"rd"}, Query: []string{"ep=alpha"}, Payload: []byte("<<<")},
			"Its registration has a parameter, or a list of objects", false,
		},
		{
			"format",
			coap.Request{
				Peer: alpha, Path: []string{"rd"}, Query: []string{"ep=alpha"}, ContentFormat: coap.FormatID(60),
			},
			"Its registration is in a format", false,
		},
		{"identity", coap.Request{Peer: alpha, Path: []string{"rd"}, Query: []string{"ep=beta"}}, "", false},
		{"old location", coap.Request{Peer: alpha, Path: []string{"rd", "x"}}, "", false},
		{
			"says who it is",
			coap.Request{Peer: nosec, Path: []string{"rd"}, Query: []string{"ep=alpha", "lt=x"}},
			"Its registration has a parameter", true,
		},
		{"does not", coap.Request{Peer: nosec, Path: []string{"rd"}, Query: []string{"lt=x"}}, "", false},
	} {
		w := newWorld(t)
		var got []server.Event
		w.Subscribe(func(e server.Event) {
			if e.Kind == server.Faulty {
				got = append(got, e)
			}
		})
		tt.request.Method = coap.POST
		w.ServeCoAP(t.Context(), &tt.request)
		switch {
		case tt.want == "" && len(got) > 0:
			t.Errorf("%s: told %+v", tt.name, got)
		case tt.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0].Reason, tt.want) || got[0].Claimed != tt.claimed ||
			got[0].Endpoint != "alpha"):
			t.Errorf("%s: told %+v, want %q", tt.name, got, tt.want)
		}
	}
}
